"""A model as files: config.json and model.safetensors, which cannot run code when read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from llamalite.disk import write_json
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.shapes import Tensor

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MOST_HEADER = 300_000
"""Bytes of a safetensors file's list of tensors, at most; a 70B model in one file has some 80,000.
Each tensor listed takes some twenty times as many bytes in memory, however small it is itself."""
LONGEST_CONTEXT = 131_072
"""Tokens of context that a file may declare: the rotary tables are filled for all of them."""
WIDEST = 2**24
"""Rows or columns of a matrix that a file may declare; the largest vocabularies have 2**18."""


def save_model(folder: str | os.PathLike[str], model: Transformer) -> None:
    """Write config.json and model.safetensors into a folder, which is made if need be.

    Each file appears whole or not at all. Equal weights give equal bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / WEIGHTS, model.state_dict())
    write_json(folder / CONFIG, {"format": "llamalite", **asdict(model.config)})


def load_model(folder: str | os.PathLike[str], device: torch.device | str = "cpu") -> Transformer:
    """Read a model that `save_model` wrote, in the precision in which it was written.

    Raises ValueError in one line, with the file and what to do, when a file is missing,
    damaged, a pickle, or of another program.
    """
    folder = Path(folder)
    path = folder / CONFIG
    raw = read_json(path)
    if raw.pop("format", None) != "llamalite":
        remedy = "read it with import_hf" if "model_type" in raw else "give a llamalite model"
        raise ValueError(f"{path}: not a llamalite configuration; {remedy}")
    known = {field.name for field in fields(ModelConfig)}
    if raw.keys() != known:
        wrong = ", ".join(sorted(raw.keys() ^ known))
        raise ValueError(f"{path}: missing or unknown: {wrong}; save the model again")
    config = config_from(path, raw)
    return model_from_state(config, read_safetensors(folder / WEIGHTS), folder / WEIGHTS, device)


def config_from(path: Path, values: Mapping[str, Any]) -> ModelConfig:
    """A ModelConfig of values read from a file; ValueError names the file when they are wrong."""
    values = dict(values)
    for field in fields(ModelConfig):
        kind = {"int": (int,), "float": (int, float), "bool": (bool,)}[str(field.type)]
        value = values.get(field.name, field.default)
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
            raise ValueError(f"{path}: {field.name} is {value!r}; it must be {field.type}")
        values[field.name] = kind[-1](value)
    if values["max_seq_len"] > LONGEST_CONTEXT:
        raise ValueError(
            f"{path}: declares a context of {values['max_seq_len']:,} tokens; "
            f"at most {LONGEST_CONTEXT:,} are read"
        )
    try:
        return ModelConfig(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def model_from_state(
    config: ModelConfig,
    state: Mapping[str, Tensor],
    source: Path,
    device: torch.device | str = "cpu",
) -> Transformer:
    """A Transformer with these weights, which must fit the configuration name by name."""
    model = expected_model(config, {name: each.shape for name, each in state.items()}, source)
    model.to_empty(device=device)
    model.load_state_dict({k: v.to(device) for k, v in state.items()}, assign=True)
    return model.requires_grad_(True)


def expected_model(
    config: ModelConfig, shapes: Mapping[str, Sequence[int]], source: Path
) -> Transformer:
    """The configuration's model, without memory for its weights ("meta").

    ValueError unless it has tensors of just these names and shapes, which `source` holds.
    """
    if config.n_layers > len(shapes):  # a damaged number must not build a million layers first
        raise ValueError(
            f"{source}: has {len(shapes):,} tensors and the configuration {config.n_layers:,} "
            "layers; the weights belong to another configuration"
        )
    heads = max(config.n_heads, config.n_kv_heads) * config.head_dim
    widest = max(config.vocab_size, config.dim, config.ffn_dim, heads)
    if widest > WIDEST:  # nor sizes that torch cannot even count
        raise ValueError(
            f"{source}: the configuration is {widest:,} wide, no model is wider than {WIDEST:,}; "
            "it is damaged, or the weights belong to another configuration"
        )
    with torch.device("meta"):
        model = Transformer(config)
    expected = model.state_dict()
    for problem, names in (
        ("lacks", expected.keys() - shapes.keys()),
        ("has an unknown", shapes.keys() - expected.keys()),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ValueError(
                f"{source}: {problem} tensor {min(names)}{more}; "
                "the weights belong to another configuration"
            )
    for name, shape in shapes.items():
        if list(shape) != list(expected[name].shape):
            raise ValueError(
                f"{source}: {name} is {list(shape)} and the configuration says "
                f"{list(expected[name].shape)}; the weights belong to another configuration"
            )
    return model


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, which is mapped: at most its size of memory, and that of the list.

    ValueError when it is missing, a pickle, truncated or damaged, or its list of tensors is longer
    than `MOST_HEADER`.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)  # the length of the list, which follows
        length = int.from_bytes(start, "little")
        if length > MOST_HEADER:
            raise ValueError(
                f"its list of tensors has {length:,} bytes; at most {MOST_HEADER:,} are read"
            )
        return load_file(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; give a model's folder") from None
    except (SafetensorError, ValueError, OverflowError) as error:
        # Only now: a sound file may begin with any byte, for it begins with its header's length.
        if start[:2] == b"PK" or (start[:1] == b"\x80" and start[1:2] <= b"\x05"):
            problem = "a pickle, which could run code; convert it to safetensors"
        else:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            problem = f"damaged, truncated or not safetensors ({reason}); make or fetch it again"
        raise ValueError(f"{path}: {problem}") from None


def write_safetensors(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors so that the file appears whole or not at all. OSError when it cannot be."""
    partial = path.with_name(path.name + ".partial")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        save_file(tensors, partial, metadata={"format": "pt"})
        os.replace(partial, path)
    except SafetensorError as error:  # a full disk, mostly
        raise OSError(
            f"{path}: cannot be written ({error}); free space or choose a folder"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. ValueError when it is missing or not one."""
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; give a model's folder") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); make or fetch it again") from None
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: not a JSON object; make or fetch it again")
    return raw
