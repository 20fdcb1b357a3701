"""From logits to a token: temperature, top-k, top-p, greedy. Llama 2, sections 3.2.3 and A.2.2.

A token is drawn by inverting the cumulative distribution at one uniform number. Every sequence
brings its own numbers, so what it samples does not depend on which others share its batch.
"""

from __future__ import annotations

import numpy as np
import torch

from llamalite.model.config import SamplingConfig
from llamalite.shapes import Float, Int, Tensor

LARGEST_UNIFORM = 1 - 2.0**-22
"""Just below 1 in float32 with room for one rounding, so that a draw never runs off the end."""


def sample_tokens(
    logits_BV: Float[Tensor, "B V"], uniform_B: Float[Tensor, " B"], config: SamplingConfig
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """One token per row, and its log-probability (nats) under the model as it is.

    Temperature, then top-k, then top-p (nucleus sampling, Holtzman et al., 2020) shape the
    draw; the log-probability is of the unshaped distribution, the one that is trained.
    `uniform_B` are numbers in [0, 1); greedy decoding does not look at them.
    """
    logprobs_BV = torch.log_softmax(logits_BV.float(), dim=-1)
    if config.temperature == 0 or config.top_k == 1:
        tokens_B1 = logprobs_BV.argmax(-1, keepdim=True)
    else:
        tokens_B1 = _draw(logprobs_BV, uniform_B, config)
    return tokens_B1[:, 0], logprobs_BV.gather(1, tokens_B1)[:, 0]


def _draw(logprobs_BV: Tensor, uniform_B: Tensor, config: SamplingConfig) -> Tensor:
    """Ids [B, 1] from the shaped distribution, by inverting its cumulative sum."""
    if config.temperature == 1:
        probs_BV = logprobs_BV.exp()
    else:
        probs_BV = torch.softmax(logprobs_BV / config.temperature, -1)
    if 0 < config.top_k < probs_BV.shape[1] or config.top_p < 1:
        least_B1 = _least_kept(probs_BV, config)
        probs_BV = torch.where(probs_BV >= least_B1, probs_BV, 0)
    cumulative = probs_BV.cumsum(-1)
    target = uniform_B[:, None].clamp(max=LARGEST_UNIFORM) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True)


def _least_kept(probs_BV: Tensor, config: SamplingConfig) -> Tensor:
    """The smallest probability [B, 1] that top-k and top-p keep; what equals it is kept too.

    A threshold, and not a list of ids, because the order of equal ones may differ from batch
    to batch.
    """
    if 0 < config.top_k < probs_BV.shape[1]:
        falling = probs_BV.topk(config.top_k).values
    elif probs_BV.device.type == "cpu":  # numpy sorts eight times as fast as torch
        falling = torch.from_numpy(np.sort(probs_BV.detach().numpy(), axis=-1)).flip(-1)
    else:
        falling = probs_BV.sort(descending=True).values
    cumulative = falling.cumsum(-1)
    # A token stays when what precedes it has not yet reached top_p; the likeliest always does.
    wanted = config.top_p * cumulative[:, -1:]
    last = ((cumulative - falling) < wanted).sum(-1, keepdim=True) - 1
    return falling.gather(1, last.clamp(min=0))


def uniform_numbers(seed: int, sequence: tuple[int, ...], count: int) -> Float[Tensor, " R"]:
    """A sequence's own numbers in [0, 1), float32; `sequence` tells it apart, e.g. its indices.

    Raises ValueError when the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    numbers = np.random.default_rng((seed, *sequence)).random(count, dtype=np.float32)
    return torch.from_numpy(numbers)
