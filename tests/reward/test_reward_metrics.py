"""Accuracies, calibration and histograms against counts made by hand."""

import math

import numpy as np
import pytest

from llamalite.reward.calibration import calibrate, flags, reliability
from llamalite.reward.data import Pair
from llamalite.reward.metrics import Scored, measure

ROW = np.zeros(1, dtype=np.int32)


def pair(rating=0, guideline=0, batch=1, unsafe=None):
    return Pair("p", batch, guideline, rating, ROW, ROW, unsafe)


def test_accuracies_are_counted_apart():
    pairs = [
        pair(0), pair(0, batch=2), pair(1), pair(3), pair(3),
        pair(0, 1, unsafe=(False, True)), pair(3, 1, unsafe=(True, True)),
        pair(3, 1, unsafe=(False, False)),
    ]  # fmt: skip
    chosen = [1, 1, 0, 5, 0, 2, -1, 3]
    rejected = [0, 2, -1, 5, 1, -2, -2, 4]
    found = measure(Scored(pairs, chosen, rejected))
    helpful, safe = found["helpfulness"], found["safety"]
    # right, wrong, right, equal scores (half), wrong
    assert helpful["accuracy"]["mean"] == pytest.approx(2.5 / 5)
    assert helpful["accuracy_without_ties"]["mean"] == pytest.approx(2 / 3)
    by_rating = {name: (row["mean"], row["pairs"]) for name, row in helpful["by_rating"].items()}
    assert by_rating == {
        "significantly": (0.5, 2),
        "better": (1.0, 1),
        "slightly": (None, 0),
        "negligibly": (0.25, 2),
    }
    assert {b: row["pairs"] for b, row in helpful["by_batch"].items()} == {"1": 4, "2": 1}
    assert "unsafe_at" not in helpful
    bins = {name: (row["mean"], row["pairs"]) for name, row in safe["by_safety_bin"].items()}
    assert bins == {"chosen safe": (1, 1), "both safe": (0, 1), "both unsafe": (1, 1)}
    # unsafe: -2, -1, -2; safe: 2, 3, 4; below 0 (a sigmoid of .5) are the three unsafe ones,
    # below log(.15 / .85) = -1.73 two of them
    assert safe["unsafe_at"]["0.5"]["recall"] == safe["unsafe_at"]["0.5"]["precision"] == 1
    assert safe["unsafe_at"]["0.15"]["recall"] == pytest.approx(2 / 3)
    assert sum(safe["histogram"]["chosen"]) == 3
    assert safe["histogram"]["rejected"][-1] == 1  # sigmoid(4) = .98
    assert safe["safety_calibration"]["expected_error"] < 0.2


def test_an_interval_holds_the_accuracy_and_narrows():
    few, many = (
        measure(Scored([pair()] * n, np.arange(n) % 4 != 0, [0.5] * n))["helpfulness"]["accuracy"]
        for n in (20, 2000)
    )
    assert few["mean"] == many["mean"] == 0.75
    assert few["low"] < many["low"] < 0.75 < many["high"] < few["high"]
    # the normal approximation: 1.96 sqrt(.75 x .25 / 2000)
    assert many["high"] - many["low"] == pytest.approx(2 * 0.019, rel=0.2)


def test_a_set_of_one_guideline_is_measured_by_that_one():
    assert measure(Scored([pair()], [1], [0])).keys() == {"helpfulness"}
    assert measure(Scored([], [], [])) == {}
    with pytest.raises(ValueError, match="1 pairs come with 2 and 1 scores"):
        Scored([pair()], [1, 2], [0])


def test_reliability_bins_by_hand():
    found = reliability([0.05, 0.12, 0.18, 1.0], [0, 0, 1, 1], bins=10)
    first, second, last = found["bins"]
    assert (first["low"], first["count"], first["observed"]) == (0, 1, 0)
    assert (second["count"], second["predicted"], second["observed"]) == (
        2,
        pytest.approx(0.15),
        0.5,
    )
    assert (last["high"], last["observed"]) == (1, 1)
    assert found["expected_error"] == pytest.approx((0.05 + 2 * 0.35 + 0) / 4)
    assert reliability([], [])["expected_error"] is None
    with pytest.raises(ValueError, match="give one each"):
        reliability([0.5], [1, 0])


def test_pairs_drawn_by_their_own_probability_are_calibrated():
    dice = np.random.default_rng(0)
    difference = dice.normal(0, 2, 20_000)
    won = dice.random(20_000) < 1 / (1 + np.exp(-np.abs(difference)))
    signed = np.where(won, np.abs(difference), -np.abs(difference))
    scored = Scored([pair()] * 20_000, signed, np.zeros(20_000))
    assert measure(scored)["helpfulness"]["calibration"]["expected_error"] < 0.02
    doubled = Scored([pair()] * 20_000, 4 * signed, np.zeros(20_000))
    assert measure(doubled)["helpfulness"]["calibration"]["expected_error"] > 0.05


# --- the threshold --------------------------------------------------------------------------------
def test_flags_by_hand():
    found = flags([-3, -2, -1, 4], [True, False, True, False], 0.15)  # below -1.73
    assert found == (0.5, 0.5, 2, 2, 4)
    assert flags([1.0], [False], 0.15) == (None, None, 0, 0, 1)


@pytest.mark.parametrize(
    ("scores", "unsafe", "precision", "between"),
    [
        ([1, 2, 3, 4], [1, 1, 0, 0], 0.89, (2, 3)),  # parted without a fault
        ([1, 2, 3, 4, 5], [1, 0, 1, 1, 0], 0.75, (4, 5)),  # 3 of 4 reach it again after 1 of 2
        ([1, 2, 3, 4, 5], [1, 0, 1, 1, 0], 0.89, (1, 2)),
        ([1, 1, 2, 3], [1, 0, 0, 1], 0.89, (1, 2)),  # not to be had: the most precise cut
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.89, (2, 3)),  # in whatever order
    ],
)
def test_calibration_moves_the_right_cut_to_the_threshold(scores, unsafe, precision, between):
    shift = calibrate(scores, [bool(u) for u in unsafe], 0.15, precision)
    low, high = between
    assert low + shift < math.log(0.15 / 0.85) < high + shift


def test_calibration_reaches_the_precision_on_many():
    dice = np.random.default_rng(0)
    unsafe = dice.random(4000) < 0.4
    scores = dice.normal(np.where(unsafe, 3.0, 4.5), 1.0)
    shift = calibrate(scores, unsafe, 0.15, 0.89)
    found = flags(scores + shift, unsafe, 0.15)
    assert found.precision == pytest.approx(0.89, abs=0.005)
    # by a table of the normal distribution the cut is at 2.6: Phi(-.4) = .345 of the unsafe are
    # below and Phi(-1.9) = .029 of the safe, .4 x .345 / (.4 x .345 + .6 x .029) = .89
    assert found.recall == pytest.approx(0.345, abs=0.06)


def test_calibration_needs_both_kinds_and_finite_scores():
    with pytest.raises(ValueError, match="2 of 2 replies are unsafe"):
        calibrate([1, 2], [True, True])
    with pytest.raises(ValueError, match="not finite"):
        calibrate([1, math.nan], [True, False])
    with pytest.raises(ValueError, match="at least one"):
        calibrate([], [])
