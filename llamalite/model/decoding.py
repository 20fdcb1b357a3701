"""Generation, fast: the same arithmetic as the model's forward, with fewer calls.

A step of a small model is mostly overhead, and one of a larger model mostly reading weights. So
the projections that read the same input are joined into one matrix, the 1 / sqrt(E) of attention is
folded into the query weights, weights are laid out as the kernels read them
(`llamalite.model.projection`), and nothing is computed that one new token does not need. A test
holds it to the model's own forward; `benchmarks/sampling.py` and `benchmarks/real_weights.py`
measure it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import embedding, rms_norm, scaled_dot_product_attention, silu

from llamalite.model.config import SamplingConfig
from llamalite.model.kv_cache import KVCache, LayerCache
from llamalite.model.layers import Block
from llamalite.model.projection import Projection, Weights, projection
from llamalite.model.sampling import sample_tokens
from llamalite.model.transformer import Transformer, added_mask, cache_mask
from llamalite.shapes import Float, Int, Tensor

JOIN_BELOW = 1_000_000_000
"""Parameters up to which weights are copied to join them; beyond, matmuls dwarf the overhead."""


class JoinedBlock(NamedTuple):
    """One block's weights, joined by what reads them."""

    attention_norm: Tensor
    wqkv: Projection
    wo: Projection
    ffn_norm: Tensor
    w13: Projection
    w2: Projection


