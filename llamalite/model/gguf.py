"""GGUF files of Llama-architecture models, in. Not in the paper; llama.cpp's format.

The weights may be F32, F16, Q8_0 or Q4_1: the last two are blocks of 32 values that share a scale
(and, in Q4_1, an offset), so a weight takes 8.5 or 5 bits. They come out as float32, exactly
the numbers llama.cpp computes with. Decoding the blocks is the `gguf` package's work (extra
`weights`).
"""

from __future__ import annotations

import importlib
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from llamalite.model.checkpoint import config_from, expected_model, model_from_state
from llamalite.model.config import ModelConfig
from llamalite.model.gguf_header import (
    Header,
    TensorRecord,
    map_file,
    naming,
    read_header,
    tensor_bytes,
)
from llamalite.model.meta import pair_halves
from llamalite.model.transformer import Transformer
from llamalite.shapes import Tensor

KINDS = ("F32", "F16", "Q8_0", "Q4_1")
"""Types of tensors that are read."""
OUTSIDE = {
    "token_embd.weight": "tok_embeddings.weight",
    "output_norm.weight": "norm.weight",
    "output.weight": "output.weight",
}
IN_BLOCK = {
    "attn_norm": "attention_norm",
    "attn_q": "attention.wq",
    "attn_k": "attention.wk",
    "attn_v": "attention.wv",
    "attn_output": "attention.wo",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "feed_forward.w1",
    "ffn_up": "feed_forward.w3",
    "ffn_down": "feed_forward.w2",
}
TURNED = ("attn_q.weight", "attn_k.weight")
"""Projections whose rows llama.cpp keeps in pairs of neighbours, as Meta's own files do."""


