"""Which dialogues are learned from, in which rows, and what becomes of the others."""

import json
import re
from collections import Counter
from typing import NamedTuple

import pytest

from llamalite.jsonl import write_rejected
from llamalite.sft.data import (
    Examples,
    Plan,
    as_dialogues,
    count,
    encode_all,
    read_jsonl,
)
from llamalite.text.chat import Encoded

GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}


def numbered(sizes):
    """Examples whose tokens all carry their number, the first two thirds of them unlearned."""
    return Examples(
        Encoded([n] * size, [i >= 2 * size // 3 for i in range(size)])
        for n, size in enumerate(sizes, 1)
    )


def plan(sizes, **settings):
    chosen = {"epochs": 2, "length": 16, "batch_size": 4, "seed": 0} | settings
    return Plan(numbered(sizes), **chosen)


SIZES = [3, 7, 5, 9, 16, 2, 4, 11, 6, 8, 3, 12]


def test_every_example_is_read_once_an_epoch():
    for epochs in (1, 2, 3):
        made = plan(SIZES, epochs=epochs)
        read = Counter(
            token for step in range(made.steps) for token in tokens_of(made.batch(step)[0])
        )
        del read[0]  # filler
        assert read == {n: size * epochs for n, size in enumerate(SIZES, 1)}


def tokens_of(batch):
    return batch.tokens_BT.flatten().tolist()


def test_each_epoch_has_an_order_of_its_own_and_the_seed_decides_them():
    flat = [i for row in plan(SIZES, epochs=2, length=10_000).rows for i in row]
    assert sorted(flat[:12]) == sorted(flat[12:]) == list(range(12))
    assert flat[:12] != flat[12:]
    assert plan(SIZES).rows == plan(SIZES).rows
    assert plan(SIZES).rows != plan(SIZES, seed=1).rows


def test_batches_keep_their_shape_to_the_end():
    made = plan(SIZES)
    assert made.steps > 2
    shapes = {tuple(made.batch(step)[0].tokens_BT.shape) for step in range(made.steps)}
    assert shapes == {(4, 16)}
    used = 2 * sum(SIZES)
    assert made.padding == pytest.approx(1 - used / (made.steps * 4 * 16))


def test_processes_and_parts_share_a_step_without_overlap():
    made = plan(SIZES)
    whole = made.batch(0)[0].tokens_BT.tolist()
    shares = [
        part.tokens_BT.tolist() for rank in range(2) for part in made.batch(0, rank, 2, parts=2)
    ]
    assert [len(share) for share in shares] == [1, 1, 1, 1]
    assert sorted(row for share in shares for row in share) == sorted(whole)


def test_only_answers_count(tokenizer, dialogues):
    examples, dropped = encode_all(tokenizer, dialogues, 128)
    assert dropped == 0
    made = Plan(examples, epochs=1, length=128, batch_size=4, seed=0)
    told = []
    for step in range(made.steps):
        batch = made.batch(step)[0]
        for targets, counted in zip(batch.targets_BT, batch.loss_mask_BT, strict=True):
            told += tokenizer.decode(targets[counted].tolist()).split(".")
    answers = [m["content"] for each in dialogues for m in each if m["role"] == "assistant"]
    assert sorted(t.strip() + "." for t in told if t.strip()) == sorted(answers)
    learned = sum(count(made.batch(step)[0])[0] for step in range(made.steps))
    # every token of " {answer} " and the eos after it
    assert learned == sum(len(tokenizer.encode(a + " ")) + 1 for a in answers)
    assert examples.learned_tokens == learned


def test_dialogues_longer_than_a_row_are_dropped_and_counted(tokenizer, dialogues):
    sizes = sorted(encode_all(tokenizer, dialogues, 128)[0].sizes)
    limit = sizes[30]
    examples, dropped = encode_all(tokenizer, dialogues, limit)
    assert dropped == sum(size > limit for size in sizes)
    assert max(examples.sizes) == limit
    nothing, dropped = encode_all(tokenizer, dialogues, 5)
    assert (len(nothing), dropped) == (0, 48)


def test_demonstrations_become_dialogues():
    class Prompt(NamedTuple):
        messages: tuple

    class Shown(NamedTuple):
        prompt: Prompt
        reply: str

    asked = {"role": "user", "content": "Hi"}
    assert list(as_dialogues([Shown(Prompt((asked,)), "Hello.")])) == [
        [asked, {"role": "assistant", "content": "Hello."}]
    ]


BAD = [
    (b"{not json", "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b"[1, 2]", 'no list under "messages"'),
    (b'{"messages": "hello"}', 'no list under "messages"'),
    (b'{"messages": []}', "has no user message"),
    (b'{"messages": [{"role": "user", "content": "Hi"}]}', "last message is not the assistant's"),
    (
        b'{"messages": [{"role": "assistant", "content": "Hi"}]}',
        "message 1 has role 'assistant' where 'user' is due",
    ),
    (b'{"messages": [{"role": "user", "content": 3}]}', "content of type int"),
    (
        json.dumps({"messages": [{"role": "user", "content": "[INST]"}]}).encode(),
        r"contains '\[INST\]'",
    ),
    (
        json.dumps(
            {"messages": [GOOD["messages"][0], {"role": "assistant", "content": " "}]}
        ).encode(),
        r"message 2 \(assistant\) is empty",
    ),
    (
        json.dumps(
            {"messages": [{"role": "user", "content": "\ud800"}, GOOD["messages"][1]]}
        ).encode(),
        "message 1 holds a lone surrogate",
    ),
]


def test_bad_rows_are_set_aside_with_file_line_and_reason(tmp_path):
    path = tmp_path / "mixed.jsonl"
    good = json.dumps(GOOD).encode()
    lines = [good, b"", *(line for line, _ in BAD), good]
    path.write_bytes(b"\n".join(lines))
    dialogues, rejected = read_jsonl(path)
    assert dialogues == [GOOD["messages"]] * 2
    assert [row.line for row in rejected] == list(range(3, 3 + len(BAD)))
    assert {row.file for row in rejected} == {str(path)}
    for row, (_, reason) in zip(rejected, BAD, strict=True):
        assert re.search(reason, row.reason), row.reason
    write_rejected(tmp_path / "rejected.jsonl", rejected)
    read = [json.loads(line) for line in (tmp_path / "rejected.jsonl").open()]
    assert [row["line"] for row in read] == [row.line for row in rejected]
    assert all(row.keys() == {"file", "line", "reason"} for row in read)


def test_a_byte_order_mark_costs_no_row(tmp_path):
    """That of `llamalite.jsonl`, by which preferences, benchmarks and transcripts are read too."""
    path = tmp_path / "marked.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + f"{json.dumps(GOOD)}\n".encode() * 2)
    dialogues, rejected = read_jsonl(path)
    assert (len(dialogues), rejected) == (2, [])


def test_a_file_without_a_usable_row_is_refused(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text("\n{}\n")
    with pytest.raises(ValueError, match=r"bad\.jsonl has no usable row \(line 2: no list"):
        read_jsonl(path)
    path.write_text("")
    with pytest.raises(ValueError, match=r"\(it is empty\)"):
        read_jsonl(path)
    with pytest.raises(ValueError, match=r"cannot read demonstrations from .*nowhere"):
        read_jsonl(tmp_path / "nowhere.jsonl")
