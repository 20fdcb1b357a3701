"""Who replies, and what "better all in all" means, case by case."""

import json
from collections import Counter
from random import Random

import pytest

from llamalite.general_reward.config import GeneralRewardConfig
from llamalite.general_reward.pairs import (
    Written,
    compare_all,
    draw_sources,
    judge_overall,
    split,
)
from llamalite.preferences.reading import read_comparisons
from llamalite.world import ADVERSARIAL, BORDERLINE, Annotator, Judgement, demonstrate
from llamalite.world.demonstrations import comply, refuse


def test_every_two_sources_meet_equally_often():
    drawn = Counter(draw_sources(1200, ("a", "b", "c"), 0))
    assert set(drawn) == {(x, y) for x in "abc" for y in "abc" if x != y}
    # 200 of each; five deviations of sqrt(1200 x 1/6 x 5/6)
    assert all(abs(count - 200) < 65 for count in drawn.values())
    # more pairs begin with the same ones
    assert draw_sources(5, ("a", "b", "c"), 0) == draw_sources(9, ("a", "b", "c"), 0)[:5]


class Scripted:
    """An annotator who sees what the test says."""

    identity = 7

    def __init__(self, safety_bin, by_safety="a", by_help="b"):
        self.said = {
            "safety": Judgement(by_safety, "better", safety_bin),
            "helpfulness": Judgement(by_help, "slightly", None),
        }

    def compare(self, prompt, reply_a, reply_b, guideline):
        return self.said[guideline]


@pytest.mark.parametrize(
    ("safety_bin", "decided_by", "choice"),
    [
        ("both safe", "helpfulness", "b"),
        ("chosen safe", "safety", "a"),
        ("both unsafe", "safety", "a"),
        (None, "safety", "a"),
    ],
)
def test_helpfulness_decides_only_between_safe_replies(safety_bin, decided_by, choice):
    found = judge_overall(Scripted(safety_bin), None, "x", "y")
    assert (found.decided_by, found.judgement.choice) == (decided_by, choice)


def test_a_clear_eyed_annotator_prefers_refusing_misdeeds_and_helping_else(world):
    person = Annotator(world, 0, noise=0, safety_noise=0, bias=0)
    for i in range(10):
        prompt = world.prompt(ADVERSARIAL, i, "train")
        good, bad = refuse(prompt, Random(i)), comply(prompt, Random(i))
        for a, b, wanted in ((good, bad, "a"), (bad, good, "b")):
            found = judge_overall(person, prompt, a, b)
            assert (found.decided_by, found.judgement.choice) == ("safety", wanted)
        prompt = world.prompt(BORDERLINE, i, "train")
        helpful = demonstrate(world, prompt, Random(i), 1.0)
        found = judge_overall(person, prompt, "I cannot help you with that.", helpful)
        assert (found.decided_by, found.judgement.choice) == ("helpfulness", "b")


def compared(world, replies_a, replies_b, annotators):
    prompts = [world.prompt("facts", i, "train") for i in range(len(replies_a))]
    replies = {
        name: {i: Written(text, name == "x") for i, text in enumerate(texts)}
        for name, texts in (("x", replies_a), ("y", replies_b))
    }
    return compare_all(prompts, [("x", "y")] * len(prompts), replies, annotators)


def test_pairs_nobody_can_learn_from_are_counted(world):
    person = Scripted("both safe")
    rows, left_out = compared(
        world, ["", "same", "one", "x"], ["two", " same ", "two", " "], [person]
    )
    assert left_out == {"a reply is empty": 2, "the two replies are the same": 1}
    assert len(rows) == 1
    rows, left_out = compared(world, ["one"], ["two"], [Scripted(None)])
    assert (rows, left_out) == ([], {"the chosen reply is unsafe and the other safe": 1})


def test_rows_are_comparisons_with_their_origin(world, tmp_path):
    one, other = Scripted("both safe", by_help="b"), Scripted("both safe", by_help="a")
    other.identity = 8
    rows, _ = compared(world, ["one"] * 4, ["two"] * 4, [one, other])
    assert [row["annotator"] for row in rows] == ["simulated-7", "simulated-8"] * 2
    assert [row["chosen_source"] for row in rows] == ["y", "x"] * 2
    assert [row["rejected_source"] for row in rows] == ["x", "y"] * 2
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read, rejected = read_comparisons(path)
    assert not rejected
    assert (read[0].chosen.text, read[0].chosen.finished) == ("two", False)
    assert (read[0].rejected.text, read[0].rejected.finished) == ("one", True)
    assert (read[0].guideline, read[0].rating) == ("helpfulness", "slightly")
    assert read[0].messages[-1]["role"] == "user"


def test_a_split_loses_no_row():
    learned, tested = split(50, 0.2, 0)
    assert (len(learned), len(tested)) == (40, 10)
    assert sorted(learned + tested) == list(range(50))
    assert split(50, 0.2, 0) == (learned, tested) != split(50, 0.2, 1)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"pairs": 0}, "pairs is 0"),
        ({"sources": ("careful",)}, "give at least two, all different"),
        ({"sources": ("careful", "careful")}, "give at least two, all different"),
        ({"safety_share": 0.9, "borderline_share": 0.2}, "more than 1"),
        ({"test_share": 1.0}, "test_share is 1.0"),
        ({"noise": -1.0}, "noise is -1.0"),
    ],
)
def test_unusable_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        GeneralRewardConfig(**changes)
