"""Verdicts follow from measurements as the ledger promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.claims.rules import (
    Above,
    Below,
    Distinct,
    Exact,
    Greater,
    GreaterApart,
    Ordered,
    Rule,
)


def verdict(condition, measurements):
    return Rule("", (condition,)).judge(measurements)[0]


def seeds(*rows):
    return [dict(zip("abc", row, strict=False)) for row in rows]


def test_a_difference_all_seeds_agree_on_holds_and_its_reverse_is_contradicted():
    measured = seeds((0.9, 0.5), (0.8, 0.6), (0.7, 0.4))
    assert verdict(Greater("a", "b"), measured) == "holds"
    assert verdict(Greater("b", "a"), measured) == "contradicted"


def test_one_seed_of_three_against_it_is_not_shown_either_way():
    measured = seeds((0.9, 0.5), (0.8, 0.6), (0.4, 0.5))
    assert verdict(Greater("a", "b"), measured) == "not_shown"
    assert verdict(Greater("b", "a"), measured) == "not_shown"


def test_two_seeds_decide_nothing():
    assert verdict(Greater("a", "b"), seeds((0.9, 0.1), (0.9, 0.1))) == "not_shown"


def test_items_widen_the_interval():
    rng = np.random.default_rng(0)
    few = [{"a": rng.normal(0.2, 1, 20), "b": np.zeros(20)} for _ in range(3)]
    many = [{"a": rng.normal(0.2, 1, 4000), "b": np.zeros(4000)} for _ in range(3)]
    assert verdict(Greater("a", "b"), few) == "not_shown"
    assert verdict(Greater("a", "b"), many) == "holds"


def test_items_are_paired():
    # each item's difference is 0.01 though items differ by far more
    hard = np.random.default_rng(1).normal(0, 5, 50)
    measured = [{"a": hard + 0.01, "b": hard} for _ in range(3)]
    assert verdict(Greater("a", "b"), measured) == "holds"
    with pytest.raises(ValueError, match="same items"):
        Greater("a", "b").judge([{"a": [1.0, 2.0], "b": [1.0]}])


def test_other_items_are_compared_apart():
    rng = np.random.default_rng(2)

    def measured(gap, n):
        return [{"a": rng.normal(gap, 1, n), "b": rng.normal(0, 1, 2 * n)} for _ in range(3)]

    many = measured(0.3, 2000)
    assert verdict(GreaterApart("a", "b"), many) == "holds"
    assert verdict(GreaterApart("b", "a"), many) == "contradicted"
    assert verdict(GreaterApart("a", "b"), measured(0.3, 10)) == "not_shown"
    (finding,) = GreaterApart("a", "b").judge([{"a": [1.0, 0.0], "b": [0.25]}] * 3)
    assert finding.mean == pytest.approx(0.25)
    assert verdict(GreaterApart("a", "b"), [{"a": [1.0], "b": [0.5, 1.5]}] * 3) == "not_shown"


def test_thresholds():
    falling = [{"slope": value} for value in (-0.3, -0.2, -0.4)]
    assert verdict(Below("slope"), falling) == "holds"
    assert verdict(Above("slope"), falling) == "contradicted"
    assert verdict(Below("slope", -0.35), falling) == "not_shown"
    (finding,) = Below("slope", -0.1).judge(falling)
    assert finding.mean == pytest.approx(-0.3)  # in the metric's own units
    assert (finding.low, finding.high) == pytest.approx((-0.4, -0.2))
    (finding,) = Below("share", 0.05).judge([{"share": [0.0] * 24}] * 3)
    assert (finding.mean, finding.low, finding.high) == (0, 0, 0)  # and not 1e-18


def test_order_judges_every_neighbouring_pair():
    measured = seeds((3, 2, 1), (3, 2, 1.5), (3, 2, 2.2))
    assert verdict(Ordered(("a", "b", "c")), measured) == "not_shown"
    assert verdict(Ordered(("a", "b", "c"), strict=False), measured) == "holds"
    assert verdict(Ordered(("b", "a", "c")), measured) == "contradicted"
    assert verdict(Ordered(("b", "a", "c"), strict=False), measured) == "contradicted"


def test_ties_decide_nothing():
    same = [{"a": [0.1, 0.2, 0.3], "b": [0.3, 0.2, 0.1]}] * 3  # their sums differ by a rounding
    assert sum([0.3, 0.2, 0.1]) != sum([0.1, 0.2, 0.3])
    for first, second in ("ab", "ba"):
        assert verdict(Greater(first, second), same) == "not_shown"
        assert verdict(Ordered((first, second), strict=False), same) == "not_shown"
    assert verdict(Above("a", 0.2), same) == verdict(Below("a", 0.2), same) == "not_shown"


def test_what_a_rule_presupposes_comes_first():
    rule = Rule("", (Greater("a", "b"),), presupposed=(Distinct(("c", "d")),))

    def judged(a, b, *checks):
        measured = [{"a": a, "b": b, "c": [x, 1, 0], "d": [1, 0, y]} for x, y in checks]
        return rule.judge(measured)[0]

    assert judged(0.9, 0.1, (1, 0), (1, 0), (1, 0)) == "holds"
    assert judged(0.1, 0.9, (1, 0), (0, 1), (1, 0)) == "contradicted"
    # in the second seed c and d have the same mean: who is ranked first there?
    assert judged(0.9, 0.1, (1, 0), (1, 1), (1, 0)) == "not_shown"
    assert judged(0.1, 0.9, (1, 0), (1, 1), (1, 0)) == "not_shown"
    (finding,) = Distinct(("a", "b", "c")).judge([{"a": 0.5, "b": 0.8, "c": 0.6}])
    assert finding.mean == pytest.approx(0.1)  # the two closest


def test_what_is_asked_besides_is_judged_and_has_no_say():
    rule = Rule("", (Greater("a", "b"),), besides=(Above("a", 0.5), Below("b", 0.05)))
    measured = [{"a": [0.9, 0.7], "b": [0.1, 0.3]}] * 3
    assert rule.judge(measured)[0] == "holds"
    assert len(rule.judge(measured)[1]) == 1
    above, below = rule.judge_besides(measured)
    assert (above.verdict, above.mean, below.verdict) == (
        "holds",
        pytest.approx(0.8),
        "contradicted",
    )
    assert {finding.verdict for finding in rule.judge_besides(measured[:2])} == {"not_shown"}


def test_conditions_that_test_nothing_are_refused():
    with pytest.raises(ValueError, match="name two"):
        Ordered(("a",))
    with pytest.raises(ValueError, match="at least one"):
        Exact({})


def test_exact_uses_the_printed_rounding():
    rule = Exact({"x": (31.22, 2), "billions": (70, -1)})
    assert verdict(rule, [{"x": 31.2249, "billions": 68.98}]) == "holds"
    assert verdict(rule, [{"x": 31.226, "billions": 68.98}]) == "contradicted"
    assert verdict(rule, [{"x": 31.22, "billions": 64.0}]) == "contradicted"


def test_a_rule_holds_only_when_every_condition_does():
    both = Rule("", (Greater("a", "b"), Greater("a", "c")))
    measured = seeds((3, 2, 1), (3, 2, 1), (3, 2, 9))
    assert both.judge(measured)[0] == "not_shown"
    worse = seeds((3, 2, 8), (3, 2, 7), (3, 2, 9))
    assert both.judge(worse)[0] == "contradicted"


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=6), st.floats(-2, 2))
def test_above_and_below_never_both_hold(numbers, threshold):
    measured = [{"x": number} for number in numbers]
    found = {verdict(kind("x", threshold), measured) for kind in (Above, Below)}
    assert found in ({"holds", "contradicted"}, {"not_shown"})


def test_missing_and_broken_measurements_are_named():
    with pytest.raises(ValueError, match="b was not measured"):
        Greater("a", "b").judge([{"a": 1.0}])
    with pytest.raises(ValueError, match="finite"):
        Above("a").judge([{"a": float("nan")}])
    for nothing in ([], [0.5, None]):  # no items, and one that was not measured
        with pytest.raises(ValueError, match="finite numbers, at least one"):
            Above("a").judge([{"a": nothing}])
