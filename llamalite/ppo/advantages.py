"""How much better than expected each token was, and whitening. Not printed in the paper.

Llama 2 names PPO and whitens its rewards (section 3.2.3); gamma, lambda and the whitening of
advantages are the field's usual choices (Schulman et al., 2016; Stiennon et al., 2020). Masks are
booleans; another dtype, shapes or devices that differ are a ValueError.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from llamalite.shapes import Bool, Float, Tensor, check_alike

_TOKENS = "one number of each, and one mark, per token"


class Advantages(NamedTuple):
    """What GAE makes of rewards and values."""

    advantages_BR: Tensor
    returns_BR: Tensor
    """What the values are to become: advantage plus old value; 0 under the mask."""


def generalised_advantages(
    rewards_BR: Float[Tensor, "B R"],
    values_BR: Float[Tensor, "B R"],
    mask_BR: Bool[Tensor, "B R"],
    gamma: float,
    lambda_: float,
) -> Advantages:
    """Generalised advantage estimation over each reply. Schulman et al. (2016), eq. 11 and 16.

    `values_BR[t]` is what was expected before token t was drawn; a reply ends after its last token,
    with nothing to come. The mask is True on a reply's tokens, which stand first in each row. Not
    in the paper; lambda .95 and gamma 1 follow Stiennon et al. (2020).
    """
    numbers = {"rewards_BR": rewards_BR, "values_BR": values_BR}
    check_alike(numbers, {"mask_BR": mask_BR}, _TOKENS, axes=2, empty=False)
    rewards_BR = torch.where(mask_BR, rewards_BR, 0.0)
    values_BR = torch.where(mask_BR, values_BR, 0.0)
    following_B = torch.zeros_like(values_BR[:, 0])
    running_B = torch.zeros_like(following_B)
    advantages_BR = torch.zeros_like(values_BR)
    for t in reversed(range(values_BR.shape[1])):
        surprise_B = rewards_BR[:, t] + gamma * following_B - values_BR[:, t]
        running_B = surprise_B + gamma * lambda_ * running_B
        advantages_BR[:, t] = running_B
        following_B = values_BR[:, t]
    return Advantages(advantages_BR, advantages_BR + values_BR)


def whiten(values_BR: Float[Tensor, "B R"], mask_BR: Bool[Tensor, "B R"]) -> Float[Tensor, "B R"]:
    """Values of mean 0 and variance 1 over the tokens that count; 0 elsewhere.

    The variance divides by the number of tokens. One token, or equal ones, become 0. Whitening
    advantages over the batch is not in the paper; it follows Stiennon et al. (2020).
    """
    check_alike({"values_BR": values_BR}, {"mask_BR": mask_BR}, _TOKENS)
    count = mask_BR.sum().clamp(min=1)
    centred_BR = torch.where(mask_BR, values_BR, 0.0)
    centred_BR = torch.where(mask_BR, centred_BR - centred_BR.sum() / count, 0.0)
    variance = centred_BR.square().sum() / count
    return centred_BR * torch.rsqrt(variance + 1e-8)


def explained_variance(
    values_BR: Float[Tensor, "B R"],
    returns_BR: Float[Tensor, "B R"],
    mask_BR: Bool[Tensor, "B R"],
) -> float:
    """Share of the returns' variance that the values foresee: 1 at best, 0 for any constant.

    Negative when the values do worse than a constant; 0 when all returns are equal.
    """
    numbers = {"values_BR": values_BR, "returns_BR": returns_BR}
    check_alike(numbers, {"mask_BR": mask_BR}, _TOKENS)
    returns, errors = returns_BR[mask_BR], (returns_BR - values_BR)[mask_BR]
    spread = float(returns.var(correction=0)) if len(returns) else 0.0
    return 1 - float(errors.var(correction=0)) / spread if spread > 0 else 0.0


class Moments(NamedTuple):
    """Count, mean and sum of squared deviations of all numbers seen; plain, so that it resumes."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def with_values(self, values_B: Float[Tensor, " B"]) -> Moments:
        """The moments when these are seen as well (Chan et al., 1979)."""
        if not len(values_B):
            return self
        values = values_B.double()
        count = self.count + len(values)
        mean, squares = float(values.mean()), float((values - values.mean()).square().sum())
        shift = mean - self.mean
        return Moments(
            count,
            self.mean + shift * len(values) / count,
            self.squares + squares + shift * shift * self.count * len(values) / count,
        )

    def whitened(self, values_B: Float[Tensor, " B"], limit: float) -> Float[Tensor, " B"]:
        """Values less the mean, over the standard deviation, held within +-`limit` (0: no limit).

        WHITEN of Llama 2, section 3.2.3, whose statistics the paper does not name.
        """
        deviation = math.sqrt(self.squares / max(1.0, self.count) + 1e-8)
        whitened_B = (values_B - self.mean) / deviation
        return whitened_B.clamp(-limit, limit) if limit else whitened_B
