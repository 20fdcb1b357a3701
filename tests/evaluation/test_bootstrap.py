"""Bootstrap and Wilson intervals against SciPy, closed forms and hand-worked cases."""

import numpy as np
import pytest

from llamalite.evaluation.bootstrap import (
    bootstrap_interval,
    bootstrap_over_seeds,
    wilson_interval,
)

stats = pytest.importorskip("scipy.stats")


def test_interval_over_items_matches_scipy():
    values = np.random.default_rng(5).exponential(size=120)
    ours = bootstrap_interval(values, resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


def test_three_seeds_give_the_range():
    # all three draws are the smallest in 1 of 27 resamples: 3.7 % > 2.5 %
    assert bootstrap_interval([0.4, 0.1, 0.2]) == pytest.approx((0.7 / 3, 0.1, 0.4))


def test_same_seed_same_interval_and_other_seed_another():
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    groups = [values[:20], values[20:]]
    assert bootstrap_over_seeds(groups, seed=3) == bootstrap_over_seeds(groups, seed=3)


def test_seeds_without_items_are_a_plain_bootstrap():
    flat = bootstrap_interval([1.0, 2.0, 4.0])
    nested = bootstrap_over_seeds([[1.0], [2.0], [4.0]])
    assert nested == pytest.approx(flat)


def test_spread_over_seeds_and_items_is_that_of_the_two_stage_draw():
    # variance of the two-stage resampled mean, by the law of total variance:
    # Var(seed means)/S + mean(Var(items)/n)/S, with population variances of the sample
    rng = np.random.default_rng(1)
    groups = [rng.normal(loc=centre, size=40) for centre in (0.0, 0.3, 0.5, 0.9, 1.0, 1.4)]
    centres = np.array([g.mean() for g in groups])
    within = np.mean([g.var() / len(g) for g in groups])
    expected = np.sqrt((centres.var() + within) / len(groups))
    interval = bootstrap_over_seeds(groups, resamples=20_000)
    assert interval.mean == pytest.approx(centres.mean())
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(expected, rel=0.03)


def test_every_seed_weighs_the_same_whatever_its_number_of_items():
    assert bootstrap_over_seeds([[0.0] * 99, [1.0]]).mean == 0.5


def test_memory_stays_bounded_for_many_items():
    interval = bootstrap_over_seeds([np.arange(30_000) % 2] * 2, resamples=300)
    assert interval.low < 0.5 < interval.high
    assert interval.high - interval.low < 0.02


def test_wilson_against_scipy_and_at_the_ends():
    for successes, trials in ((0, 10), (1, 7), (81, 263), (10, 10)):
        theirs = stats.binomtest(successes, trials).proportion_ci(method="wilson")
        ours = wilson_interval(successes, trials)
        assert ours.mean == successes / trials
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("values", [[], [[1.0]]])
def test_bad_values_are_named(values):
    with pytest.raises(ValueError, match="give a list"):
        bootstrap_interval(values)
    with pytest.raises(ValueError, match="for each seed"):
        bootstrap_over_seeds([values] if values else [])
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(3, 2)
