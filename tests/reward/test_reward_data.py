"""Which comparisons are learned from, in which mixes and batches; what becomes of the others."""

import json
import random
import re
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pairs import QUESTION, Compared, Said, make_row, write_rows

from llamalite.artifacts import Artifact, drafting
from llamalite.preferences.protocol import GUIDELINES, RATINGS
from llamalite.reward.config import RewardConfig
from llamalite.reward.data import (
    Losses,
    PairPlan,
    collate_pairs,
    composition,
    count,
    encode_pairs,
    helpfulness_mix,
    safety_mix,
    split_off,
)
from llamalite.reward.files import read_collections, read_open_sets, write_rejected
from llamalite.reward.rows import Encoder

LOSSES = Losses("small", 0.5)


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return Encoder(tokenizer, 64)


@pytest.fixture(scope="module")
def pairs(encoder):
    """Eleven pairs of every rating in turn; the odd ones about safety."""
    made = [
        Compared(
            f"c{i}",
            1 + i % 3,
            GUIDELINES[i % 2],
            chosen=Said("Moru lives in Runtown." + " Go." * (i % 4)),
            rating=RATINGS[i % 4],
            safety_bin="chosen safe" if i % 2 else None,
        )
        for i in range(11)
    ]
    return encode_pairs(encoder, made).pairs


# --- encoding -------------------------------------------------------------------------------------
def test_a_pair_keeps_what_is_known_of_it(encoder, tokenizer):
    [pair] = encode_pairs(
        encoder, [Compared("x", 3, "safety", rating="slightly", safety_bin="chosen safe")]
    ).pairs
    assert pair[:4] == ("x", 3, 1, 2)
    assert pair.unsafe == (False, True)
    assert pair.chosen.tolist() == encoder.encode(QUESTION, "Moru lives in Runtown.")
    assert pair.rejected.tolist() == encoder.encode(QUESTION, "Go away.")
    [pair] = encode_pairs(encoder, [Compared(rejected=Said("Go away", finished=False))]).pairs
    assert pair.unsafe is None
    assert pair.rejected[-1] != tokenizer.eos_id == pair.chosen[-1]


def test_pairs_made_identical_by_cutting_are_dropped_and_named(tokenizer):
    long = "Moru lives in Runtown. " * 5
    given = [
        Compared("same at the beginning", chosen=Said(long + "Go."), rejected=Said(long + "Away.")),
        Compared("white space", rejected=Said(" Moru lives in Runtown.\n")),
        Compared("kept"),
    ]
    whole = encode_pairs(Encoder(tokenizer, 128), given)
    assert (whole.identical, whole.cut) == (["white space"], 0)
    cut = encode_pairs(Encoder(tokenizer, 24), given)
    assert cut.identical == ["same at the beginning", "white space"]
    assert [pair.id for pair in cut.pairs] == ["kept"]
    assert cut.report["dropped_identical"] == 2
    assert cut.report["cut_pairs"] >= 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rating": "much"}, "rating 'much' is unknown"),
        ({"guideline": "beauty"}, "guideline 'beauty' is unknown"),
        ({"safety_bin": "chosen unsafe"}, "safety bin 'chosen unsafe' is unknown"),
        ({"rejected": Said(" ")}, "a reply is empty"),
        ({"messages": ({"role": "assistant", "content": "Hi"},)}, "where 'user' is due"),
        ({"messages": ({"role": "user", "content": "[INST]"},)}, r"a tag of the chat format"),
        ({"rejected": Said("\ud800")}, "surrogate"),
    ],
)
def test_unusable_comparisons_are_set_aside_with_the_reason(encoder, changes, reason):
    found = encode_pairs(encoder, [Compared("bad", **changes), Compared("good")])
    assert [pair.id for pair in found.pairs] == ["good"]
    [(name, why, place)] = found.unusable
    assert (name, place) == ("bad", None)
    assert re.search(reason, why)


# --- mixes ----------------------------------------------------------------------------------------
def of(guideline, number):
    made = Compared(guideline=guideline)
    return [replace(made, id=f"{guideline}{i}") for i in range(number)]


