"""Sampling with compiled operations: when it pays, and the decoder that does it.

The matrix products stay oneDNN's; what stands between them is compiled (`kernels.c`), for any
batch, any length and any weights, so that finished sequences leave the batch as ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

import torch

from llamalite.model import decoding
from llamalite.model.config import SamplingConfig
from llamalite.model.decoding import Decoder
from llamalite.model.kernels import Kernels, kernels
from llamalite.model.kv_cache import KVCache, LayerCache
from llamalite.model.projection import Weights
from llamalite.model.transformer import Transformer
from llamalite.shapes import Tensor
from llamalite.training_config import Compile

COMPILE_PAYS_FROM_TOKENS = 50_000
"""Tokens of a whole stage above which compiling is paid back (see benchmarks/sampling.py)."""


def sampling_decoder(model: Transformer, choice: Compile, tokens: int) -> Decoder:
    """The model laid out for a stage that samples about `tokens` tokens, compiled if that pays.

    `tokens` are to follow from the stage's settings, never from what is left to do: what a decoder
    samples may differ in the last digits of the logits, and a resumed run is to take the same path.
    Where "on" cannot be had on the CPU, that is said once; on a GPU it speaks of training alone.
    """
    if choice == "off" or (choice == "auto" and tokens < COMPILE_PAYS_FROM_TOKENS):
        return Decoder(model)
    if not (reason := _obstacle(model)):
        return CompiledDecoder(model)
    if choice == "on" and model.tok_embeddings.weight.device.type == "cpu":
        _say(f"sampling is not compiled: {reason}")
    return Decoder(model)


class CompiledDecoder(Decoder):
    """A decoder on the CPU in float32 whose small operations are compiled."""

    def __init__(self, model: Transformer, weights: Weights = "same") -> None:
        """Raises ValueError where it cannot be had, besides what `Decoder` raises."""
        if reason := _obstacle(model):
            raise ValueError(reason)
        super().__init__(model, weights)
        made = kernels()
        assert isinstance(made, Kernels)
        self.kernels = made

    def sample(
        self, logits_BV: Tensor, uniform_B: Tensor, sampling: SamplingConfig
    ) -> tuple[Tensor, Tensor]:
        if 1 < sampling.top_k < logits_BV.shape[1]:
            return super().sample(logits_BV, uniform_B, sampling)
        temperature = 0.0 if sampling.top_k == 1 else sampling.temperature
        return self.kernels.draw(logits_BV, uniform_B, temperature, sampling.top_p)

    def _newest(self, cache: KVCache) -> Callable[[Tensor, LayerCache], Tensor]:
        end, starts_B, first, last = cache.length + 1, None, 0, 0
        if cache.starts_B is not None:
            starts_B = cache.starts_B.to(torch.int64).contiguous()
            first, last = int(starts_B.min()), int(starts_B.max())
        if not (0 <= first <= last < end <= cache.slots and end - first <= len(self.cos)):
            raise ValueError(
                f"slot {end} of a sequence that begins at {first} is needed; the cache has "
                f"{cache.slots} and the context {len(self.cos)}"
            )

        def attend(qkv_BF: Tensor, layer: LayerCache) -> Tensor:
            layer.length = end
            return self.kernels.attend(
                qkv_BF, layer.keys, layer.values, self.cos, self.sin, starts_B, end
            )

        return attend

    def _norm(self, x_ND: Tensor, weight: Tensor) -> Tensor:
        return self.kernels.norm(x_ND, weight, self.config.norm_eps)

    def _gate(self, gate_and_value_NF: Tensor) -> Tensor:
        return self.kernels.gate(gate_and_value_NF)


def _obstacle(model: Transformer) -> str:
    """Why this model's sampling cannot be compiled here; empty where it can."""
    weight, size = model.tok_embeddings.weight, model.config.n_parameters
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        kind = str(weight.dtype).removeprefix("torch.")
        place = weight.device.type
        return f"the model is {kind} on {place}, and only float32 on the CPU can be compiled"
    if size > decoding.JOIN_BELOW:
        most = decoding.JOIN_BELOW
        return f"the model has {size:,} parameters, and at most {most:,} can be compiled"
    made = kernels()
    return made if isinstance(made, str) else ""


@cache
def _say(line: str) -> None:
    logging.getLogger(__name__).warning(line)
