"""Curves over N against every subset written out, and against known distributions."""

from itertools import combinations
from statistics import mean, median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.rejection_sampling.curves import (
    curve,
    curves_by_temperature,
    expected_maximum,
    expected_median,
)

SCORES = st.lists(st.floats(-5, 5), min_size=1, max_size=7)


@given(SCORES, st.integers(1, 7))
def test_maximum_and_median_are_the_means_over_all_subsets(scores, n):
    n = min(n, len(scores))
    subsets = list(combinations(scores, n))
    [maximum], [middle] = expected_maximum([scores], n), expected_median([scores], n)
    assert maximum == pytest.approx(mean(max(s) for s in subsets), abs=1e-9)
    assert middle == pytest.approx(mean(median(s) for s in subsets), abs=1e-9)


def test_the_maximum_of_uniform_numbers_follows_the_textbook():
    # E max of n uniform numbers is n / (n + 1), their median's is 1/2
    scores = np.random.default_rng(0).random((400, 64))
    for n in (1, 2, 4, 8):
        assert expected_maximum(scores, n).mean() == pytest.approx(n / (n + 1), abs=0.01)
        assert expected_median(scores, n).mean() == pytest.approx(0.5, abs=0.01)


def test_zeros_and_ones_give_pass_at_k():
    # Chen et al. (2021): 1 - C(n - c, k) / C(n, k); of 5 tries 2 right, k 2: 1 - 3 / 10
    assert expected_maximum([[0, 1, 0, 1, 0]], 2) == pytest.approx([0.7])


def test_a_curve_rises_in_its_maximum_and_is_flat_in_its_mean():
    points = curve(np.random.default_rng(1).normal(size=(60, 16)), [1, 4, 16], resamples=200)
    assert [point.n for point in points] == [1, 4, 16]
    assert points[0].maximum.mean < points[1].maximum.mean < points[2].maximum.mean
    assert points[0].maximum == points[0].median
    assert points[0].mean == points[2].mean
    for point in points:
        assert point.maximum.low < point.maximum.mean < point.maximum.high


def test_bands_cover_what_they_should():
    """Of many experiments whose truth is known, nearly 95 in 100 bands hold it."""
    dice, held = np.random.default_rng(2), 0
    for _ in range(100):
        [point] = curve(dice.random((40, 8)), [4], resamples=200)
        held += point.maximum.low <= 4 / 5 <= point.maximum.high
    assert held >= 88


def test_curves_by_temperature_are_plain_records():
    from test_select import reply

    bag = [
        reply(f"p{i}", "x", float(i + j), scores={"safety": -1.0})
        for i in range(3)
        for j in range(6)
    ]
    bag = [*bag, reply("cut short", "x", 9.0)]
    records = curves_by_temperature(bag, resamples=50)
    assert [(r["temperature"], r["n"], r["prompts"]) for r in records] == [
        *((1.0, 1, 3), (1.0, 2, 3), (1.0, 4, 3), (1.0, 6, 3))
    ]
    assert records[-1]["maximum"]["mean"] == pytest.approx(6)  # 5, 6, 7
    assert records[0]["mean"]["mean"] == pytest.approx(3.5)
    assert curves_by_temperature(bag[:6], score="safety")[0]["maximum"]["mean"] == pytest.approx(-1)


def test_impossible_curves_are_refused():
    with pytest.raises(ValueError, match="rank 5 of 5 out of 4"):
        curve([[1.0, 2.0, 3.0, 4.0]], [5])
    with pytest.raises(ValueError, match="one row of scores a prompt"):
        curve([], [1])
