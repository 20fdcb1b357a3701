"""The losses and rewards of PPO, token by token. Llama 2, section 3.2.3, eq. 3 and 4.

The paper prints its objective, R(g | p) = R~c(g | p) - beta KL(pi || pi0), and names PPO with a
clip of 0.2; how the penalty and the advantages are spread over tokens it does not say. Here each
token of a reply is an action, as in InstructGPT (Ouyang et al., 2022).

What lies under a mask (False) may be any number: it touches neither values nor gradients. Masks are
booleans; another dtype, shapes or devices that differ are a ValueError.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from llamalite.shapes import Bool, Float, Tensor, check_alike

_TOKENS = "one number of each, and one mark, per token"


class Clipped(NamedTuple):
    """A clipped loss, and how often the clip decided it."""

    loss: Tensor
    """Scalar, to be minimised."""
    clip_fraction: Tensor
    """Scalar, 0 to 1: share of tokens whose clipped term is the larger one."""


def masked_mean(values_BR: Float[Tensor, "B R"], mask_BR: Bool[Tensor, "B R"]) -> Float[Tensor, ""]:
    """Mean over the tokens that count; 0 where none does. Not in the paper; as in `sft`."""
    check_alike({"values_BR": values_BR}, {"mask_BR": mask_BR}, _TOKENS)
    return torch.where(mask_BR, values_BR, 0.0).sum() / mask_BR.sum().clamp(min=1)


def clipped_policy_loss(
    logprobs_BR: Float[Tensor, "B R"],
    old_logprobs_BR: Float[Tensor, "B R"],
    advantages_BR: Float[Tensor, "B R"],
    mask_BR: Bool[Tensor, "B R"],
    clip: float,
) -> Clipped:
    """Clipped surrogate of the policy's gain, mean over tokens. Llama 2, section 3.2.3.

    Schulman et al. (2017), eq. 7: -min(r A, clip(r, 1 - clip, 1 + clip) A) with the probability
    ratio r = exp(new - old). Log-probabilities in nats; the paper's clip is 0.2.
    """
    numbers = {"logprobs_BR": logprobs_BR, "old_logprobs_BR": old_logprobs_BR}
    numbers["advantages_BR"] = advantages_BR
    check_alike(numbers, {"mask_BR": mask_BR}, _TOKENS)
    ratio_BR = torch.where(mask_BR, logprobs_BR - old_logprobs_BR, 0.0).exp()
    plain_BR = -advantages_BR * ratio_BR
    clipped_BR = -advantages_BR * ratio_BR.clamp(1 - clip, 1 + clip)
    loss = masked_mean(torch.maximum(plain_BR, clipped_BR), mask_BR)
    return Clipped(loss, masked_mean((clipped_BR > plain_BR).float(), mask_BR))


def clipped_value_loss(
    values_BR: Float[Tensor, "B R"],
    old_values_BR: Float[Tensor, "B R"],
    returns_BR: Float[Tensor, "B R"],
    mask_BR: Bool[Tensor, "B R"],
    clip: float,
) -> Clipped:
    """Half the squared error of the values, pessimistic about large moves. Not in the paper.

    As in OpenAI's implementation of PPO (Huang et al., 2022, detail 9): the larger of the error of
    the value and of the value held within `clip` of the old one; clip 0 takes the value alone.
    """
    numbers = {"values_BR": values_BR, "old_values_BR": old_values_BR, "returns_BR": returns_BR}
    check_alike(numbers, {"mask_BR": mask_BR}, _TOKENS)
    values_BR, old_values_BR, returns_BR = (
        torch.where(mask_BR, each_BR, 0.0) for each_BR in (values_BR, old_values_BR, returns_BR)
    )
    plain_BR = (values_BR - returns_BR).square()
    if not clip:
        return Clipped(0.5 * masked_mean(plain_BR, mask_BR), plain_BR.new_zeros(()))
    held_BR = old_values_BR + (values_BR - old_values_BR).clamp(-clip, clip)
    held_BR = (held_BR - returns_BR).square()
    loss = 0.5 * masked_mean(torch.maximum(plain_BR, held_BR), mask_BR)
    # inside the clip the two differ by rounding alone
    clipped_BR = (held_BR > plain_BR) & ((values_BR - old_values_BR).abs() > clip)
    return Clipped(loss, masked_mean(clipped_BR.float(), mask_BR))


def entropy(logits_BRV: Float[Tensor, "B R V"]) -> Float[Tensor, "B R"]:
    """Entropy of each token's distribution, in nats (0 to log V). Not in the paper.

    Logged as a sign of collapse; a bonus on it (Schulman et al., 2017, eq. 9) is off by default.
    """
    logprobs_BRV = torch.log_softmax(logits_BRV.float(), -1)
    return -(logprobs_BRV.exp() * logprobs_BRV).sum(-1)


def kl_k1(
    logprobs_BR: Float[Tensor, "B R"], reference_BR: Float[Tensor, "B R"]
) -> Float[Tensor, "B R"]:
    """log(pi / pi0) of tokens drawn from pi. Llama 2, section 3.2.3, the KL of eq. 4.

    Unbiased, of either sign, in nats; which estimator is meant is not in the paper. Summed over a
    reply it estimates the KL between whole replies. Named k1 by Schulman ("Approximating KL
    divergence", 2020).
    """
    return logprobs_BR - reference_BR


def kl_k3(
    logprobs_BR: Float[Tensor, "B R"], reference_BR: Float[Tensor, "B R"]
) -> Float[Tensor, "B R"]:
    """pi0 / pi - 1 - log(pi0 / pi) of tokens drawn from pi. Not in the paper; for the logs.

    Unbiased for each token's KL and never negative, in nats (Schulman, 2020).
    """
    difference_BR = reference_BR - logprobs_BR
    return torch.expm1(difference_BR) - difference_BR


def token_rewards(
    scores_B: Float[Tensor, " B"],
    kl_BR: Float[Tensor, "B R"],
    mask_BR: Bool[Tensor, "B R"],
    beta: float,
) -> Float[Tensor, "B R"]:
    """Reward of every token: -beta KL, and the reply's score on its last. Llama 2, section 3.2.3.

    Summed over a reply it is eq. 4. That the penalty is paid token by token is not in the paper; it
    follows InstructGPT. `kl_BR` is k1. Every reply has at least one token; 0 under the mask.
    """
    check_alike({"kl_BR": kl_BR}, {"mask_BR": mask_BR}, _TOKENS, axes=2, empty=False)
    check_alike({"scores_B": scores_B, "kl_BR[:, 0]": kl_BR[:, 0]}, {}, "one score per reply")
    rewards_BR = torch.where(mask_BR, -beta * kl_BR, 0.0)
    last_B = (mask_BR.sum(1) - 1).clamp(min=0)
    return rewards_BR.scatter_add(1, last_B[:, None], scores_B[:, None].to(rewards_BR.dtype))


def penalise_missing_eos(
    scores_B: Float[Tensor, " B"], finished_B: Bool[Tensor, " B"], penalty: float
) -> Float[Tensor, " B"]:
    """Scores less `penalty` where a reply ran into the limit. Not in the paper.

    A cut reply is of no use to who reads it, whatever its beginning is worth. Taking a fixed amount
    off follows TRL, and unlike a fixed score it never makes a bad reply better.
    """
    check_alike({"scores_B": scores_B}, {"finished_B": finished_B}, "one of each per reply")
    return torch.where(finished_B, scores_B, scores_B - penalty)


def adapted_beta(beta: float, kl: float, target: float, horizon: int, replies: int) -> float:
    """Beta after an iteration of `replies` at a KL of `kl` nats a reply. Not in the paper.

    The proportional controller of Ziegler et al. (2019), section 2.2: the relative error of the KL,
    held within 0.2, times replies / horizon. Llama 2 keeps beta fixed (section 3.2.3).
    """
    error = min(0.2, max(-0.2, kl / target - 1))
    return beta * (1 + error * replies / horizon)
