"""Files of comparisons: the public sets' conventions in, and out so that others can read them."""

import json
import random

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from makers import QUESTION, answer, make_item

from llamalite.preferences import text_dialogues
from llamalite.preferences.protocol import GUIDELINES, RATINGS, SAFETY_BINS, Response
from llamalite.preferences.reading import read_comparisons, scan
from llamalite.preferences.writing import write_hh, write_items, write_jsonl, write_parquet

WRITERS = {"jsonl": write_jsonl, "parquet": write_parquet}
FORMS = pytest.mark.parametrize("form", WRITERS)


def some(count=40):
    dice = random.Random(0)
    made = []
    for i in range(count):
        guideline = dice.choice(GUIDELINES)
        item = make_item(
            f"i{i}",
            guideline,
            batch=1 + i % 3,
            a=Response(f'Reply {i} "quoted"\n\ttwo lines 🦙 \u2028', "h1", "V2", 0.9, 2**31 + i, i),
            b=Response(f"Other {i}", "h2", "V1", 1.1, i, finished=False),
            messages=[
                {"role": "system", "content": "Speak Lumo."},
                *QUESTION,
                {"role": "assistant", "content": "In Runtown."},
                {"role": "user", "content": f"And {i}?"},
            ],
        )
        safety_bin = dice.choice(SAFETY_BINS) if guideline == "safety" else None
        made.append(
            answer(
                item, dice.choice("ab"), dice.choice(RATINGS), f"p{i % 4}", safety_bin=safety_bin
            )
        )
    return made


@FORMS
def test_what_is_written_is_read_back_whole(form, tmp_path):
    path = tmp_path / f"set.{form}"
    assert WRITERS[form](path, some()) == 40
    found = read_comparisons(path)
    assert (found.good, found.rejected) == (some(), [])
    WRITERS[form](tmp_path / "again", some())
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@FORMS
def test_the_hubs_own_reader_sees_the_public_convention(form, tmp_path):
    path = tmp_path / f"set.{form}"
    margins = {"significantly": 1.0, "better": 2 / 3, "slightly": 1 / 3, "negligibly": 0.0}
    WRITERS[form](path, some(), margins)
    kind = "json" if form == "jsonl" else "parquet"
    rows = load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "c"))
    assert len(rows) == 40
    for row, each in zip(rows, some(), strict=True):
        assert row["prompt"] == list(each.messages)
        assert row["chosen"] == [{"role": "assistant", "content": each.chosen.text}]
        assert row["rejected"] == [{"role": "assistant", "content": each.rejected.text}]
        assert row["margin"] == pytest.approx(margins[each.rating])
        assert row["rejected_version"] == each.rejected.version


PROMPT = [{"role": "user", "content": "2 + 2?"}]
FOUR, FIVE = ({"role": "assistant", "content": c} for c in ("4", "5"))


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": PROMPT, "chosen": [FOUR], "rejected": [FIVE]},
        {"prompt": PROMPT, "chosen": [*PROMPT, FOUR], "rejected": [*PROMPT, FIVE]},
        {"chosen": [*PROMPT, FOUR], "rejected": [*PROMPT, FIVE], "score_chosen": 9.5},
        {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"},
        {"prompt": "2 + 2?", "chosen": [*PROMPT, FOUR], "rejected": [*PROMPT, FIVE]},
    ],
)
def test_the_public_sets_ways_of_putting_it_are_all_understood(row, tmp_path):
    path = tmp_path / "open.jsonl"
    path.write_text(json.dumps(row) + "\n")
    [found] = read_comparisons(path, guideline="helpfulness", source="open").good
    assert found.messages == tuple(PROMPT)
    assert (found.chosen.text, found.rejected.text) == ("4", "5")
    assert (found.rating, found.source, found.id) == ("slightly", "open", "open.jsonl:1")


BAD = [
    ("{not json", "not JSON"),
    ('"\xff\xfe"', "not JSON"),
    ("[1, 2]", "not an object"),
    (json.dumps({"chosen": [*PROMPT, FOUR]}), '"rejected"'),
    (json.dumps({"chosen": [*PROMPT, FOUR], "rejected": [*PROMPT]}), "assistant"),
    (json.dumps({"prompt": PROMPT, "chosen": "4", "rejected": "4"}), "same"),
    (json.dumps({"prompt": PROMPT, "chosen": "4", "rejected": " "}), "empty"),
    (json.dumps({"prompt": PROMPT, "chosen": "4", "rejected": "5", "rating": "a lot"}), "a lot"),
    (json.dumps({"prompt": PROMPT, "chosen": "4", "rejected": "5", "batch": "x"}), "batch"),
    (json.dumps({"prompt": PROMPT, "chosen": "4", "rejected": [*PROMPT, *PROMPT, FIVE]}), "role"),
    (json.dumps({"chosen": "4", "rejected": "5"}), "prompt"),
    (
        json.dumps({"chosen": [*PROMPT, FOUR], "rejected": [QUESTION[0], FIVE]}),
        "answers another prompt",
    ),
    (json.dumps({"prompt": PROMPT, "chosen": "\ud800", "rejected": "5"}), "surrogate"),
    (json.dumps({"prompt": [[]], "chosen": "4", "rejected": "5"}), "no message"),
    (
        json.dumps(
            {
                **{"prompt": PROMPT, "chosen": "4", "rejected": "5", "guideline": "safety"},
                **{"safety_bin": "chosen unsafe"},
            }
        ),
        "not kept",
    ),
    ("[" * 100_000, "not JSON"),
]


