"""Win rates against SciPy, hand-worked tables and raters whose answer is known."""

from types import SimpleNamespace

import pytest

from llamalite.evaluation.win_rate import (
    outcomes_of_ratings,
    outcomes_of_scores,
    rate_side_by_side,
    win_rate,
    win_rate_of_ratings,
)

stats = pytest.importorskip("scipy.stats")


class LongerIsBetter:
    """Rates by length alone; notes which place the model's reply stood in."""

    identity = 0

    def __init__(self):
        self.seen = []

    def compare(self, prompt, reply_a, reply_b, guideline="helpfulness"):
        self.seen.append((reply_a, reply_b, guideline))
        apart = min(3, abs(len(reply_a) - len(reply_b)))
        rating = ("negligibly", "slightly", "better", "significantly")[apart]
        choice = "a" if len(reply_a) > len(reply_b) else "b"
        return SimpleNamespace(choice=choice, rating=rating, safety_bin=None)


class AlwaysFirst:
    identity = 1

    def compare(self, prompt, reply_a, reply_b, guideline="helpfulness"):
        return SimpleNamespace(choice="a", rating="better", safety_bin=None)


def test_points_are_the_models_whatever_the_order():
    rater = LongerIsBetter()
    replies = ["xxxx", "x", "xx", "xxx"] * 10
    baseline = ["x", "xxx", "xx", "xx"] * 10
    rows = rate_side_by_side([rater], range(40), replies, baseline, "safety", seed=3)
    assert rows == [[3], [-2], [0], [1]] * 10
    first = [a == ours for (a, _, _), ours in zip(rater.seen, replies, strict=True)]
    assert 10 < sum(first) < 40
    assert {guideline for *_, guideline in rater.seen} == {"safety"}


def test_a_rater_of_places_prefers_nobody():
    rows = rate_side_by_side([AlwaysFirst()] * 3, range(400), ["x"] * 400, ["y"] * 400)
    wins = sum(point > 0 for row in rows for point in row)
    assert stats.binomtest(wins, 1200).pvalue > 0.001
    assert any(len(set(row)) == 2 for row in rows)  # an order for each rater
    assert rows == rate_side_by_side([AlwaysFirst()] * 3, range(400), ["x"] * 400, ["y"] * 400)


@pytest.mark.parametrize(
    ("row", "majority", "mean"),
    [
        ([3, -1, -1], -1, 1),
        ([1, 1, -2], 1, 0),
        ([1, 0, -1], 0, 0),
        ([0, 0, 2], 0, 1),
        ([2, 0, 0, 1], 0, 1),
        ([-1], -1, -1),
    ],
)
def test_joining_raters_by_hand(row, majority, mean):
    assert outcomes_of_ratings([row]) == [majority]
    assert outcomes_of_ratings([row], "mean") == [mean]


def test_scores_within_the_margin_are_ties():
    assert outcomes_of_scores([1.0, 0.0, 2.0], [0.0, 0.5, 2.0]) == [1, -1, 0]
    assert outcomes_of_scores([1.0, 0.0, 2.0], [0.0, 0.5, 2.0], margin=0.5) == [1, 0, 0]


def test_rates_of_figure_1_and_wilson_of_scipy():
    # Llama 2 70B against ChatGPT in figure 1: 35.9 / 31.5 / 32.5 %
    result = win_rate([1] * 359 + [0] * 316 + [-1] * 325)
    assert result[:4] == (1000, 0.359, 0.316, 0.325)
    theirs = stats.binomtest(359, 684).proportion_ci(method="wilson")
    assert result.rate == pytest.approx((359 / 684, theirs.low, theirs.high))
    assert result.half_ties.mean == pytest.approx(0.517)
    # variance of 1, 1/2, 0 with these shares: 0.359 + 0.079 - 0.517^2 = 0.170711
    assert result.half_ties.high - 0.517 == pytest.approx(1.96 * 0.0130656, rel=0.1)
    assert result.agreement is None


def test_exchanging_the_models_mirrors_the_rate():
    ratings = [[3, 1, 2], [-1, 0, -2], [1, 1, 1], [0, 0, 1], [-3, -3, -3], [2, 2, -1]]
    there = win_rate_of_ratings(ratings)
    back = win_rate_of_ratings([[-point for point in row] for row in ratings])
    assert (there.win, there.tie, there.loss) == pytest.approx((3 / 6, 1 / 6, 2 / 6))
    assert there.rate.low == pytest.approx(1 - back.rate.high)
    assert there.agreement.coefficient == pytest.approx(back.agreement.coefficient)


def test_agreement_counts_the_whole_scale():
    # two raters, pairs (3, 3) and (0, 1); quadratic weight of (0, 1) is 35/36, observed 71/72.
    # Sum of the 7 x 7 weights is 49 - 392/36, shares 1/2, 1/4, 1/4: chance (343/9)/42 * 5/8.
    observed, chance = 71 / 72, (343 / 9) / 42 * 5 / 8
    agreement = win_rate_of_ratings([[3, 3], [0, 1]]).agreement
    assert agreement.coefficient == pytest.approx((observed - chance) / (1 - chance))


def test_nothing_decided_has_no_rate():
    result = win_rate([0, 0])
    assert result.rate is None
    assert result.half_ties == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: win_rate([]), "at least one"),
        (lambda: win_rate([2]), "1, 0 or -1"),
        (lambda: rate_side_by_side([], [1], ["x"], ["y"]), "no raters"),
        (lambda: rate_side_by_side([AlwaysFirst()], [1], ["x"], []), "0 of the baseline"),
        (lambda: outcomes_of_ratings([[]]), "no ratings"),
        (lambda: outcomes_of_ratings([[1]], "median"), "median"),
        (lambda: outcomes_of_scores([1.0], []), "1 scores against 0"),
        (lambda: outcomes_of_scores([1.0], [2.0], -1.0), "margin is -1"),
        (lambda: outcomes_of_scores([1.0, float("nan")], [2.0, 1.0]), "pair 1"),
    ],
)
def test_errors_name_the_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call()
