"""Gwet's AC1 and AC2 against published worked examples, and their limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalite.claims.worked_examples import (
    FIVE_OBSERVERS,
    FOUR_RATERS,
    WORKED_EXAMPLES,
    ratings_of_table,
)
from llamalite.evaluation.agreement import (
    agreement_weights,
    gwet_ac,
    gwet_ac_from_counts,
    percent_agreement,
    t_quantile,
)


@pytest.mark.parametrize("example", WORKED_EXAMPLES, ids=lambda example: example.name)
def test_published_worked_examples(example):
    if example.kind == "counts":
        found = gwet_ac_from_counts(example.data, example.weights)
    else:
        raw = ratings_of_table(example.data) if example.kind == "table" else example.data
        found = gwet_ac(raw, example.weights)
    correction = math.sqrt(1 - 1 / found.subjects) if example.population_variance else 1.0
    found = found._replace(standard_error=found.standard_error * correction)
    for field, (value, decimals) in example.printed.items():
        assert abs(getattr(found, field) - value) <= 0.5001 * 10**-decimals, field


# irrCAC 0.4 (Python), printed to six digits by its own code
SIX_DIGITS = {
    (FOUR_RATERS, "linear"): (0.858739, 0.117329, 0.570964),
    (FOUR_RATERS, "ordinal"): (0.898940, 0.106904, 0.685156),
    (FIVE_OBSERVERS, "linear"): (0.689639, 0.087691, 0.551298),
    (FIVE_OBSERVERS, "quadratic"): (0.830434, 0.058246, 0.682560),
    (FIVE_OBSERVERS, "ordinal"): (0.785342, 0.068188, 0.649745),
}


@pytest.mark.parametrize(("data", "weights"), SIX_DIGITS)
def test_a_second_implementation_agrees(data, weights):
    found = gwet_ac(data, weights)
    assert (found.coefficient, found.standard_error, found.chance) == pytest.approx(
        SIX_DIGITS[data, weights], abs=6e-7
    )


def test_percent_agreement_as_printed():
    # irrCAC's overview: 0.8181818, se 0.12561, (0.542, 1); weighting: 0.9753788, se 0.09062
    plain = percent_agreement(FOUR_RATERS)
    assert plain.coefficient == pytest.approx(9 / 11)
    assert plain.standard_error == pytest.approx(0.12561, abs=5e-6)
    assert (round(plain.low, 3), plain.high) == (0.542, 1.0)
    weighted = percent_agreement(FOUR_RATERS, "quadratic")
    assert (weighted.coefficient, weighted.standard_error) == pytest.approx(
        (0.9753788, 0.09062), abs=5e-6
    )


def test_weight_matrices_as_printed():
    # irrCAC's weighting document, categories 1:3
    assert agreement_weights([1, 2, 3], "linear")[0] == pytest.approx([1, 0.5, 0])
    assert agreement_weights([1, 2, 3], "quadratic")[0] == pytest.approx([1, 0.75, 0])
    assert agreement_weights([1, 2, 3], "ordinal")[1] == pytest.approx([2 / 3, 1, 2 / 3])


def test_two_raters_and_two_categories_by_hand():
    # 90 of 100 both say yes, 10 split: pa .9, share of yes .95, pe 2(.95)(.05) = .095
    ratings = [("yes", "yes")] * 90 + [("yes", "no")] * 10
    found = gwet_ac(ratings)
    assert (found.observed, found.chance) == pytest.approx((0.9, 0.095))
    assert found.coefficient == pytest.approx((0.9 - 0.095) / (1 - 0.095))
    # the paradox AC1 exists for: Cohen's kappa of the same table is 0 (no better than chance)
    assert found.coefficient > 0.85


def test_numeric_scales_use_their_distances_and_labels_their_ranks():
    assert agreement_weights([0, 1, 10], "linear")[0, 1] == pytest.approx(0.9)
    assert agreement_weights(["low", "mid", "high"], "linear")[0, 1] == pytest.approx(0.5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([1, 2, 3, 4, None]), min_size=3, max_size=3),
        min_size=3,
        max_size=12,
    ).filter(lambda rows: sum(sum(r is not None for r in row) >= 2 for row in rows) >= 2)
)
def test_order_of_subjects_and_raters_does_not_matter(rows):
    shuffled = [row[::-1] for row in rows[::-1]]
    for weights in ("identity", "ordinal"):
        one = gwet_ac(rows, weights, [1, 2, 3, 4])
        other = gwet_ac(shuffled, weights, [1, 2, 3, 4])
        assert one == pytest.approx(other, nan_ok=True)
        assert one.coefficient <= 1 + 1e-12


def test_full_agreement_is_one_and_unrated_subjects_do_not_count():
    full = gwet_ac([(1, 1), (2, 2), (3, 3), (None, None)])
    assert (full.coefficient, full.standard_error, full.subjects) == (1.0, 0.0, 3)
    assert gwet_ac([(1, 1), (1, 1)]).coefficient == 1.0  # a single category


def test_missing_may_be_nan():
    rows = [[np.nan if rating is None else float(rating) for rating in row] for row in FOUR_RATERS]
    assert gwet_ac(rows) == pytest.approx(gwet_ac(FOUR_RATERS))


def test_errors_name_the_value_and_the_remedy():
    with pytest.raises(ValueError, match="two ratings"):
        gwet_ac([(1, None), (None, 2)])
    with pytest.raises(ValueError, match="not among the categories"):
        gwet_ac([(1, 9)], categories=[1, 2])
    with pytest.raises(ValueError, match="choose identity"):
        gwet_ac([(1, 2)], "cubic")
    with pytest.raises(ValueError, match="2 x 2"):
        gwet_ac([(1, 2)], np.eye(3))


def test_t_quantile_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    for df in (1, 2, 11, 99, 5000):
        for probability in (0.5, 0.9, 0.975, 0.999):
            assert t_quantile(probability, df) == pytest.approx(
                stats.t.ppf(probability, df), rel=1e-7, abs=1e-9
            )
