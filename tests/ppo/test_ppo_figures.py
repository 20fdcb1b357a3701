"""The curves of PPO against rows written by hand."""

import pytest

from llamalite.ppo.figures import CURVES, goodhart_curves, penalty_curves

ROWS = [
    {"step": 1.0, "combined": -1.0, "kl_k1": 0.0, "gold_helpfulness": 0.5},
    {"step": 2.0, "combined": 0.5, "kl_k1": 0.7, "gold_helpfulness": 0.4, "gold_violations": 0.1},
]
LOOKS = [
    {"iteration": 0, "combined": -0.9, "kl_k1": 0.0, "gold_helpfulness": 0.5, "gold_violations": 0},
    {
        "iteration": 2,
        "combined": 1.5,
        "kl_k1": 2.0,
        "gold_helpfulness": 0.3,
        "gold_violations": None,
    },
]


def test_each_panel_has_the_rows_and_the_looks():
    drawing = goodhart_curves(ROWS, LOOKS, kept=2)
    assert len(drawing.figure.axes) == len(CURVES) == 4
    score, _, helpful, violations = drawing.figure.axes
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in score.lines]
    # the first row was sampled before any step, as the first look was
    assert lines[:2] == [([0, 1], [-1.0, 0.5]), ([0, 2], [-0.9, 1.5])]
    assert list(helpful.lines[1].get_ydata()) == [0.5, 0.3]
    assert [list(line.get_xdata()) for line in violations.lines[:2]] == [[1], [0]]
    assert lines[2][0] == [2, 2]  # what was kept
    assert "score, logit from -0.90 to 1.50" in drawing.alt
    assert "true helpfulness from 0.50 to 0.30" in drawing.alt


def test_without_looks_the_rows_speak_and_nothing_is_an_error():
    drawing = goodhart_curves(ROWS, [])
    assert drawing.alt.startswith("on its own prompts: score, logit from -1.00 to 0.50")
    with pytest.raises(ValueError, match="did not begin"):
        goodhart_curves([], [])


def test_each_penalty_has_a_line_a_seed_and_their_mean():
    def course(*scores):
        return {"combined": scores, "kl_k1": (0, 1, 2), "gold_helpfulness": (0.5, 0.4, 0.3)}

    courses = {"none": [course(0, 2, 4), course(0, 4, 8)], "high": [course(0, 0, 0)] * 2}
    drawing = penalty_curves(courses, 9)
    score = drawing.figure.axes[0]
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in score.lines]
    assert lines[:3] == [([1, 5, 9], [0, 2, 4]), ([1, 5, 9], [0, 4, 8]), ([1, 5, 9], [0, 3, 6])]
    assert len(lines) == 6
    assert "Means of 2 seeds. score, logit, none: 0.00 to 6.00" in drawing.alt
    for wrong in (
        {},
        {"none": []},
        courses | {"low": [course(0, 0, 0)]},
        {key: courses["none"] for key in "abcd"},
    ):
        with pytest.raises(ValueError, match="of equally many seeds"):
            penalty_curves(wrong, 9)
