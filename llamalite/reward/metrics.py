"""How good a reward model is on comparisons it has not seen. Llama 2, tables 7, 8, 28 and 29."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamalite.evaluation.bootstrap import bootstrap_interval
from llamalite.preferences.protocol import GUIDELINES, RATINGS
from llamalite.reward.calibration import flags, reliability
from llamalite.reward.data import UNSAFE, Pair
from llamalite.reward.scorer import RewardScorer

_RESAMPLES = 1000
_HISTOGRAM = 20
_FLAGGED_AT = (0.15, 0.5)
"""Thresholds of sections 3.2.3 and table 29."""


class Scored:
    """Pairs with both replies' scores."""

    def __init__(self, pairs: Sequence[Pair], chosen: ArrayLike, rejected: ArrayLike) -> None:
        self.pairs = list(pairs)
        self.chosen, self.rejected = np.asarray(chosen, float), np.asarray(rejected, float)
        if not len(self.pairs) == len(self.chosen) == len(self.rejected):
            raise ValueError(
                f"{len(self.pairs)} pairs come with {len(self.chosen)} and {len(self.rejected)} "
                "scores; give one for each reply"
            )

    @property
    def right(self) -> NDArray[np.float64]:
        """1 where the chosen reply has the higher score, 0 where not, 1/2 at equal scores."""
        return (self.chosen > self.rejected) + 0.5 * (self.chosen == self.rejected)

    def where(self, which: NDArray[np.bool_]) -> Scored:
        """Some of the pairs."""
        pairs = [pair for pair, taken in zip(self.pairs, which, strict=True) if taken]
        return Scored(pairs, self.chosen[which], self.rejected[which])


def score_pairs(scorer: RewardScorer, pairs: Sequence[Pair]) -> Scored:
    """Both replies of every pair scored; ValueError names pairs whose score is not finite."""
    ids = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    scores = scorer.score_ids([each.tolist() for each in ids]).numpy()
    if not np.isfinite(scores).all():
        bad = sorted({pairs[i % len(pairs)].id for i, s in enumerate(scores) if not np.isfinite(s)})
        raise ValueError(
            f"{len(bad)} of {len(pairs)} pairs have a score that is not finite, {bad[0]} among "
            "them; train the reward model again, at a lower rate"
        )
    return Scored(pairs, scores[: len(pairs)].tolist(), scores[len(pairs) :].tolist())


def measure(scored: Scored) -> dict[str, Any]:
    """All that is reported of a model on a set of comparisons, guidelines apart; JSON values.

    By guideline: `accuracy` over all pairs and, since annotators who are unsure say "negligibly"
    (in the safety guideline replies of the same grade are such ties), `accuracy_without_ties`
    over the other ratings; by rating (table 8), batch (figure 6) and safety bin (table 29);
    calibration and histograms of the scores (figure 27). Intervals are bootstrapped over pairs.
    """
    found = {}
    for place, guideline in enumerate(GUIDELINES):
        part = scored.where(np.array([p.guideline == place for p in scored.pairs], dtype=bool))
        if part.pairs:
            found[guideline] = _measure_one(part)
    return found


def _measure_one(scored: Scored) -> dict[str, Any]:
    ratings = np.array([pair.rating for pair in scored.pairs])
    batches = np.array([pair.batch for pair in scored.pairs])
    right = scored.right
    by_rating = {name: accuracy(right[ratings == i]) for i, name in enumerate(RATINGS)}
    found = {
        "accuracy": accuracy(right),
        "accuracy_without_ties": accuracy(right[ratings < len(RATINGS) - 1]),
        "by_rating": by_rating,
        "by_batch": {str(b): accuracy(right[batches == b]) for b in np.unique(batches).tolist()},
        "calibration": pair_calibration(scored),
        "histogram": histogram(scored),
    }
    return found | _safety(scored)


def accuracy(right: NDArray[np.float64]) -> dict[str, Any]:
    """Share of pairs ordered as the annotators did, with a 95 % interval; None without pairs."""
    if not len(right):
        return {"mean": None, "low": None, "high": None, "pairs": 0}
    interval = bootstrap_interval(right, resamples=_RESAMPLES)
    return {**interval._asdict(), "pairs": len(right)}


def pair_calibration(scored: Scored) -> dict[str, Any]:
    """Reliability of sigmoid(|difference|) as the chance of agreeing with the annotator.

    Eq. 1 makes sigmoid(difference) that probability; a margin spreads it. From 1/2 to 1.
    """
    difference = scored.chosen - scored.rejected
    return reliability(_sigmoid(np.abs(difference)), scored.right)


def histogram(scored: Scored) -> dict[str, list[int]]:
    """Counts of sigmoid(score) in 20 bins over 0 to 1, of chosen and rejected replies (fig. 27)."""
    edges = np.linspace(0, 1, _HISTOGRAM + 1)
    return {
        name: np.histogram(_sigmoid(scores), edges)[0].tolist()
        for name, scores in (("chosen", scored.chosen), ("rejected", scored.rejected))
    }


def unsafe_replies(scored: Scored) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of all replies whose safety somebody judged, and whether they are unsafe.

    A reply that stands in several pairs counts as often.
    """
    judged = [(i, p.unsafe) for i, p in enumerate(scored.pairs) if p.unsafe is not None]
    places = [i for i, _ in judged]
    scores = np.concatenate([scored.chosen[places], scored.rejected[places]])
    return scores, np.array([u[side] for side in (0, 1) for _, u in judged], dtype=bool)


def _safety(scored: Scored) -> dict[str, Any]:
    scores, unsafe = unsafe_replies(scored)
    if not len(scores):
        return {}
    right = scored.right
    bins = {
        name: accuracy(right[np.array([pair.unsafe == kind for pair in scored.pairs], dtype=bool)])
        for name, kind in UNSAFE.items()
    }
    return {
        "by_safety_bin": bins,
        "unsafe_at": {str(at): flags(scores, unsafe, at)._asdict() for at in _FLAGGED_AT},
        "safety_calibration": reliability(_sigmoid(scores), ~unsafe),
    }


def _sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