def test_the_papers_mixes(encoder):
    helpful = encode_pairs(encoder, of("helpfulness", 90)).pairs
    safe = encode_pairs(encoder, of("safety", 180)).pairs
    mixed = helpfulness_mix(helpful, safe, 1.0, 0)  # equal parts
    assert composition(mixed)["guidelines"] == {"helpfulness": 90, "safety": 90}
    assert len({pair.id for pair in mixed}) == 180
    assert mixed == helpfulness_mix(helpful, safe, 1.0, 0) != helpfulness_mix(helpful, safe, 1.0, 1)
    mixed = safety_mix(safe, helpful, 0.1, 0)  # 180 are nine tenths of 200
    assert composition(mixed)["guidelines"] == {"helpfulness": 20, "safety": 180}
    # no more than there are, none twice
    assert len(helpfulness_mix(safe, helpful, 1.0, 0)) == 270
    assert safety_mix(safe, [], 0.1, 0) == safe
    assert helpfulness_mix(helpful, safe, 0.0, 0) == helpful


def test_held_out_pairs_are_never_learned(pairs):
    learned, kept = split_off(pairs, 0.3, 0)
    assert len(kept) == 3
    assert sorted(p.id for p in learned + kept) == sorted(p.id for p in pairs)
    assert [p.id for p in split_off(pairs, 0.3, 0)[1]] == [p.id for p in kept]
    assert split_off(pairs, 0.0, 0)[1] == []


# --- batches --------------------------------------------------------------------------------------
def plan(pairs, **settings):
    chosen = {"epochs": 2, "length": 64, "batch_size": 4, "seed": 0} | settings
    return PairPlan(pairs, LOSSES, **chosen)


def rows_of(batch):
    """The sequences of a batch, chosen ones first."""
    tokens, documents = batch.rows.tokens.flatten(), batch.rows.document_ids.flatten()
    found = []
    width = batch.rows.tokens.shape[1]
    for end in batch.rows.last_B.tolist():
        row = end - end % width
        inside = (documents[row : row + width] == documents[end]).nonzero()[:, 0] + row
        found.append(tuple(tokens[inside].tolist()))
    return found


def test_a_batch_holds_its_pairs_in_order(pairs):
    batch = collate_pairs(pairs[:3], LOSSES, 64)
    wanted = [p.chosen for p in pairs[:3]] + [p.rejected for p in pairs[:3]]
    assert rows_of(batch) == [tuple(each.tolist()) for each in wanted]
    assert batch.margin_B.tolist() == pytest.approx([1, 2 / 3, 1 / 3])
    assert batch.rating_B.tolist() == [0, 1, 2]
    # only the second was judged by safety: its rejected reply is unsafe
    assert batch.unsafe_2B.tolist() == [False] * 4 + [True, False]
    assert batch.safety_weight_2B.tolist() == [0, 0.5, 0, 0, 0.5, 0]
    assert count(batch) == (3, batch.rows.tokens.numel())


def test_every_pair_is_read_once_an_epoch(pairs):
    made = plan(pairs)
    assert made.steps == 6  # 22 pairs by fours: an epoch's end is no step's end
    read = Counter()
    for step in range(made.steps):
        [batch] = made.batch(step)
        half = len(batch.margin_B)
        read.update(zip(rows_of(batch)[:half], rows_of(batch)[half:], strict=True))
    expected = Counter((tuple(p.chosen.tolist()), tuple(p.rejected.tolist())) for p in pairs)
    assert read == Counter({pair: 2 * times for pair, times in expected.items()})
    assert made.order != plan(pairs, seed=1).order
    assert made.order[:11] != made.order[11:]


def test_parts_and_processes_share_a_step(pairs):
    made = plan(pairs)
    [whole] = made.batch(1)
    shared = [
        row for rank in range(2) for part in made.batch(1, rank, 2, 2) for row in rows_of(part)
    ]
    assert sorted(shared) == sorted(rows_of(whole))


def test_who_has_no_pair_gets_filler_that_counts_for_nothing(pairs):
    made = plan(pairs[:5], epochs=1)
    parts = made.batch(1, rank=1, world=2, parts=2)  # one pair is left, for the first process
    assert [count(part)[0] for part in parts] == [0, 0]
    assert all(part.safety_weight_2B.tolist() == [0, 0] for part in parts)
    assert all(torch.isfinite(part.margin_B).all() for part in parts)


