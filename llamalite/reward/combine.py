"""Two scores of a reply made one. Llama 2, section 3.2.3, the equations before and after eq. 4."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from llamalite.shapes import Bool, Float, Tensor, check_alike

THRESHOLD = 0.15
_EDGE = 1e-6
"""How near to 0 and 1 `logit` looks; float32 has no finite logit of 1."""


def piecewise(
    helpfulness_B: Float[Tensor, " B"],
    safety_B: Float[Tensor, " B"],
    is_safety_B: Bool[Tensor, " B"],
    threshold: float = THRESHOLD,
) -> Float[Tensor, " B"]:
    """R_c: safety where the prompt is tagged or the reply seems unsafe, else helpfulness.

    Llama 2, section 3.2.3. Both scores have passed a sigmoid and lie in 0 to 1, and so does R_c;
    a reply seems unsafe strictly below the threshold. Raises ValueError for scores outside, lengths
    that differ, tags that are no booleans and a threshold outside 0 to 1.
    """
    _check(helpfulness_B, safety_B, is_safety_B, threshold)
    for name, values in (("helpfulness", helpfulness_B), ("safety", safety_B)):
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise ValueError(f"{name} scores leave 0 to 1; pass them through a sigmoid first")
    return torch.where(is_safety_B | (safety_B < threshold), safety_B, helpfulness_B)


def logit(probabilities: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """LOGIT of section 3.2.3, which undoes the sigmoid; finite: 0 and 1 become about -+13.8."""
    return torch.logit(probabilities, eps=_EDGE)


def combined_logits(
    helpfulness_B: Float[Tensor, " B"],
    safety_B: Float[Tensor, " B"],
    is_safety_B: Bool[Tensor, " B"],
    threshold: float = THRESHOLD,
) -> Float[Tensor, " B"]:
    """LOGIT(R_c) of two scores as the reward models give them, unbounded logits.

    Llama 2, section 3.2.3: `logit(piecewise(sigmoid(...), ...))` without the way over 0 to 1, on
    which scores beyond 16 would become infinite. Not whitened.
    """
    _check(helpfulness_B, safety_B, is_safety_B, threshold)
    unsafe_B = safety_B < math.log(threshold / (1 - threshold))
    return torch.where(is_safety_B | unsafe_B, safety_B, helpfulness_B)


def piecewise_rule(
    threshold: float = THRESHOLD,
) -> Callable[[Mapping[str, Tensor], Tensor], Tensor]:
    """The rule as `llamalite.scoring.Scoring` takes it, of scores "helpfulness" and "safety"."""

    def combine(scores: Mapping[str, Tensor], is_safety_B: Tensor) -> Tensor:
        return combined_logits(scores["helpfulness"], scores["safety"], is_safety_B, threshold)

    return combine


def _check(helpfulness_B: Tensor, safety_B: Tensor, is_safety_B: Tensor, threshold: float) -> None:
    scores = {"helpfulness_B": helpfulness_B, "safety_B": safety_B}
    check_alike(scores, {"is_safety_B": is_safety_B}, "one of each per reply")
    if not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold}; it must lie between 0 and 1")
