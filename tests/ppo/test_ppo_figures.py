"""The curves of PPO against rows written by hand."""

import pytest

from llamalite.ppo.figures import CURVES, goodhart_curves

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
