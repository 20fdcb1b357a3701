"""Meta's released checkpoints, in: params.json and consolidated.NN.pth.

The larger models come as tensor-parallel shards, one file per process: projections that widen
are split by rows, those that narrow by columns, the embedding by its width. The files are
pickles and are read with `weights_only`, which builds tensors and nothing else.
"""

from __future__ import annotations

import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from einops import rearrange

from llamalite.model.checkpoint import config_from, model_from_state, read_json
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.shapes import Float, Tensor

SPLIT_AXIS = {
    "tok_embeddings": 1,
    "output": 0,
    "wq": 0,
    "wk": 0,
    "wv": 0,
    "wo": 1,
    "w1": 0,
    "w3": 0,
    "w2": 1,
}
"""The axis along which a matrix is split among shards; norms are whole in each."""

CONTEXT = 4096
"""Llama 2's context (table 1), which params.json does not state."""


def import_meta(
    folder: str | os.PathLike[str],
    max_seq_len: int = CONTEXT,
    vocab_size: int | None = None,
    device: torch.device | str = "cpu",
) -> Transformer:
    """Read a folder with params.json and consolidated.00.pth, consolidated.01.pth and so on.

    The weights keep their precision. Released files of the larger models say nothing of their
    vocabulary; it is then read off the embedding. Raises ValueError in one line when a file is
    missing, damaged, or holds more than tensors.
    """
    folder = Path(folder)
    params = read_json(folder / "params.json")
    state = _join(_read_shards(folder), folder)
    config = _config(folder / "params.json", params, state, max_seq_len, vocab_size)
    for i in range(config.n_layers):
        for name in (f"layers.{i}.attention.wq.weight", f"layers.{i}.attention.wk.weight"):
            if name in state and state[name].shape[0] % config.head_dim == 0:
                state[name] = pair_halves(state[name], config.head_dim)
    return model_from_state(config, state, folder, device)


def ffn_width(dim: int, multiple_of: int, multiplier: float | None = None) -> int:
    """F of a released model: 2/3 of 4 D, times the multiplier, rounded up to a multiple.

    Not in the paper; the rule of the released code, with which SwiGLU's three matrices weigh
    what two of width 4 D would.
    """
    width = int(2 * 4 * dim / 3)
    if multiplier is not None:
        width = int(multiplier * width)
    return multiple_of * -(-width // multiple_of)


def pair_halves(weight_FD: Float[Tensor, "F D"], head_dim: int) -> Float[Tensor, "F D"]:
    """Reorder each head's rows from pairs (2i, 2i + 1) to pairs (i, i + E/2).

    The released weights rotate neighbouring features; see `llamalite.model.layers.rotate`.
    """
    return rearrange(weight_FD, "(H E two) D -> (H two E) D", E=head_dim // 2, two=2)


def pair_neighbours(weight_FD: Float[Tensor, "F D"], head_dim: int) -> Float[Tensor, "F D"]:
    """Back to the order of the released weights and of GGUF files: undoes `pair_halves`."""
    return rearrange(weight_FD, "(H two E) D -> (H E two) D", E=head_dim // 2, two=2)


def _config(
    path: Path,
    params: dict[str, Any],
    state: dict[str, Tensor],
    max_seq_len: int,
    vocab_size: int | None,
) -> ModelConfig:
    """Translate params.json; -1 stands there for a vocabulary the tokenizer would tell."""
    try:
        dim, n_heads = int(params["dim"]), int(params["n_heads"])
        multiple_of = int(params["multiple_of"])
        multiplier = params.get("ffn_dim_multiplier")
        ffn_dim = ffn_width(dim, multiple_of, None if multiplier is None else float(multiplier))
        head_dim = dim // n_heads
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{path}: not Meta's params.json (wrong or missing {error})") from None
    embedding = state.get("tok_embeddings.weight")
    stated = params.get("vocab_size", -1)
    if vocab_size is None:
        read = -1 if embedding is None else embedding.shape[0]
        vocab_size = stated if isinstance(stated, int) and stated > 0 else read
    values = {
        "vocab_size": vocab_size,
        "dim": dim,
        "n_layers": params.get("n_layers"),
        "n_heads": n_heads,
        "n_kv_heads": params.get("n_kv_heads") or n_heads,
        "head_dim": head_dim,
        "ffn_dim": ffn_dim,
        "max_seq_len": max_seq_len,
        "rope_theta": params.get("rope_theta", 10_000.0),
        "norm_eps": params.get("norm_eps", 1e-5),
        "tie_embeddings": False,
    }
    return config_from(path, values)


def _read_shards(folder: Path) -> list[dict[str, Tensor]]:
    """Every shard's tensors, in order; the files must be numbered without a gap."""
    paths = sorted(folder.glob("consolidated.[0-9][0-9].pth"))
    if not paths:
        raise ValueError(f"{folder}: holds no consolidated.00.pth; give a folder as Meta ships it")
    if missing := set(range(len(paths))) - {int(path.suffixes[0][1:]) for path in paths}:
        name = f"consolidated.{min(missing):02d}.pth"
        raise ValueError(f"{folder}: {name} is missing; fetch all shards")
    shards = []
    for path in paths:
        try:
            shard = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except (RuntimeError, UnpicklingError, EOFError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:120]
            raise ValueError(
                f"{path}: damaged, truncated or more than tensors ({reason}); fetch it again"
            ) from None
        if not isinstance(shard, dict) or not all(isinstance(t, Tensor) for t in shard.values()):
            raise ValueError(
                f"{path}: not a dictionary of tensors; give a checkpoint as Meta ships"
            )
        shards.append(shard)
    return shards


def _join(shards: list[dict[str, Tensor]], folder: Path) -> dict[str, Tensor]:
    """One dictionary of whole tensors."""
    names = shards[0].keys()
    joined = {}
    if any(shard.keys() != names for shard in shards):
        raise ValueError(f"{folder}: its shards hold different tensors; fetch them all again")
    for name in names:
        if name == "rope.freqs":  # a constant that the released files carry along
            continue
        axis = SPLIT_AXIS.get(name.split(".")[-2]) if "." in name else None
        parts = [shard[name] for shard in shards]
        if len({part.shape for part in parts}) > 1:
            raise ValueError(f"{folder}: its shards split {name} unevenly; fetch them all again")
        joined[name] = parts[0] if axis is None or len(parts) == 1 else torch.cat(parts, axis)
    return joined