def test_malformed_rows_go_to_a_side_file_and_the_good_ones_stay(tmp_path):
    path = tmp_path / "mixed.jsonl"
    good = json.dumps({"prompt": PROMPT, "chosen": "4", "rejected": "5"})
    lines = [good, "", *(line for line, _ in BAD), good]
    path.write_bytes("\n".join(lines).encode("latin-1"))
    side = tmp_path / "rejected.jsonl"
    found = read_comparisons(path, guideline="helpfulness", side_file=side)
    assert [each.id for each in found.good] == ["mixed.jsonl:1", f"mixed.jsonl:{len(lines)}"]
    noted = [json.loads(line) for line in side.read_text().splitlines()]
    assert [row["line"] for row in noted] == list(range(3, 3 + len(BAD)))
    assert {row["file"] for row in noted} == {str(path)}
    for row, (_, named) in zip(noted, BAD, strict=True):
        assert named in row["reason"]


def test_a_parquet_files_malformed_rows_are_named_by_number(tmp_path):
    import pyarrow as pa

    rows = [
        {"prompt": "2 + 2?", "chosen": "4", "rejected": reply} for reply in ("5", None, "4", "6")
    ]
    path = tmp_path / "open.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    found = read_comparisons(path, guideline="helpfulness")
    assert [each.rejected.text for each in found.good] == ["5", "6"]
    assert [row.line for row in found.rejected] == [2, 3]


def test_files_that_hold_nothing_are_refused_in_one_line(tmp_path):
    for name, text, named in (
        ("empty.jsonl", "", "it is empty"),
        ("bad.jsonl", "x\n", "row 1"),
        ("bad.parquet", "x\n", "cannot read"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=named) as caught:
            read_comparisons(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="cannot read"):
        read_comparisons(tmp_path / "missing.jsonl")
    with pytest.raises(ValueError, match="csv"):
        list(scan(tmp_path / "x", form="csv"))
    with pytest.raises(ValueError, match="honesty"):
        list(scan(tmp_path / "x", guideline="honesty"))


# --- text dialogues ------------------------------------------------------------------------------

# The form of Anthropic's HH-RLHF: two blank-line marks, the last turn the assistant's.
HH = {
    "chosen": "\n\nHuman: What is a llama?\n\nAssistant: An animal.\n\nHuman: Where does it live?"
    "\n\nAssistant: In the Andes.\n\nThat is in South America.",
    "rejected": "\n\nHuman: What is a llama?\n\nAssistant: An animal.\n\nHuman: Where does it live?"
    "\n\nAssistant: At home.",
}


def test_a_row_of_hh_rlhf_is_read_as_its_dialogue(tmp_path):
    path = tmp_path / "hh.jsonl"
    path.write_text(json.dumps(HH) + "\n")
    [found] = read_comparisons(path, form="hh", guideline="safety", source="hh-rlhf").good
    assert found.messages == (
        {"role": "user", "content": "What is a llama?"},
        {"role": "assistant", "content": "An animal."},
        {"role": "user", "content": "Where does it live?"},
    )
    assert found.chosen.text == "In the Andes.\n\nThat is in South America."
    assert found.rejected.text == "At home."
    assert (found.safety_bin, found.source) == (None, "hh-rlhf")
    write_hh(tmp_path / "again.jsonl", [found])
    assert json.loads((tmp_path / "again.jsonl").read_text()) == HH


def test_rows_of_hh_rlhf_that_are_no_pair_are_rejected(tmp_path):
    human, reply = "\n\nHuman: Hi", "\n\nAssistant: Hello"
    rows = [
        {"chosen": human + reply, "rejected": human + "\n\nAssistant:"},
        {"chosen": human + reply, "rejected": human},
        {"chosen": human + reply, "rejected": "\n\nHuman: Ho" + reply + "!"},
        {"chosen": human + human + reply, "rejected": human + human + reply + "!"},
        {"chosen": "Hello", "rejected": "Hi"},
        {"chosen": reply, "rejected": reply + "!"},
        {"chosen": human + reply},
        HH,
    ]
    path = tmp_path / "hh.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_comparisons(path, form="hh", guideline="helpfulness")
    assert [row.line for row in found.rejected] == [1, 2, 3, 4, 5, 6, 7]
    assert [each.id for each in found.good] == ["hh.jsonl:8"]


def test_what_a_text_cannot_say_is_not_written(tmp_path):
    plain = answer(make_item("plain"))
    system = [{"role": "system", "content": "Be kind."}, *QUESTION]
    forged = Response("Yes.\n\nHuman: Thank you.\n\nAssistant: Not at all.")
    path = tmp_path / "hh.jsonl"
    found = write_hh(
        path,
        [answer(make_item("s", messages=system)), plain, answer(make_item("f", a=forged))],
    )
    assert [each.id for each in found.good] == ["plain"]
    assert [(row.line, row.reason.split(" ")[0]) for row in found.rejected] == [
        (1, "message"),
        (3, "a"),
    ]
    assert len(path.read_text().splitlines()) == 1


def test_text_dialogues_keep_to_the_letter():
    messages = [
        {"role": "user", "content": "Hi\n\n human: no"},
        {"role": "assistant", "content": "a"},
    ]
    assert text_dialogues.write(messages) == "\n\nHuman: Hi\n\n human: no\n\nAssistant: a"
    assert text_dialogues.read("\n\nHuman: Hi\n\n human: no\n\nAssistant: a") == messages


def test_items_are_written_with_both_replies(tmp_path):
    items = [make_item("i0"), make_item("i1", "safety")]
    assert write_items(tmp_path / "items.parquet", items) == 2
    rows = pq.read_table(tmp_path / "items.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["i0", "i1"]
    assert rows[0]["a"] == [{"role": "assistant", "content": "Moru lives in Runtown."}]
    assert (rows[1]["b_model"], rows[1]["b_temperature"], rows[1]["b_finished"]) == (
        *("beef", 1.1),
        False,
    )
