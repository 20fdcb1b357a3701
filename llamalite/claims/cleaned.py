"""The study stage `cleaned`: a base model of the micro-world's corpus, cleaned before it is read.

Llama 2, section 2.1. The cleaning is that of `llamalite clean`, the training the stage `pretrain`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llamalite.data_care.recipe import CleanConfig, clean_into
from llamalite.model.config import ModelConfig
from llamalite.pretraining.config import PretrainConfig

if TYPE_CHECKING:
    from llamalite.artifacts import Artifact, Draft


@dataclass(frozen=True)
class CleanedConfig:
    """What is cleaned how, and what is learned from it."""

    clean: CleanConfig
    """Its world is replaced by that of the run."""
    pretrain: PretrainConfig
    """Its corpus is replaced by what the cleaning leaves."""

    @property
    def tokens(self) -> int:
        """Of the training run."""
        return self.pretrain.tokens

    @property
    def model(self) -> ModelConfig:
        """What is trained."""
        return self.pretrain.model


def run(config: CleanedConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write the base model, with the files of the stage `pretrain`, and the counts, clean.json.

    Inputs: `world` and `tokenizer`. Called again on a draft that was cut short, it goes on.
    """
    from llamalite.pretraining import recipe
    from llamalite.world import World

    folder = draft.work / "clean"
    told = folder / "clean.json"
    if not told.exists():
        world = World.load(inputs["world"].file("world.json")).config
        clean_into(folder, replace(config.clean, world=world, out=str(folder)))
    corpus = json.loads(told.read_text(encoding="utf-8"))["corpus"]
    shutil.copy(told, draft.path)
    recipe.run(replace(config.pretrain, corpus=corpus), inputs, draft, seed)