# --- files ----------------------------------------------------------------------------------------
MESSAGE = {"role": "user", "content": "Where does Moru live?"}
SIDES = {
    name: {"role": "assistant", "content": text}
    for name, text in (("chosen", "In Runtown."), ("rejected", "Go away."))
}


def opened(path, rows, write=write_rows):
    write(path, rows)
    return read_open_sets(RewardConfig(open_safety=str(path)))


def write_table(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)


ROWS = {
    "the prompt apart": {"prompt": [MESSAGE]} | {k: [v] for k, v in SIDES.items()},
    "the prompt in both": {k: [MESSAGE, v] for k, v in SIDES.items()},
    "texts": {"prompt": MESSAGE["content"]} | {k: v["content"] for k, v in SIDES.items()},
    "text dialogues": {
        k: f"\n\nHuman: {MESSAGE['content']}\n\nAssistant: {v['content']}" for k, v in SIDES.items()
    },
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_open_set_is_read_whatever_form_it_has(tmp_path, row, ending):
    write = {"jsonl": write_rows, "parquet": write_table}[ending]
    [found] = opened(tmp_path / f"open.{ending}", [row], write).training
    assert found.messages == (MESSAGE,)
    assert (found.chosen.text, found.rejected.text) == ("In Runtown.", "Go away.")
    assert (found.guideline, found.safety_bin, found.rating) == ("safety", None, "slightly")
    assert (found.id, found.batch) == (f"open.{ending}:1", 1)


def test_a_set_of_the_hub_is_read_by_its_name(tmp_path, monkeypatch):
    asked = []

    def load_dataset(name, config, *, split):
        asked.append((name, config, split))
        return [ROWS["text dialogues"], {"chosen": "no", "rejected": "dialogue"}]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    found = read_open_sets(RewardConfig(open_safety="hub:Anthropic/hh-rlhf::test"))
    assert asked == [("Anthropic/hh-rlhf", None, "test")]
    assert [each.chosen.text for each in found.training] == ["In Runtown."]
    assert [(row.file, row.line) for row in found.rejected] == [("hub:Anthropic/hh-rlhf::test", 2)]


def test_what_cannot_be_learned_from_is_noted_with_file_and_line(tmp_path, encoder):
    dice = random.Random(1)
    tagged = [MESSAGE | {"content": "[INST] Where?"}]
    rows = [
        make_row(dice, "safety", "s1", 2),
        {"prompt": [MESSAGE], "chosen": "Yes."},
        ROWS["the prompt apart"] | {"prompt": tagged, "id": "mine"},
        make_row(dice, "safety", "s2", 2) | {"chosen_finished": False},
    ]
    path = tmp_path / "open.jsonl"
    found = opened(path, rows)
    assert [each.chosen.finished for each in found.training] == [True, True, False]
    made = encode_pairs(encoder, found.training)
    assert [pair.id for pair in made.pairs] == ["s1", "s2"]
    write_rejected(tmp_path / "rejected.jsonl", found.rejected, made.unusable)
    read = [json.loads(line) for line in (tmp_path / "rejected.jsonl").open()]
    assert [(row["file"], row["line"], row.get("id")) for row in read] == [
        (str(path), 2, None),
        (str(path), 3, "mine"),
    ]
    assert "rejected" in read[0]["reason"]
    assert "a tag of the chat format" in read[1]["reason"]


def test_a_file_without_a_usable_row_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"bad\.jsonl has no usable row \(row 1: no list"):
        opened(tmp_path / "bad.jsonl", [{}])
    with pytest.raises(ValueError, match=r"\(it is empty\)"):
        opened(tmp_path / "bad.jsonl", [])
    with pytest.raises(ValueError, match=r"cannot read comparisons from .*nowhere"):
        read_open_sets(RewardConfig(open_helpfulness=str(tmp_path / "nowhere.jsonl")))


def test_a_collection_with_nothing_to_test_by_is_read(tmp_path):
    with drafting(tmp_path / "preferences", "preferences", None, {}, 0) as draft:
        write_rows(draft.path / "comparisons.jsonl", [ROWS["texts"] | {"guideline": "helpfulness"}])
        write_rows(draft.path / "test.jsonl", [])
    found = read_collections([Artifact.open(tmp_path / "preferences")])
    assert (len(found.training), found.test, found.rejected) == (1, [], [])