class Decoder:
    """Reads prompts, then decodes one token for every sequence of a cache.

    It copies the weights when made: make another after the model was trained.
    """

    @torch.no_grad()
    def __init__(self, model: Transformer, weights: Weights = "same") -> None:
        """`weights` are read in another precision than the model's, see `projection`.

        Raises ValueError for a model too large to be copied, and where this machine cannot.
        """
        self.model, self.config = model, model.config
        self.blocks: list[JoinedBlock] = []
        if (size := model.config.n_parameters) > JOIN_BELOW:
            if weights != "same":
                raise ValueError(
                    f"weights is {weights!r} and the model has {size:,} parameters; "
                    f"at most {JOIN_BELOW:,} are read in another precision, choose 'same'"
                )
            return
        # In half precision a fused kernel keeps the scores in float32, as it does in training.
        self.fused = model.tok_embeddings.weight.dtype != torch.float32
        scale = 1.0 if self.fused else model.config.head_dim**-0.5
        for block in model.layers:
            assert isinstance(block, Block)
            attention, feed_forward = block.attention, block.feed_forward
            wq = attention.wq.weight * scale
            qkv = torch.cat((wq, attention.wk.weight, attention.wv.weight))
            w13 = torch.cat((feed_forward.w1.weight, feed_forward.w3.weight))
            self.blocks.append(
                JoinedBlock(
                    block.attention_norm.weight,
                    projection(qkv, weights),
                    projection(attention.wo.weight, weights),
                    block.ffn_norm.weight,
                    projection(w13, weights),
                    projection(feed_forward.w2.weight, weights),
                )
            )
        last = model.tok_embeddings.weight if model.output is None else model.output.weight
        self.output = projection(last, weights)
        # Halves of a head turn together: x cos + roll(x) sin, with the first half's sine negated.
        cos, sin = model.rotary.cos, model.rotary.sin
        self.cos = torch.cat((cos, cos), -1)[:, None]
        self.sin = torch.cat((-sin, sin), -1)[:, None]

    def prefill(self, tokens_BT: Int[Tensor, "B T"], cache: KVCache) -> Float[Tensor, "B V"]:
        """Read prompts that end together into an empty cache; logits of what follows each."""
        B, T = tokens_BT.shape
        if not self.blocks:
            hidden_BTD = self.model.hidden(tokens_BT, cache=cache)
            return self.model.logits(hidden_BTD[:, -1:])[:, 0]
        config = self.config
        H, K, E = config.n_heads, config.n_kv_heads, config.head_dim
        positions = cache.positions(T)
        cos, sin = self.cos[positions], self.sin[positions]
        mask = added_mask(cache_mask(cache, T), cache.layers[0].keys.dtype)

        def attend(qkv_NF: Tensor, layer: LayerCache) -> Tensor:
            qkv = qkv_NF.view(B, T, H + 2 * K, E)
            q, k = self._turn(qkv[:, :, : H + K], cos, sin).transpose(1, 2).split((H, K), 1)
            k, v = layer.append(k, qkv[:, :, H + K :].transpose(1, 2))
            mixed = scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=mask,
                is_causal=mask is None,
                scale=None if self.fused else 1.0,
                enable_gqa=H != K,
            )
            return mixed.transpose(1, 2).reshape(B * T, H * E)

        x_ND = embedding(tokens_BT.flatten(), self.model.tok_embeddings.weight)
        x_ND = self._through_blocks(x_ND, cache, attend)
        return self._logits(x_ND.view(B, T, -1)[:, -1])

    def step(self, tokens_B: Int[Tensor, " B"], cache: KVCache) -> Float[Tensor, "B V"]:
        """Append each sequence's newest token to the cache; logits of what follows it."""
        if not self.blocks:
            return self.model(tokens_B[:, None], cache=cache)[:, 0]
        x_BD = embedding(tokens_B, self.model.tok_embeddings.weight)
        return self._logits(self._through_blocks(x_BD, cache, self._newest(cache)))

    def sample(
        self,
        logits_BV: Float[Tensor, "B V"],
        uniform_B: Float[Tensor, " B"],
        sampling: SamplingConfig,
    ) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
        """One token per row and its log-probability, see `sample_tokens`."""
        return sample_tokens(logits_BV, uniform_B, sampling)

    def _newest(self, cache: KVCache) -> Callable[[Tensor, LayerCache], Tensor]:
        """How one new token per sequence attends, for a step's every layer."""
        config, end = self.config, cache.length + 1
        H, K, E = config.n_heads, config.n_kv_heads, config.head_dim
        mask = None
        if cache.starts_B is None:
            cos, sin = self.cos[end - 1], self.sin[end - 1]
        else:
            positions_B = end - 1 - cache.starts_B
            cos, sin = self.cos[positions_B], self.sin[positions_B]
            mask = cache.padding_mask(end, cache.layers[0].keys.dtype)

        def attend(qkv_BF: Tensor, layer: LayerCache) -> Tensor:
            qkv = qkv_BF.view(-1, H + 2 * K, E)
            qk = self._turn(qkv[:, : H + K], cos, sin)
            layer.keys[:, :, end - 1] = qk[:, H:]
            layer.values[:, :, end - 1] = qkv[:, H + K :]
            layer.length = end
            return self._attend(qk[:, :H], layer, mask).reshape(-1, H * E)

        return attend

    def _through_blocks(
        self, x_ND: Tensor, cache: KVCache, attend: Callable[[Tensor, LayerCache], Tensor]
    ) -> Tensor:
        """The residual stream after the last block, of N tokens."""
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            normed = self._norm(x_ND, block.attention_norm)
            x_ND = block.wo(attend(block.wqkv(normed), layer), x_ND)
            x_ND = block.w2(self._gate(block.w13(self._norm(x_ND, block.ffn_norm))), x_ND)
        return x_ND

    def _logits(self, x_BD: Tensor) -> Tensor:
        return self.output(self._norm(x_BD, self.model.norm.weight))

    def _norm(self, x_ND: Tensor, weight: Tensor) -> Tensor:
        return rms_norm(x_ND, (self.config.dim,), weight, self.config.norm_eps)

    def _gate(self, gate_and_value_NF: Tensor) -> Tensor:
        gate, value = gate_and_value_NF.chunk(2, -1)
        return silu(gate).mul_(value)

    @staticmethod
    def _turn(qk: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Heads turned by their positions' angles, in float32 and back."""
        wide = qk.float()
        turned = torch.addcmul(wide * cos, wide.roll(wide.shape[-1] // 2, -1), sin)
        return turned.to(qk.dtype)

    def _attend(self, q_BHE: Tensor, layer: LayerCache, mask: Tensor | None) -> Tensor:
        """What one token per sequence reads from a layer's cache."""
        B, H, E = q_BHE.shape
        K, end = layer.keys.shape[1], layer.length
        if self.fused:
            keys, values = layer.keys[:, :, :end], layer.values[:, :, :end]
            mask = None if mask is None else mask[:, :, None]
            return scaled_dot_product_attention(
                q_BHE[:, :, None], keys, values, attn_mask=mask, enable_gqa=H != K
            )
        # The H / K queries of a group meet their keys in one product, so no key is repeated.
        q = q_BHE.reshape(B * K, H // K, E)
        scores = torch.bmm(q, layer.keys.view(B * K, -1, E)[:, :end].transpose(1, 2))
        if mask is not None:
            scores.view(B, H, end).add_(mask)
        return torch.bmm(torch.softmax(scores, -1), layer.values.view(B * K, -1, E)[:, :end])
