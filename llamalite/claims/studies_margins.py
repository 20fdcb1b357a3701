"""Claims about the terms of the reward models' losses: R2 (the margin) and R5 (safety)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamalite.claims.reward_runs import (
    REWARD,
    auxiliary_arms,
    kept_apart,
    margin_arms,
    scored,
    some,
)
from llamalite.claims.rules import Above, Greater, GreaterApart, Ordered, Rule
from llamalite.claims.study import Finished, claim
from llamalite.preferences.protocol import RATINGS

OUTER = 0.1
"""Width of each end of the scale from 0 to 1 that R2 counts scores in."""
PRECISION = 0.89
"""Share of the flagged replies that are unsafe, at which R5 compares; that of section 3.2.3."""
ENOUGH_UNSAFE = 20
"""Fewer unsafe replies than this measure no recall."""


@claim(
    "R2",
    Rule(
        "Three helpfulness models differ in the margin of their loss only (table 27: none, small, "
        "large) and judge the same comparisons kept apart. The gain of a pair is how much more "
        "often the two models with a margin, on average, agree with the annotators' choice than "
        "the one without. On pairs rated significantly better the mean gain is above 0; it is "
        "greater there than on all other pairs; and scores become more bimodal with the margin: "
        f"the share of replies in the outer {OUTER:g} at either end, of the sigmoid of the score "
        "less the model's median, is greater with the large margin than without, and the means of "
        "the three stand in order. All must hold. Pairs equally good by the truth are left out.",
        (
            Above("gain, significantly"),
            GreaterApart("gain, significantly", "gain, other ratings"),
            Greater("outer scores, large", "outer scores, none"),
            Ordered(tuple(f"outer scores, {m}" for m in ("large", "small", "none")), strict=False),
        ),
    ),
    arms=margin_arms,
    until=REWARD,
)
def margins(finished: Finished) -> dict[str, Any]:
    """Gains by rating, accuracy as in table 28, and how the scores of each model lie."""
    apart = kept_apart(finished.preset, finished.arms["none"], "helpfulness")
    rating = apart.rating[~apart.tie]
    found: dict[str, Any] = {}
    right: dict[str, NDArray[np.float64]] = {}
    for margin, stages in finished.arms.items():
        judged = scored(stages, "helpfulness", apart)
        right[margin] = judged.right[~apart.tie]
        scores = np.concatenate([judged.chosen, judged.rejected])
        found[f"outer scores, {margin}"] = outer(scores)
        found[f"bimodality, {margin}"] = bimodality(scores)
        found[f"score difference, {margin}"] = np.abs(judged.chosen - judged.rejected)
        found[f"all, {margin}"] = some(right[margin], 0.5)
        for place, name in enumerate(RATINGS):
            found[f"{name}, {margin}"] = some(right[margin][rating == place], 0.5)
    gain = (right["small"] + right["large"]) / 2 - right["none"]
    found["gain, significantly"] = some(gain[rating == 0], 0.0)
    found["gain, other ratings"] = some(gain[rating > 0], 0.0)
    return found


@claim(
    "R5",
    Rule(
        "Two safety models differ in the auxiliary loss only. Of the replies that annotators "
        "called unsafe in comparisons kept apart, the one trained with it flags a greater share at "
        "equal precision: each model flags the scores below a cut of its own, set on one half of "
        f"the pairs so that the paper's {PRECISION:g} of what it flags is unsafe there, and "
        "counted on the other half, and the reverse. "
        f"With fewer than {ENOUGH_UNSAFE} unsafe replies in any seed nothing is shown.",
        (Greater("recall, with", "recall, without"),),
        presupposed=(Above("enough unsafe replies", 0.5),),
    ),
    arms=auxiliary_arms,
    until=REWARD,
)
def auxiliary_loss(finished: Finished) -> dict[str, Any]:
    """Which unsafe replies each model flags; also as shipped (below .15 after its calibration on
    training pairs, section 3.2.3) and at .5 before it, as in table 29."""
    from llamalite.reward.metrics import unsafe_replies

    apart = kept_apart(finished.preset, finished.arms["with"], "safety")
    found: dict[str, Any] = {}
    for arm, stages in finished.arms.items():
        judged = scored(stages, "safety", apart)
        settings = stages[REWARD].manifest["config"]
        scores, unsafe = unsafe_replies(judged)
        pair = np.tile(np.arange(len(scores) // 2), 2)  # the pair a reply stands in
        moved = stages[REWARD].manifest["metrics"].get("safety_bias_moved") or 0.0
        at = {
            "recall": flagged_across(scores, unsafe, pair % 2 == 0),
            "recall as shipped": sigmoid(scores) < settings["threshold"],
            "recall at .5, not calibrated": sigmoid(scores - moved) < 0.5,
        }
        for name, flags in at.items():
            found[f"{name}, {arm}"] = some(flags[unsafe], 0.0)
            found[f"{name.replace('recall', 'precision')}, {arm}"] = some(unsafe[flags], 0.0)
        decided = ~apart.tie
        found[f"accuracy, {arm}"] = some(judged.right[decided], 0.5)
        found["unsafe replies"] = int(unsafe.sum())
        found["enough unsafe replies"] = float(unsafe.sum() >= ENOUGH_UNSAFE)
    return found


def flagged_across(
    scores: NDArray[np.float64],
    unsafe: NDArray[np.bool_],
    half: NDArray[np.bool_],
    threshold: float = 0.15,
) -> NDArray[np.bool_]:
    """Which replies lie below the cut that the other half sets at `PRECISION`.

    A half without both kinds of replies sets no cut, and nothing of the other is flagged.
    """
    from llamalite.reward.calibration import calibrate

    found = np.zeros(len(scores), dtype=bool)
    for here in (half, ~half):
        truth = unsafe[~here]
        if truth.any() and not truth.all():
            shift = calibrate(scores[~here], truth, threshold, PRECISION)
            found[here] = sigmoid(scores[here] + shift) < threshold
    return found


def outer(scores: ArrayLike) -> NDArray[np.float64]:
    """1 for each score whose sigmoid, less the median of all, lies near 0 or 1; else 0.

    A reward model knows scores only up to a constant, hence the median. Figure 27 shows the
    sigmoid's histogram.
    """
    values = np.asarray(scores, dtype=float)
    return (np.abs(sigmoid(values - np.median(values)) - 0.5) > 0.5 - OUTER).astype(float)


def bimodality(scores: ArrayLike) -> float:
    """Sarle's coefficient (skewness squared + 1) / kurtosis: 5/9 for a flat distribution, more for
    two peaks, 1 for two points; it does not depend on the scale. 0 where all scores are equal."""
    values = np.asarray(scores, dtype=float)
    away = values - values.mean()
    if not away.any():
        return 0.0
    away = away / np.sqrt((away**2).mean())
    return float(((away**3).mean() ** 2 + 1) / (away**4).mean())


def sigmoid(scores: ArrayLike) -> NDArray[np.float64]:
    """The probability whose logit each score is."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(scores, dtype=float), -500, 500)))
