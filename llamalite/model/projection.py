"""A matrix product with fixed weights, laid out once as the machine's kernels read them.

With one token at a time a product is as fast as its weights are read, so half the bytes are twice
the speed. Not in the paper; used for generation only, see `llamalite.model.decoding`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import torch
from torch.nn.functional import linear

from llamalite.shapes import Tensor

Weights = Literal["same", "float16"]
"""Precision in which weights are read: the model's own, or half of float32."""
ROWS_HINT = 64
"""Sequences decoded at once for which weights are laid out; any other number works as well."""


class Projection:
    """x W^T, and x W^T + residual, for rows of tokens.

    On a CPU in float32 the weight is laid out once as oneDNN's kernels read it (PyTorch's own
    compiler calls the same operator): up to twice as fast as the plain product with some tens
    of rows, and the sum rides along. A single row is faster with the weight turned, which is
    done when the first one comes.
    """

    def __init__(self, weight_NK: Tensor) -> None:
        plain = weight_NK.device.type == "cpu" and weight_NK.dtype == torch.float32
        self.packed = plain and torch.backends.mkldnn.is_available()
        self.weight = weight_NK
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(weight_NK, ROWS_HINT)

    def __call__(self, x_BK: Tensor, residual_BN: Tensor | None = None) -> Tensor:
        if not self.packed or len(x_BK) == 1:
            projected = x_BK @ self.turned if self.packed else linear(x_BK, self.weight)
            return projected if residual_BN is None else projected.add_(residual_BN)
        product = torch.ops.mkldnn._linear_pointwise
        if residual_BN is None:
            return product(x_BK, self.weight, None, "none", [], "")
        return product.binary(x_BK, residual_BN, self.weight, None, "add")

    @cached_property
    def turned(self) -> Tensor:
        """A copy whose rows a single row of tokens weighs and adds up, one after the other."""
        return self.weight.to_dense().t().contiguous()


class HalfProjection(Projection):
    """The same with weights in float16 (11 bits of precision); products and sums stay float32."""

    def __init__(self, weight_NK: Tensor) -> None:
        self.weight = torch.ops.quantized.linear_prepack_fp16(weight_NK.detach(), None)

    def __call__(self, x_BK: Tensor, residual_BN: Tensor | None = None) -> Tensor:
        projected = torch.ops.quantized.linear_dynamic_fp16(x_BK, self.weight)
        return projected if residual_BN is None else projected.add_(residual_BN)


def projection(weight_NK: Tensor, weights: Weights = "same") -> Projection:
    """The product with a weight, read as `weights`; ValueError where that cannot be."""
    if weights == "same":
        return Projection(weight_NK)
    if not can_halve(weight_NK):
        raise ValueError(
            "weights is 'float16', which needs float32 weights on an x86 CPU, and they are "
            f"{str(weight_NK.dtype).removeprefix('torch.')} on {weight_NK.device.type} here; "
            "choose 'same'"
        )
    return HalfProjection(weight_NK)


def can_halve(weight: Tensor) -> bool:
    """Whether this machine has the kernels to read such a weight as float16."""
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and torch.backends.quantized.engine in ("x86", "fbgemm")
