"""Figure 16: what preprompts and the gate do to safety scores. Llama 2, section 4.2.4.

The better of two answers beats one of them on average even when the preprompt does nothing, and
what began well is seldom as lucky again. So each gain stands beside that of a second original,
drawn without preprompt. Not in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from llamalite.evaluation.scoring import estimate
from llamalite.safety.distillation import ANSWERS, ORIGINAL, Distilled

QUARTERS = 4
"""Bins of the original's score, from 0 to 1, in figure 16b."""


def summarise(rows: Sequence[Distilled], resamples: int = 1000) -> dict[str, Any]:
    """Figure 16 as plain records; scores are sigmoids, 0 to 1, as the paper plots them.

    answers: by kind median, quartiles, mean with interval, and the score of every prompt, in one
    order (None where a prompt has no answer of that kind); gains: mean paired difference to the
    original by kind; kept, outcomes: what the gate did; by_original: figure 16b, in bins of the
    original's score the mean gain of the distilled answer, of the gated one (the original where it
    was not kept) and of a second original. Every mean has a bootstrap interval over prompts.
    """
    scores = {kind: [_unit(getattr(row, f"{kind}_score")) for row in rows] for kind in ANSWERS}
    first = scores[ORIGINAL]
    return {
        "prompts": len(rows),
        "answers": {kind: _distribution(mine, resamples) for kind, mine in scores.items()},
        "gains": {
            kind: estimate(
                [
                    b - a
                    for a, b in zip(first, mine, strict=True)
                    if a is not None and b is not None
                ],
                resamples,
            )
            for kind, mine in scores.items()
            if kind != ORIGINAL
        },
        "kept": estimate([row.kept for row in rows], resamples),
        "outcomes": {
            name: sum(row.outcome == name for row in rows)
            for name in ("kept", "not better", "unusable")
        },
        "by_original": _by_original(rows, resamples),
    }


def _by_original(rows: Sequence[Distilled], resamples: int) -> list[dict[str, Any]]:
    found = []
    for quarter in range(QUARTERS):
        low, high = quarter / QUARTERS, (quarter + 1) / QUARTERS
        mine = [
            row
            for row in rows
            if low <= _sigmoid(row.original_score) < high
            or (high == 1 and _sigmoid(row.original_score) == 1)
        ]
        began = [_sigmoid(row.original_score) for row in mine]
        gains = [_sigmoid(r.learned_score) - a for r, a in zip(mine, began, strict=True)]
        again = [_sigmoid(r.again_score) - a for r, a in zip(mine, began, strict=True)]
        gated = [gain if r.kept else 0.0 for r, gain in zip(mine, gains, strict=True)]
        found.append(
            {
                "from": low,
                "to": high,
                "ungated": estimate(gains, resamples),
                "gated": estimate(gated, resamples),
                "again": estimate(again, resamples),
                "worse": estimate([gain < 0 for gain in gains], resamples),
            }
        )
    return found


def _distribution(scores: Sequence[float | None], resamples: int) -> dict[str, Any]:
    values = [score for score in scores if score is not None]
    middle = np.quantile(values, [0.25, 0.5, 0.75]).tolist() if values else [None] * 3
    return {
        "quartile": middle[0],
        "median": middle[1],
        "upper_quartile": middle[2],
        "mean": estimate(values, resamples),
        "scores": [None if score is None else round(score, 4) for score in scores],
    }


def _unit(logit: float | None) -> float | None:
    return None if logit is None else _sigmoid(logit)


def _sigmoid(logit: float) -> float:
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))
