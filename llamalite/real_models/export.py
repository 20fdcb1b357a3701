"""A model in Hugging Face's format: what `transformers`, vLLM and llama.cpp's converter read.

The command is `llamalite export`. What is written computes the same function and speaks the same
tokens: weights under Hugging Face's names, the shape, the tokenizer, the chat format as a template.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llamalite.disk import write_json
from llamalite.presets import RUNS
from llamalite.real_models.fetch import SOURCE
from llamalite.real_models.folder import model_folder, open_model

GENERATION = "generation_config.json"


@dataclass(frozen=True)
class ExportConfig:
    """Which model, and where to."""

    to: str
    """New folder for config.json, model.safetensors, generation_config.json and the tokenizer's."""
    stage: str = "sft"
    """Whose model: pretrain, sft, rejection_sampling_1 ... ppo_5, safety."""
    model: str | None = None
    """A model folder, or a fetched model as smollm2, instead of a stage's."""
    dtype: Literal["same", "float32", "float16", "bfloat16"] = "same"
    """Precision of the weights; same leaves them as they are."""
    preset: str = "laptop"
    """Preset of the run that holds the stage."""
    seed: int = 0
    """Seed of that run."""
    out: str = "runs"
    """Folder of run folders."""

    def __post_init__(self) -> None:
        if self.preset not in RUNS:
            raise ValueError(f"preset is {self.preset!r}; choose among {', '.join(RUNS)}")


def export(config: ExportConfig) -> Path:
    """Write the model; returns its folder, which appears whole or not at all.

    Raises ValueError when there is no such model, or `to` holds something already.
    """
    source = model_folder(config.model, config.stage, config.preset, config.seed, config.out)
    made = export_folder(source, config.to, config.dtype)
    print(f"{source} is in {made}; AutoModelForCausalLM.from_pretrained({str(made)!r}) loads it")
    return made


def export_folder(source: str | Path, to: str | Path, dtype: str = "same") -> Path:
    """Write the model of a folder in Hugging Face's format, see `export`."""
    import torch

    from llamalite.model.hf import export_hf
    from llamalite.text.hf_tokenizer import special_ids, write_hf_tokenizer

    to = Path(to)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ValueError(f"{to} exists and is not empty; name another folder")
    opened = open_model(source)
    model = opened.model if dtype == "same" else opened.model.to(getattr(torch, dtype))
    ids = special_ids(opened.tokenizer)
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}-") as work:
        folder = Path(work) / "model"
        export_hf(model, folder, ids)
        write_json(folder / GENERATION, ids)
        write_hf_tokenizer(folder, opened.tokenizer, opened.chats)
        if (Path(source) / SOURCE).is_file():  # whose it is, and under which licence
            shutil.copy(Path(source) / SOURCE, folder / SOURCE)
        if to.is_dir():
            to.rmdir()
        folder.rename(to)
    return to
