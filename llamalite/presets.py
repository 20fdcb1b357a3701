"""Every model and every run on one screen, from a laptop's nano to the paper's 70B.

Model dimensions of 7B to 70B: the released configurations (the paper prints sizes, context, heads'
grouping and learning rates: table 1). The 34B was never released; its dimensions are those of Code
Llama 34B, its continuation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from llamalite.evaluation.config import EvaluateConfig
from llamalite.model.config import ModelConfig
from llamalite.pretraining.config import PretrainConfig
from llamalite.sft.config import SFTConfig
from llamalite.text.config import TokenizerConfig
from llamalite.training_config import OptimizerConfig
from llamalite.world.config import WorldConfig

_MINI = ModelConfig(
    vocab_size=1024, dim=128, n_layers=4, n_heads=4, n_kv_heads=2, head_dim=32, ffn_dim=352
)
_7B = ModelConfig(
    vocab_size=32_000,
    dim=4096,
    n_layers=32,
    n_heads=32,
    n_kv_heads=32,
    head_dim=128,
    ffn_dim=11_008,
    max_seq_len=4096,
)
_70B = replace(_7B, dim=8192, n_layers=80, n_heads=64, n_kv_heads=8, ffn_dim=28_672)

MODELS: dict[str, ModelConfig] = {
    # laptop sizes, one family: width and depth grow, the context stays
    "nano": replace(_MINI, dim=64, n_layers=3, n_heads=2, n_kv_heads=1, ffn_dim=176),
    "micro": replace(_MINI, dim=96, n_layers=3, head_dim=24, ffn_dim=256),
    "mini": _MINI,
    "small": replace(_MINI, dim=192, n_layers=6, n_heads=6, ffn_dim=512),
    "medium": replace(
        _MINI, vocab_size=2048, dim=288, n_layers=8, n_heads=6, head_dim=48, ffn_dim=768
    ),
    # one GPU
    "base": replace(
        _7B,
        dim=512,
        n_layers=8,
        n_heads=8,
        n_kv_heads=4,
        head_dim=64,
        ffn_dim=1408,
        max_seq_len=1024,
    ),
    # the paper's
    "7b": _7B,
    "13b": replace(_7B, dim=5120, n_layers=40, n_heads=40, n_kv_heads=40, ffn_dim=13_824),
    "34b": replace(_70B, n_layers=48, ffn_dim=22_016),
    "70b": _70B,
}
