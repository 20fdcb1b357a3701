"""Statistics as one number per item: means are the statistics, spreads those of theory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.claims.influence import (
    difference_items,
    jackknife_items,
    rank_correlation_items,
    ranks,
    slope_items,
)

ints = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=30)


def test_a_difference_of_other_items():
    items = difference_items([1.0, 2.0, 6.0], [1.0, 0.0])
    assert len(items) == 5
    assert items.mean() == pytest.approx(2.5)


def test_its_spread_is_that_of_two_independent_means():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 90), rng.normal(0, 3, 400)
    items = difference_items(a, b)
    assert items.var() / len(items) == pytest.approx(a.var() / 90 + b.var() / 400)


@given(ints)
def test_slope_is_numpys(pairs):
    x, y = np.array(pairs, dtype=float).T
    if len(set(x)) < 2:
        assert not slope_items(x, y).any()
    else:
        assert slope_items(x, y).mean() == pytest.approx(np.polyfit(x, y, 1)[0], abs=1e-9)


@given(ints)
def test_rank_correlation_is_that_of_torchmetrics(pairs):
    torch = pytest.importorskip("torch")
    from torchmetrics.functional import spearman_corrcoef

    x, y = np.array(pairs, dtype=float).T
    mine = rank_correlation_items(x, y).mean()
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert mine == 0
    else:
        assert mine == pytest.approx(
            float(spearman_corrcoef(torch.tensor(x), torch.tensor(y))), abs=1e-3
        )


def test_ranks_are_shared_by_equals():
    assert ranks([5, 9, 5]).tolist() == [1.5, 3.0, 1.5]


@pytest.mark.parametrize("statistic", [slope_items, rank_correlation_items])
def test_spread_is_about_what_redrawing_the_sample_gives(statistic):
    rng = np.random.default_rng(1)

    def sample(n=200):
        x = rng.normal(0, 1, n)
        return x, 0.6 * x + rng.normal(0, 0.8, n)

    redrawn = np.std([statistic(*sample()).mean() for _ in range(400)])
    told = np.mean([statistic(*sample()).std() / np.sqrt(200) for _ in range(50)])
    assert told == pytest.approx(redrawn, rel=0.15)


def test_the_jackknife_of_a_mean_is_the_values_and_of_a_variance_is_unbiased():
    values = [1.0, 4.0, 10.0]
    assert jackknife_items(np.mean, values).tolist() == pytest.approx(values)
    assert jackknife_items(np.var, values).mean() == pytest.approx(np.var(values, ddof=1))


def test_of_nothing_there_is_nothing():
    assert slope_items([], []).size == rank_correlation_items([], []).size == 0
