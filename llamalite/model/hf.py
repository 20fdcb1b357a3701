"""Hugging Face Llama checkpoints, in and out; what goes in is the same function as what comes out.

Only names differ: both pair feature i of a head with i + E/2 for the rotation. Variants that
Llama 2 does not have (other architectures, stretched rotary positions, biases) are refused
rather than read wrongly.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from llamalite.disk import write_json
from llamalite.model.checkpoint import (
    CONFIG,
    WEIGHTS,
    config_from,
    model_from_state,
    read_json,
    read_safetensors,
    write_safetensors,
)
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.shapes import Tensor

INDEX = "model.safetensors.index.json"

OUTSIDE = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
IN_BLOCK = {
    "attention_norm": "input_layernorm",
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w3": "mlp.up_proj",
    "feed_forward.w2": "mlp.down_proj",
}
DTYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}


def import_hf(folder: str | os.PathLike[str], device: torch.device | str = "cpu") -> Transformer:
    """Read a Hugging Face Llama checkpoint: config.json with one or several safetensors files.

    The weights keep their precision. Raises ValueError in one line when the checkpoint is of
    another architecture, uses what Llama 2 does not, or is damaged.
    """
    folder = Path(folder)
    config = _read_config(folder / CONFIG)
    source = folder / (INDEX if (folder / INDEX).exists() else WEIGHTS)
    state = _rename(_read_weights(folder, source), source)
    if config.tie_embeddings:
        state.pop("output.weight", None)  # some programs write the shared matrix twice
    return model_from_state(config, state, source, device)


def export_hf(
    model: Transformer,
    folder: str | os.PathLike[str],
    special_ids: Mapping[str, int] | None = None,
) -> None:
    """Write config.json and model.safetensors, which `transformers` loads as LlamaForCausalLM.

    The tokenizer is not written, see `llamalite.text.hf_tokenizer`; `special_ids` are its ids as
    "bos_token_id", "eos_token_id" and so on (SentencePiece's unless told: bos 1, eos 2).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {hf_name(name): tensor for name, tensor in model.state_dict().items()}
    write_safetensors(folder / WEIGHTS, state)
    dtype = DTYPES.get(model.tok_embeddings.weight.dtype, "float32")
    write_json(
        folder / CONFIG,
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": dtype}
        | hf_config(model.config)
        | dict(special_ids or {}),
    )


def hf_config(config: ModelConfig) -> dict[str, Any]:
    """The shape in the words of `transformers.LlamaConfig`."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.dim,
        "intermediate_size": config.ffn_dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.tie_embeddings,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "initializer_range": 0.02,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _read_config(path: Path) -> ModelConfig:
    """Translate config.json, refusing what Llama 2 does not have."""
    raw = read_json(path)
    kind = raw.get("model_type")
    if kind != "llama":
        raise ValueError(f"{path}: model_type is {kind!r}; only 'llama' checkpoints can be read")
    rope = raw.get("rope_parameters") or {}  # where transformers 5 keeps what had its own key
    scaling = raw.get("rope_scaling") or rope
    method = scaling.get("rope_type", scaling.get("type", "default"))
    refused = {
        f"rotary scaling {method!r}": method != "default",
        "partial rotation": scaling.get("partial_rotary_factor", 1) != 1,
        "attention_bias": raw.get("attention_bias", False),
        "mlp_bias": raw.get("mlp_bias", False),
        f"activation {raw.get('hidden_act')!r}": raw.get("hidden_act", "silu") != "silu",
        "quantised weights": "quantization_config" in raw,
    }
    for what in (name for name, present in refused.items() if present):
        raise ValueError(f"{path}: uses {what}, which Llama 2 does not; choose another checkpoint")
    values: dict[str, Any] = {
        "vocab_size": raw.get("vocab_size"),
        "dim": raw.get("hidden_size"),
        "n_layers": raw.get("num_hidden_layers"),
        "n_heads": raw.get("num_attention_heads"),
        "ffn_dim": raw.get("intermediate_size"),
        "max_seq_len": raw.get("max_position_embeddings", 2048),
        "norm_eps": raw.get("rms_norm_eps", 1e-6),
        "rope_theta": rope.get("rope_theta", raw.get("rope_theta", 10_000.0)),
        "tie_embeddings": raw.get("tie_word_embeddings", False),
    }
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise ValueError(f"{path}: gives no {', '.join(missing)}; fetch the checkpoint again")
    values["n_kv_heads"] = raw.get("num_key_value_heads") or values["n_heads"]
    values["head_dim"] = raw.get("head_dim") or values["dim"] // values["n_heads"]
    return config_from(path, values)


def _read_weights(folder: Path, source: Path) -> dict[str, Tensor]:
    """All tensors, from the one file or from all files that the index lists."""
    if source.name == WEIGHTS:
        if not source.exists() and (folder / "pytorch_model.bin").exists():
            raise ValueError(
                f"{folder}: holds pickled weights, which could run code; "
                "convert them to safetensors"
            )
        return read_safetensors(source)
    index = read_json(source).get("weight_map")
    if not isinstance(index, dict) or not all(isinstance(v, str) for v in index.values()):
        raise ValueError(f"{source}: has no weight_map; fetch the checkpoint again")
    state: dict[str, Tensor] = {}
    for name in sorted(set(index.values())):
        if Path(name).name != name:
            raise ValueError(
                f"{source}: lists {name!r}, a file outside the folder; do not trust it"
            )
        state |= read_safetensors(folder / name)
    return state


def _rename(state: dict[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Our names for Hugging Face's; ValueError for a tensor Llama 2 does not have."""
    outside = {theirs: ours for ours, theirs in OUTSIDE.items()}
    in_block = {theirs: ours for ours, theirs in IN_BLOCK.items()}
    renamed = {}
    for name, tensor in state.items():
        block = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
        if name in outside:
            renamed[outside[name]] = tensor
        elif block and block[2] in in_block:
            renamed[f"layers.{block[1]}.{in_block[block[2]]}.weight"] = tensor
        elif not name.endswith("rotary_emb.inv_freq"):  # early exports stored this constant
            raise ValueError(
                f"{source}: has tensor {name}, which Llama 2 does not; choose another checkpoint"
            )
    return renamed


def hf_name(name: str) -> str:
    """Hugging Face's name for one of our tensors."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    _, layer, part = name.split(".", 2)
    return f"model.layers.{layer}.{IN_BLOCK[part.removesuffix('.weight')]}.weight"
