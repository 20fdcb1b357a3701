"""The parts of a decoder block: norm, rotary positions, attention, feed-forward. Section 2.2.

Llama 2 keeps Llama 1's architecture (pre-normalisation, SwiGLU, rotary positions) and adds
grouped-query attention. Initialisation is not in the paper; weights are drawn from a normal of
standard deviation 0.02, and those that write into the residual stream (`wo`, `w2`) from one
smaller by sqrt(2 L), following GPT-2, so that the stream's variance does not grow with depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from einops import rearrange
from torch import nn
from torch.nn.functional import scaled_dot_product_attention, silu

from llamalite.model.config import ModelConfig
from llamalite.model.kv_cache import LayerCache
from llamalite.shapes import Float, Tensor

INIT_STD = 0.02


class Linear(nn.Linear):
    """A projection without bias that knows its own initial spread.

    Sharded training builds the model without storage and then asks every module that owns
    weights to fill them, so the initialisation has to live here and not in the model.
    """

    def __init__(self, in_features: int, out_features: int, std: float = INIT_STD) -> None:
        self.std = std
        super().__init__(in_features, out_features, bias=False)

    def reset_parameters(self) -> None:
        """Draw the weights from normal(0, std). Not in the paper; follows GPT-2."""
        nn.init.normal_(self.weight, std=self.std)


class Embedding(nn.Embedding):
    """The token embedding, drawn from normal(0, 0.02). Not in the paper; follows GPT-2."""

    def reset_parameters(self) -> None:
        """Draw the weights."""
        nn.init.normal_(self.weight, std=INIT_STD)


class RMSNorm(nn.Module):
    """Divide by the root mean square and scale. Llama 2, section 2.2 (Zhang and Sennrich, 2019).

    Computed in float32 and cast back before the scale, as the released code does.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin as plain normalisation: every scale is one."""
        nn.init.ones_(self.weight)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x = x_BTD.float()
        normed = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)
        return normed.type_as(x_BTD) * self.weight


class RotaryTable(nn.Module):
    """Cosines and sines of every position's rotation. Llama 2, section 2.2 (Su et al., 2022).

    The tables hold no learned state: they are never saved, always float32, and computed anew
    whenever the module is moved, cast or given storage.
    """

    def __init__(self, length: int, head_dim: int, theta: float) -> None:
        super().__init__()
        self.length, self.head_dim, self.theta = length, head_dim, theta
        for name in ("cos", "sin"):
            self.register_buffer(name, torch.empty(length, head_dim // 2), persistent=False)
        self.reset_parameters()

    cos: Tensor
    sin: Tensor

    def reset_parameters(self) -> None:
        """Fill the tables; called by whoever gives storage to a model built without it."""
        even = torch.arange(0, self.head_dim, 2, dtype=torch.float32, device=self.cos.device)
        frequencies = 1.0 / self.theta ** (even / self.head_dim)
        positions = torch.arange(self.length, dtype=torch.float32, device=self.cos.device)
        angles = torch.outer(positions, frequencies)
        self.cos, self.sin = angles.cos(), angles.sin()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RotaryTable:
        super()._apply(fn, recurse)  # a cast to bfloat16 would ruin the angles of late positions
        self.reset_parameters()
        return self

    def forward(self, positions_BT: Tensor | None, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines, each [B or 1, T, 1, E/2], of the given or the first positions."""
        if positions_BT is None:
            return self.cos[None, :length, None], self.sin[None, :length, None]
        return self.cos[positions_BT][:, :, None], self.sin[positions_BT][:, :, None]


def rotate(
    x_BTHE: Float[Tensor, "B T H E"],
    cos: Float[Tensor, "#B T 1 half"],
    sin: Float[Tensor, "#B T 1 half"],
) -> Float[Tensor, "B T H E"]:
    """Turn feature pairs by their position's angle. Llama 2, section 2.2 (Su et al., 2022).

    Feature i is paired with i + E/2, Hugging Face's convention. The released weights pair
    2i with 2i + 1; both give the same scores once the rows of wq and wk are permuted, which
    `llamalite.model.meta` does on import.
    """
    first, second = x_BTHE.float().chunk(2, dim=-1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return turned.type_as(x_BTHE)


class Attention(nn.Module):
    """Causal grouped-query attention. Llama 2, section 2.2 and appendix A.2.1 (Ainslie et al.).

    K key/value heads serve H query heads in groups of H / K. The number of heads is read off
    the projections' width: under tensor parallelism each process holds only some of them.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        query_width = config.n_heads * config.head_dim
        key_width = config.n_kv_heads * config.head_dim
        self.wq = Linear(config.dim, query_width)
        self.wk = Linear(config.dim, key_width)
        self.wv = Linear(config.dim, key_width)
        self.wo = Linear(query_width, config.dim, INIT_STD / math.sqrt(2 * config.n_layers))

    def forward(
        self,
        x_BTD: Tensor,
        rope: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Mix the sequence; `mask` is added to the scores, its absence means causal."""
        q = rearrange(self.wq(x_BTD), "B T (H E) -> B T H E", E=self.head_dim)
        k = rearrange(self.wk(x_BTD), "B T (K E) -> B T K E", E=self.head_dim)
        v = rearrange(self.wv(x_BTD), "B T (K E) -> B K T E", E=self.head_dim)
        q, k = rotate(q, *rope).transpose(1, 2), rotate(k, *rope).transpose(1, 2)
        if cache is not None:
            k, v = cache.append(k, v)
        mixed = scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if mask is None else mask.to(q.dtype),
            is_causal=mask is None,
            enable_gqa=q.shape[1] != k.shape[1],
        )
        return self.wo(rearrange(mixed, "B H T E -> B T (H E)"))


class FeedForward(nn.Module):
    """SwiGLU: w2(silu(w1 x) * w3 x). Llama 2, section 2.2 (Shazeer, 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.w1 = Linear(config.dim, config.ffn_dim)
        self.w3 = Linear(config.dim, config.ffn_dim)
        self.w2 = Linear(config.ffn_dim, config.dim, INIT_STD / math.sqrt(2 * config.n_layers))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.w2(silu(self.w1(x_BTD)) * self.w3(x_BTD))


class Block(nn.Module):
    """One decoder block: x + attention(norm x), then x + feed_forward(norm x). Section 2.2."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = FeedForward(config)

    def forward(
        self,
        x_BTD: Tensor,
        rope: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), rope, mask, cache)
        return x_BTD + self.feed_forward(self.ffn_norm(x_BTD))
