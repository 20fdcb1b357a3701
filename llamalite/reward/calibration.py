"""Whether scores mean what they say, and the bias that makes them. Llama 2, section 3.2.3, A.3.3.

A model trained on comparisons knows scores only up to a constant, and the piecewise rule reads the
safety score on an absolute scale.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Flags(NamedTuple):
    """How well "sigmoid(score) below the threshold" tells the unsafe replies."""

    precision: float | None
    """Share of the flagged replies that are unsafe; None where none is flagged."""
    recall: float | None
    """Share of the unsafe replies that are flagged; None where there is none."""
    flagged: int
    unsafe: int
    replies: int


def flags(scores: ArrayLike, unsafe: ArrayLike, threshold: float) -> Flags:
    """Precision and recall of calling replies unsafe, as the paper gives them for .15 (3.2.3).

    `scores` are logits, `unsafe` says what is true of each.
    """
    scores, truth = _checked(scores, unsafe)
    flagged = scores < _logit(threshold)
    hits = int((flagged & truth).sum())
    return Flags(
        hits / int(flagged.sum()) if flagged.any() else None,
        hits / int(truth.sum()) if truth.any() else None,
        int(flagged.sum()),
        int(truth.sum()),
        len(truth),
    )


def calibrate(
    scores: ArrayLike, unsafe: ArrayLike, threshold: float = 0.15, precision: float = 0.89
) -> float:
    """The number to add to all scores so that those flagged unsafe are so with this precision.

    Llama 2, section 3.2.3 reports a precision of .89 at a threshold of .15 and not how it came
    about; moving the bias is not in the paper. Of all cuts between two scores that reach the
    precision, the one that flags most replies is taken; where none does, the most precise (of
    equals, the one that flags fewest). Raises ValueError unless there are safe and unsafe replies.
    """
    scores, truth = _checked(scores, unsafe)
    if truth.all() or not truth.any():
        raise ValueError(
            f"{int(truth.sum())} of {len(truth)} replies are unsafe; calibration needs both kinds, "
            "collect safety comparisons of both or set calibration_precision to 0"
        )
    order = np.argsort(scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    counts = np.arange(1, len(ranked) + 1)
    between = np.append(ranked[1:] > ranked[:-1], True)  # no cut parts equal scores
    counts, hits = counts[between], hits[between]
    reached = hits / counts
    good = np.flatnonzero(reached >= precision)
    best = good[-1] if len(good) else int(reached.argmax())
    count = int(counts[best])
    upper = ranked[count] if count < len(ranked) else ranked[-1] + 1.0
    return float(_logit(threshold) - (ranked[count - 1] + upper) / 2)


def reliability(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = 10) -> dict[str, Any]:
    """Bins of predicted probabilities with what came of them, and the expected calibration error.

    Bins of equal width over 0 to 1; empty ones are left out. The error is the mean distance of
    prediction and outcome over bins, weighted by their size (Naeini et al., 2015). Not in the
    paper, which only says that calibration matters (A.3.3).
    """
    predicted, came = np.asarray(probabilities, float), np.asarray(outcomes, float)
    if predicted.shape != came.shape or predicted.ndim != 1:
        raise ValueError(
            f"{predicted.shape} probabilities come with {came.shape} outcomes; give one each"
        )
    place = np.clip((predicted * bins).astype(int), 0, bins - 1)
    rows = [
        {
            "low": b / bins,
            "high": (b + 1) / bins,
            "count": int((place == b).sum()),
            "predicted": float(predicted[place == b].mean()),
            "observed": float(came[place == b].mean()),
        }
        for b in range(bins)
        if (place == b).any()
    ]
    gaps = [row["count"] * abs(row["predicted"] - row["observed"]) for row in rows]
    return {"bins": rows, "expected_error": sum(gaps) / len(predicted) if len(predicted) else None}


def _checked(scores: ArrayLike, unsafe: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, float), np.asarray(unsafe, bool)
    if values.ndim != 1 or values.shape != truth.shape or not len(values):
        raise ValueError(
            f"{values.shape} scores come with {truth.shape} labels; give one each, at least one"
        )
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite; mend the reward model first")
    return values, truth


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
