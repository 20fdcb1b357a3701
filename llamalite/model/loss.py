"""The language-model loss. Llama 2, sections 2 and 3.1."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from llamalite.shapes import Bool, Float, Int, Tensor


def next_token_loss(
    logits_BTV: Float[Tensor, "B T V"],
    targets_BT: Int[Tensor, "B T"],
    loss_mask_BT: Bool[Tensor, "B T"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy, in nats per token, over the tokens that count. Llama 2, section 3.1.

    The mask is true where the target is to be learnt: everywhere but padding in pretraining,
    on the assistant's tokens in fine-tuning ("zero-out the loss on tokens from the user
    prompt"). The mean over counted tokens is not in the paper; it follows common practice.
    Computed in float32. A batch in which nothing counts gives 0 with zero gradients.
    """
    # Targets of masked tokens are replaced and not only weighted by zero: they may be any id,
    # and zero times an infinite loss would not be zero.
    targets = torch.where(loss_mask_BT, targets_BT, -100).flatten()
    total = cross_entropy(
        logits_BTV.flatten(0, 1).float(), targets, ignore_index=-100, reduction="sum"
    )
    return total / loss_mask_BT.sum().clamp(min=1)
