"""Replies of a model against a fixed baseline's, side by side. Llama 2, section 3.4, figures 11-12.

Raters see both replies in random order and answer on 7 points, three raters to a pair (section
3.4.2); or a reward model judges by its scores (section 3.4.1). Each pair is a prompt of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from llamalite.evaluation.agreement import Agreement, Weighting, gwet_ac
from llamalite.evaluation.bootstrap import Interval, bootstrap_interval, wilson_interval
from llamalite.protocols import Annotator, Guideline

POINTS = {"significantly": 3, "better": 2, "slightly": 1, "negligibly": 0}
"""What a rating of a comparison is on the 7-point scale, from 0, "about the same", to 3, "much
better". The paper's two scales are apart; joining them here is not in the paper."""
SCALE = (-3, -2, -1, 0, 1, 2, 3)
"""The 7 points, from "baseline much better" to "model much better"."""


class WinRate(NamedTuple):
    """How often a model's reply beat the baseline's."""

    pairs: int
    win: float
    tie: float
    loss: float
    """Shares of the pairs, 0 to 1, of sum 1."""
    rate: Interval | None
    """win / (win + loss), as in figure 2, with Wilson's interval; None when every pair is a tie."""
    half_ties: Interval
    """win + tie / 2, with a bootstrap over the prompts."""
    agreement: Agreement | None
    """Gwet's AC2 of the raters (section 3.4.2); None for a single judge."""


def rate_side_by_side(
    raters: Sequence[Annotator],
    prompts: Sequence[Any],
    replies: Sequence[str],
    baseline: Sequence[str],
    guideline: Guideline = "helpfulness",
    seed: int = 0,
) -> list[list[int]]:
    """Points of `SCALE` by pair and rater, positive where the model's reply is the better.

    Which reply is shown as A is drawn anew for each pair and rater, and the points are turned back.
    Raises ValueError for lists of unequal lengths or no rater.
    """
    if not raters:
        raise ValueError("there are no raters; give at least 1 (the paper has 3)")
    if not len(prompts) == len(replies) == len(baseline):
        raise ValueError(
            f"{len(prompts)} prompts, {len(replies)} replies and {len(baseline)} of the baseline; "
            "give one of each per pair"
        )
    first_SR = np.random.default_rng(seed).random((len(prompts), len(raters))) < 0.5
    rows: list[list[int]] = []
    for prompt, reply, other, first_R in zip(prompts, replies, baseline, first_SR, strict=True):
        row: list[int] = []
        for rater, first in zip(raters, first_R, strict=True):
            shown = (reply, other) if first else (other, reply)
            judgement = rater.compare(prompt, *shown, guideline)
            ours = (judgement.choice == "a") == bool(first)
            row.append(POINTS[judgement.rating] if ours else -POINTS[judgement.rating])
        rows.append(row)
    return rows


def outcomes_of_ratings(ratings: Sequence[Sequence[int]], by: str = "majority") -> list[int]:
    """1 for a win, 0 for a tie, -1 for a loss of each pair, from its raters' points.

    `majority`: what more than half of the raters say (better, same, worse), else a tie. `mean`: the
    sign of the mean point. The paper does not say how it joins its three raters.
    """
    if by not in ("majority", "mean"):
        raise ValueError(f"unknown way {by!r} to join raters; choose majority or mean")
    if not all(ratings):
        raise ValueError("a pair has no ratings; leave it out")
    if by == "mean":
        return [int(np.sign(sum(row))) for row in ratings]
    signs = [[int(np.sign(point)) for point in row] for row in ratings]
    return [next((s for s in (1, -1) if 2 * row.count(s) > len(row)), 0) for row in signs]


def outcomes_of_scores(
    scores: Sequence[float], baseline: Sequence[float], margin: float = 0.0
) -> list[int]:
    """The same outcomes by a judge that scores each reply alone, such as a reward model.

    Scores no further apart than `margin` are a tie. Raises ValueError for unequal lengths, a
    negative margin or a score that is not finite.
    """
    if len(scores) != len(baseline):
        raise ValueError(
            f"{len(scores)} scores against {len(baseline)} of the baseline; give one per pair"
        )
    if margin < 0:
        raise ValueError(f"margin is {margin}; it must be at least 0")
    apart = np.asarray(scores, dtype=float) - np.asarray(baseline, dtype=float)
    if not np.isfinite(apart).all():
        raise ValueError(f"scores of pair {int(np.argmin(np.isfinite(apart)))} are not finite")
    return [int(np.sign(x)) if abs(x) > margin else 0 for x in apart]


def win_rate(
    outcomes: Sequence[int], agreement: Agreement | None = None, confidence: float = 0.95
) -> WinRate:
    """Shares and win rates of outcomes 1 (win), 0 (tie) and -1 (loss), one per prompt."""
    if not outcomes or set(outcomes) - {-1, 0, 1}:
        raise ValueError("outcomes must be 1, 0 or -1, and at least one of them")
    pairs, wins, losses = len(outcomes), list(outcomes).count(1), list(outcomes).count(-1)
    decided = wins + losses
    return WinRate(
        pairs,
        wins / pairs,
        (pairs - decided) / pairs,
        losses / pairs,
        wilson_interval(wins, decided, confidence) if decided else None,
        bootstrap_interval([(1 + outcome) / 2 for outcome in outcomes], confidence),
        agreement,
    )


def win_rate_of_ratings(
    ratings: Sequence[Sequence[int]],
    by: str = "majority",
    weights: Weighting = "quadratic",
    confidence: float = 0.95,
) -> WinRate:
    """The win rate by several raters' points, with Gwet's AC2 when a pair has two of them.

    The paper names no weights for AC2; quadratic ones are the usual choice for such a scale.
    """
    outcomes = outcomes_of_ratings(ratings, by)
    several = any(len(row) > 1 for row in ratings)
    agreement = gwet_ac(ratings, weights, SCALE, confidence) if several else None
    return win_rate(outcomes, agreement, confidence)
