"""A short run of the stage, which may kill itself at one of its stations."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from deadly import arm_recipe, run_apart

from llamalite.artifacts import Artifact, drafting
from llamalite.safety import recipe
from llamalite.safety.config import SafetyConfig
from llamalite.sft.config import SFTConfig
from llamalite.training_config import OptimizerConfig, ParallelConfig

CONFIG = SafetyConfig(
    prompts=30,
    prompts_at_once=8,
    temperature=1.0,
    top_p=1.0,
    max_new_tokens=60,
    replay=4.0,
    tuning=SFTConfig(
        epochs=6,
        held_out=1,
        sequence_length=256,
        batch_size=2,
        optimizer=OptimizerConfig(lr=3e-3),
        parallel=ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=2),
    ),
    resamples=20,
)
SERVER = multiprocessing.get_context("forkserver")


def run_stage(artifacts, path, config=CONFIG, seed=0, **more):
    """The stage as the pipeline runs it."""
    with drafting(path, "safety", config, artifacts, seed) as draft:
        recipe.run(config, artifacts, draft, seed, **more)
    return Artifact.open(path)


def start(folders, path, kill_at: str = "", at_call: int = 0) -> int:
    """Run it in a process of its own; the exit code."""
    return run_apart(SERVER, main, folders, path, kill_at, at_call)


def main(folders: dict[str, Path], path: Path, kill_at: str, at_call: int) -> None:
    torch.set_num_threads(1)
    arm_recipe(recipe, kill_at, at_call)
    run_stage({name: Artifact.open(folder) for name, folder in folders.items()}, path)
