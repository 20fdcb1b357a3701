"""A model folder, whoever wrote it: found by stage or name, and opened with its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llamalite.artifacts import MANIFEST, Artifact
from llamalite.pipeline import run_folder
from llamalite.presets import get_preset
from llamalite.real_models.fetch import find_model
from llamalite.stages import get_stage, speaking

if TYPE_CHECKING:
    from llamalite.model.transformer import Transformer
    from llamalite.text.bpe import ByteTokenizer
    from llamalite.text.tokenizer import Tokenizer


BASE_STAGES = ("pretrain", "cleaned", "contaminated")
"""Whose models go on with a text: the chain's, and those of studies that pretrain once more."""


class OpenModel(NamedTuple):
    """A model with what it needs to be talked to."""

    model: Transformer
    tokenizer: Tokenizer | ByteTokenizer
    stage: str
    """Of the chain, that made it; empty for a model from elsewhere."""

    @property
    def chats(self) -> bool:
        """Whether it was tuned on dialogues."""
        return self.stage not in BASE_STAGES


def open_model(folder: str | Path) -> OpenModel:
    """Read a folder of ours, or one in Hugging Face's format, as `llamalite export` writes.

    Raises ValueError in one line when a file is missing or damaged, or when the tokenizer belongs
    to another model.
    """
    from llamalite.model.checkpoint import CONFIG, load_model, read_json
    from llamalite.model.hf import import_hf
    from llamalite.parallel import pick_device
    from llamalite.text.loading import load_tokenizer

    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no model in {folder}; run `llamalite run` first")
    stage = ""
    if (folder / MANIFEST).exists():
        stage = Artifact.open(folder).manifest.get("stage", "")
    read = import_hf if "model_type" in read_json(folder / CONFIG) else load_model
    model = read(folder, pick_device()).eval()
    tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"the tokenizer in {folder} has {tokenizer.vocab_size} pieces and the model "
            f"{model.config.vocab_size}; put the model's own tokenizer there"
        )
    return OpenModel(model, tokenizer, stage)


def model_folder(model: str | None, stage: str, preset: str, seed: int, out: str) -> Path:
    """Where a model lies: a folder or a fetched model's name if there is one, else a stage's.

    ValueError that says how to get one where there is none, and for a stage that makes none.
    """
    if model:
        return find_model(model)
    if get_stage(stage).name not in speaking():
        raise ValueError(
            f"the stage {stage} makes no language model; choose among {', '.join(speaking())}"
        )
    folder = run_folder(out, get_preset(preset).name, seed) / get_stage(stage).name
    if folder.is_dir():
        return folder
    command = f"llamalite run --preset {preset}"
    command += f" --seed {seed}" * (seed != 0)
    command += f" --out {out}" * (out != "runs")
    others = sorted(str(path.parent) for path in Path(out).glob(f"*/{stage}"))
    remedy = f"`{command}` makes one"
    if others:
        remedy += f"; or name a run that has one with --preset and --seed: {', '.join(others)}"
    raise ValueError(f"there is no model in {folder}; {remedy}")


def named_models(text: str) -> dict[str, Path]:
    """The model folders of "a,b" or "label=a,label=b" by label; ValueError where one is none.

    Without a label a model is called by as much of the end of its path as tells all apart.
    """
    given = [part.strip() for part in text.split(",") if part.strip()]
    if not given:
        raise ValueError("--models names none; name model folders, as runs/laptop-seed0/pretrain")
    split = [part.rpartition("=") for part in given]
    folders = [find_model(path) for _, _, path in split]
    for folder in folders:
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} is no model folder (it has no config.json); give one")
    depth = 1
    ends = [folder.resolve().parts for folder in folders]
    while len({end[-depth:] for end in ends}) < len(set(ends)):
        depth += 1
    labels = [
        label or "/".join(end[-depth:]) for (label, _, _), end in zip(split, ends, strict=True)
    ]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"two models are called {label!r}; name each once, as label=FOLDER")
    return dict(zip(labels, folders, strict=True))
