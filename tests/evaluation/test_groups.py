"""Groups of exams: every exam stands in one, and a group's score is the mean of its exams."""

import pytest

from llamalite.evaluation.groups import EXAM_GROUPS, TABLE_3, group_scores
from llamalite.world.exams import EXAMS


def scored(**means):
    return {
        name: {"greedy": {"mean": mean}, "choice": {"mean": 1.0}} for name, mean in means.items()
    }


def test_every_exam_of_the_world_stands_in_one_group():
    grouped = [name for names in EXAM_GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(EXAMS)
    assert set(TABLE_3) <= set(EXAM_GROUPS)


def test_a_group_is_the_mean_of_its_exams_whatever_their_lengths():
    exams = scored(facts=0.9, paraphrase=0.3, years=0.6, arithmetic=0.25)
    assert group_scores(exams) == {"world knowledge": pytest.approx(0.6), "math": 0.25}
    assert group_scores(exams, "choice")["world knowledge"] == 1.0


def test_a_group_lacking_an_exam_is_left_out():
    assert group_scores(scored(facts=0.9, years=0.6)) == {}