def import_gguf(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Transformer:
    """Read a Llama model from a GGUF file, as float32.

    Takes the file's size of memory, which is mapped, and four bytes for each weight: twice an F32
    file's size in all, 7.4 times that of a Q4_1 file. Raises ValueError in one line when the file
    is missing, truncated, damaged, of another architecture, or has tensors of other types than
    `KINDS`; all of that is found before any weight is read.
    """
    path = Path(path)
    with naming(path):
        data = map_file(path)
        header = read_header(data)
        config = read_config(path, header)
        _expect_layers(header, config)
        records = {_our_name(name): record for name, record in header.tensors.items()}
        expected_model(config, {name: each.shape for name, each in records.items()}, path)
        _expect_bytes(header, len(data))
        state = {
            _our_name(name): _weights(data, name, record, config.head_dim)
            for name, record in header.tensors.items()
        }
    return model_from_state(config, state, path, device)


def read_config(path: Path, header: Header) -> ModelConfig:
    """The shape of the model, refusing what Llama 2 does not have."""
    meta = header.metadata
    architecture = meta.get("general.architecture")
    if architecture != "llama":
        raise ValueError(f"has architecture {architecture!r}; only 'llama' can be read")
    scaling = meta.get("llama.rope.scaling.type", "none")
    refused = {
        f"rotary scaling {scaling!r}": scaling != "none",
        "frequency factors": "rope_freqs.weight" in header.tensors,
        "experts": meta.get("llama.expert_count", 0) != 0,
    }
    for what in (name for name, present in refused.items() if present):
        raise ValueError(f"uses {what}, which Llama 2 does not; choose another model")
    embedding = header.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ValueError("has no embedding token_embd.weight; choose a whole model")
    values: dict[str, Any] = {
        "vocab_size": embedding.shape[0],
        "dim": meta.get("llama.embedding_length"),
        "n_layers": meta.get("llama.block_count"),
        "n_heads": meta.get("llama.attention.head_count"),
        "ffn_dim": meta.get("llama.feed_forward_length"),
        "max_seq_len": meta.get("llama.context_length"),
        "norm_eps": meta.get("llama.attention.layer_norm_rms_epsilon"),
    }
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise ValueError(f"gives no {', '.join(missing)}; fetch it again")
    if isinstance(values["norm_eps"], float):  # 1e-5 was rounded to single precision
        values["norm_eps"] = float(str(np.float32(values["norm_eps"])))
    values["rope_theta"] = meta.get("llama.rope.freq_base", 10_000.0)
    values["n_kv_heads"] = meta.get("llama.attention.head_count_kv", values["n_heads"])
    width = meta.get("llama.attention.key_length")
    if width is None and isinstance(values["dim"], int) and isinstance(values["n_heads"], int):
        width = values["dim"] // max(1, values["n_heads"])
    values["head_dim"] = width
    values["tie_embeddings"] = "output.weight" not in header.tensors
    if meta.get("llama.rope.dimension_count", width) != width:
        raise ValueError("turns a part of each head only, which Llama 2 does not")
    return config_from(path, values)


def _expect_layers(header: Header, config: ModelConfig) -> None:
    """Before anything is built: as many tensors as the declared layers need."""
    expected = len(IN_BLOCK) * config.n_layers + len(OUTSIDE) - config.tie_embeddings
    if len(header.tensors) != expected:
        raise ValueError(
            f"has {len(header.tensors):,} tensors and a Llama of {config.n_layers:,} layers has "
            f"{expected:,}; it is damaged or another architecture"
        )


def _expect_bytes(header: Header, size: int) -> None:
    """As many bytes as all tensors need: none may lie over another, to take memory twice."""
    needed = sum(_blocks(name, record).size for name, record in header.tensors.items())
    if needed > size:
        raise ValueError(
            f"has tensors of {needed:,} bytes and {size:,} bytes in all; it is truncated or "
            "damaged, fetch it again"
        )


def _our_name(name: str) -> str:
    if name in OUTSIDE:
        return OUTSIDE[name]
    words = name.split(".")
    if len(words) == 4 and words[0] == "blk" and words[1].isdigit() and words[3] == "weight":
        _, layer, part, _ = words
        if part in IN_BLOCK:
            return f"layers.{int(layer)}.{IN_BLOCK[part]}.weight"
    raise ValueError(f"has tensor {name!r}, which Llama 2 does not; choose another model")


class Blocks(NamedTuple):
    """How a tensor lies in the file."""

    kind: Any
    """One of the `gguf` package's types."""
    row: int
    """Bytes of a row."""
    size: int
    """Bytes of all rows."""


def _blocks(name: str, record: TensorRecord) -> Blocks:
    gguf = _package()
    kind = next((k for k in gguf.GGMLQuantizationType if k.value == record.kind), None)
    if kind is None or kind.name not in KINDS:
        found = kind.name if kind else f"number {record.kind}"
        raise ValueError(f"{name} is of type {found}; {', '.join(KINDS)} are read")
    values, size = gguf.GGML_QUANT_SIZES[kind]
    if record.shape[-1] % values:
        raise ValueError(
            f"{name} has rows of {record.shape[-1]}; {kind.name} needs whole {values}s"
        )
    row = record.shape[-1] // values * size
    return Blocks(kind, row, math.prod(record.shape[:-1]) * row)


def _weights(data: Any, name: str, record: TensorRecord, head_dim: int) -> Tensor:
    """One tensor as float32, its heads' rows as `llamalite.model.layers.rotate` pairs them."""
    kind, row, size = _blocks(name, record)
    rows = tensor_bytes(data, record, size).reshape(*record.shape[:-1], row)
    array = _package().quants.dequantize(rows, kind).reshape(record.shape)
    weights = torch.from_numpy(np.array(array, np.float32))
    if name.endswith(TURNED) and weights.ndim == 2 and weights.shape[0] % head_dim == 0:
        weights = pair_halves(weights, head_dim)
    return weights.contiguous()


def _package() -> Any:
    """The `gguf` package; ValueError names the extra when it is missing."""
    try:
        return importlib.import_module("gguf")
    except ModuleNotFoundError:
        raise ValueError(
            "needs the package gguf to be read; pip install 'llamalite[weights]'"
        ) from None
