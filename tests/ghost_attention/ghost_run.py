"""A short run of the stage, which may kill itself at one of its stations."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from deadly import arm_recipe, run_apart

from llamalite.artifacts import Artifact, drafting
from llamalite.ghost_attention import recipe
from llamalite.ghost_attention.config import GhostAttentionConfig
from llamalite.sft.config import SFTConfig
from llamalite.training_config import OptimizerConfig, ParallelConfig

CONFIG = GhostAttentionConfig(
    dialogues=8,
    turns=3,
    cuts=2,
    plain_share=0.5,
    kinds=("language",),  # whose answers need no mark: a random model hits none
    answers=8,
    temperature=1.0,
    max_new_tokens=60,
    dialogues_at_once=3,
    sequence_length=800,
    tuning=SFTConfig(
        epochs=8,
        held_out=1,
        sequence_length=800,
        batch_size=2,
        optimizer=OptimizerConfig(lr=3e-3),
        parallel=ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=2),
    ),
    measured_turns=3,
    measured_dialogues=2,
    attention_dialogues=2,
    resamples=20,
)
SERVER = multiprocessing.get_context("forkserver")


def run_stage(artifacts, path, config=CONFIG, seed=0):
    """The stage as the pipeline runs it."""
    with drafting(path, "ghost_attention", config, artifacts, seed) as draft:
        recipe.run(config, artifacts, draft, seed)
    return Artifact.open(path)


def start(folders, path, kill_at: str = "", at_call: int = 0) -> int:
    """Run it in a process of its own; the exit code."""
    return run_apart(SERVER, main, folders, path, kill_at, at_call)


def main(folders: dict[str, Path], path: Path, kill_at: str, at_call: int) -> None:
    torch.set_num_threads(1)
    arm_recipe(recipe, kill_at, at_call)
    run_stage({name: Artifact.open(folder) for name, folder in folders.items()}, path)
