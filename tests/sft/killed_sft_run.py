"""A fine-tuning run in a process of its own, slow enough to be killed."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from llamalite.artifacts import Artifact, drafting
from llamalite.sft import recipe
from llamalite.sft.config import SFTConfig
from llamalite.training_config import OptimizerConfig, ParallelConfig


def main(base: Path, data: Path, out: Path) -> None:
    torch.set_num_threads(1)
    whole = recipe.Plan.batch
    recipe.Plan.batch = lambda *args: time.sleep(0.03) or whole(*args)  # time to be killed in
    config = SFTConfig(
        data=str(data),
        examples=0,
        held_out=4,
        epochs=10,
        sequence_length=128,
        batch_size=8,
        accumulation=2,
        optimizer=OptimizerConfig(lr=5e-3),
        parallel=ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=3),
    )
    inputs = {"pretrain": Artifact.open(base)}
    with drafting(out, "sft", config, inputs, 0) as draft:
        recipe.run(config, inputs | {"world": inputs["pretrain"]}, draft, 0)
