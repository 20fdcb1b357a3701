"""Losses of a reward model. Llama 2, section 3.2.2, eq. 1 and 2, and appendix A.3.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from llamalite.preferences.protocol import RATINGS
from llamalite.reward.config import MarginKind
from llamalite.shapes import Bool, Float, Tensor, check_alike

MARGINS: Mapping[str, tuple[float, ...]] = {
    "none": (0.0, 0.0, 0.0, 0.0),
    "small": (1.0, 2 / 3, 1 / 3, 0.0),
    "large": (3.0, 2.0, 1.0, 0.0),
}
"""Table 27: margins by rating, in the order of `RATINGS`. "none" makes eq. 2 eq. 1."""


def margins(ratings: Sequence[str], kind: MarginKind) -> Float[Tensor, " B"]:
    """The margin m(r) of each rating. Llama 2, section 3.2.2 and table 27.

    In the unit of scores (logits), 0 to 3. Raises ValueError for an unknown rating or kind.
    """
    if kind not in MARGINS:
        raise ValueError(f"margins of kind {kind!r} are unknown; choose none, small or large")
    unknown = sorted(set(ratings) - set(RATINGS))
    if unknown:
        raise ValueError(f"unknown rating {unknown[0]!r}; choose among {', '.join(RATINGS)}")
    by_rating: dict[str, float] = dict(zip(RATINGS, MARGINS[kind], strict=True))
    return torch.tensor([by_rating[rating] for rating in ratings], dtype=torch.float32)


def margin_ranking_loss(
    chosen_B: Float[Tensor, " B"], rejected_B: Float[Tensor, " B"], margin_B: Float[Tensor, " B"]
) -> Float[Tensor, ""]:
    """Binary ranking loss with a margin, mean over pairs, nats. Llama 2, section 3.2.2, eq. 2.

    -log sigmoid(chosen - rejected - margin). Scores are unbounded logits; with a margin of 0 it is
    eq. 1. Stays finite for any finite scores. Raises ValueError when the three lengths differ, for
    [B] against [B, 1] would compare every reply with every other, or devices do.
    """
    numbers = {"chosen_B": chosen_B, "rejected_B": rejected_B, "margin_B": margin_B}
    check_alike(numbers, {}, "one number of each per pair", axes=1, empty=False)
    return -logsigmoid(chosen_B - rejected_B - margin_B).mean()


def safety_auxiliary_loss(
    scores_B: Float[Tensor, " B"], unsafe_B: Bool[Tensor, " B"], weights_B: Float[Tensor, " B"]
) -> Float[Tensor, ""]:
    """Cross-entropy of sigmoid(score) as the probability of being safe, mean over B, nats.

    Llama 2, appendix A.3.4 and table 29 report a "safety auxiliary loss" without printing it. This
    form is not in the paper: it is the plainest that serves the table's aim, unsafe replies below
    a sigmoid of .5, and has the shape of the sign terms of Safe RLHF (Dai et al., 2023). A reply
    whose safety nobody judged has weight 0, whatever its label. Raises ValueError when lengths or
    devices differ, or labels are no booleans.
    """
    numbers = {"scores_B": scores_B, "weights_B": weights_B}
    check_alike(numbers, {"unsafe_B": unsafe_B}, "one of each per reply", axes=1, empty=False)
    loss_B = binary_cross_entropy_with_logits(
        scores_B, (~unsafe_B).to(scores_B.dtype), reduction="none"
    )
    return (loss_B * weights_B).mean()
