"""One step of generation, fast: the same arithmetic as the model's forward, with fewer calls.

A step of a small model is mostly overhead, so for the time of one generation the projections
that read the same input are joined into one matrix, the 1 / sqrt(E) of attention is folded
into the query weights, and nothing is computed that one new token does not need. A test holds
it to the model's own forward; `benchmarks/sampling.py` measures it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu

from llamalite.model.kv_cache import KVCache, LayerCache
from llamalite.model.layers import Block
from llamalite.model.transformer import Transformer
from llamalite.shapes import Float, Int, Tensor

JOIN_BELOW = 1_000_000_000
"""Parameters up to which weights are copied to join them; beyond, matmuls dwarf the overhead."""
ROWS_HINT = 64
"""Sequences decoded at once for which weights are laid out; any other number works as well."""


class Projection:
    """x W^T, and x W^T + residual, for the rows of one step.

    On a CPU in float32 the weight is laid out once as oneDNN's kernels read it (PyTorch's own
    compiler calls the same operator): up to twice as fast as the plain product with some tens
    of rows, and the sum rides along.
    """

    def __init__(self, weight_NK: Tensor) -> None:
        plain = weight_NK.device.type == "cpu" and weight_NK.dtype == torch.float32
        self.packed = plain and torch.backends.mkldnn.is_available()
        self.weight = weight_NK
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(weight_NK, ROWS_HINT)

    def __call__(self, x_BK: Tensor, residual_BN: Tensor | None = None) -> Tensor:
        if not self.packed:
            projected = linear(x_BK, self.weight)
            return projected if residual_BN is None else projected.add_(residual_BN)
        product = torch.ops.mkldnn._linear_pointwise
        if residual_BN is None:
            return product(x_BK, self.weight, None, "none", [], "")
        return product.binary(x_BK, residual_BN, self.weight, None, "add")


class JoinedBlock(NamedTuple):
    """One block's weights, joined by what reads them."""

    attention_norm: Tensor
    wqkv: Projection
    wo: Projection
    ffn_norm: Tensor
    w13: Projection
    w2: Projection


class Decoder:
    """Decodes one token for every sequence of a cache. Made anew for each generation.

    It copies the weights, so a model trained in between is not seen.
    """

    def __init__(self, model: Transformer) -> None:
        self.model = model
        self.blocks: list[JoinedBlock] = []
        if sum(p.numel() for p in model.parameters()) > JOIN_BELOW:
            return
        # In half precision a fused kernel keeps the scores in float32, as it does in training.
        self.fused = model.tok_embeddings.weight.dtype != torch.float32
        scale = 1.0 if self.fused else model.config.head_dim**-0.5
        for block in model.layers:
            assert isinstance(block, Block)
            attention, feed_forward = block.attention, block.feed_forward
            wq = attention.wq.weight * scale
            self.blocks.append(
                JoinedBlock(
                    block.attention_norm.weight,
                    Projection(torch.cat((wq, attention.wk.weight, attention.wv.weight))),
                    Projection(attention.wo.weight),
                    block.ffn_norm.weight,
                    Projection(torch.cat((feed_forward.w1.weight, feed_forward.w3.weight))),
                    Projection(feed_forward.w2.weight),
                )
            )
        self.output = Projection(
            model.tok_embeddings.weight if model.output is None else model.output.weight
        )
        # Halves of a head turn together: x cos + roll(x) sin, with the first half's sine negated.
        cos, sin = model.rotary.cos, model.rotary.sin
        self.cos = torch.cat((cos, cos), -1)[:, None]
        self.sin = torch.cat((-sin, sin), -1)[:, None]

    def step(self, tokens_B: Int[Tensor, " B"], cache: KVCache) -> Float[Tensor, "B V"]:
        """Append each sequence's newest token to the cache; logits of what follows it."""
        if not self.blocks:
            return self.model(tokens_B[:, None], cache=cache)[:, 0]
        config, end = self.model.config, cache.length + 1
        B, H, K, E = len(tokens_B), config.n_heads, config.n_kv_heads, config.head_dim
        eps, width, inner = config.norm_eps, (config.dim,), config.ffn_dim
        x_BD = embedding(tokens_B, self.model.tok_embeddings.weight)
        mask = None
        if cache.starts_B is None:
            cos, sin = self.cos[end - 1], self.sin[end - 1]
        else:
            positions_B = end - 1 - cache.starts_B
            cos, sin = self.cos[positions_B], self.sin[positions_B]
            mask = cache.padding_mask(end, x_BD.dtype)
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            normed = rms_norm(x_BD, width, block.attention_norm, eps)
            qkv = block.wqkv(normed).view(B, H + 2 * K, E)
            qk = qkv[:, : H + K].float()
            qk = torch.addcmul(qk * cos, qk.roll(E // 2, -1), sin)
            layer.keys[:, :, end - 1] = qk[:, H:]
            layer.values[:, :, end - 1] = qkv[:, H + K :]
            layer.length = end
            mixed = self._attend(qk[:, :H].to(qkv.dtype), layer, mask)
            x_BD = block.wo(mixed.reshape(B, H * E), x_BD)
            normed = rms_norm(x_BD, width, block.ffn_norm, eps)
            gate_and_value = block.w13(normed)
            gated = silu(gate_and_value[:, :inner]).mul_(gate_and_value[:, inner:])
            x_BD = block.w2(gated, x_BD)
        normed = rms_norm(x_BD, width, self.model.norm.weight, eps)
        return self.output(normed)

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
