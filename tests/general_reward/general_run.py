"""A short run of the stage in a process of its own, which may kill itself at a station."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from deadly import arm, run_apart

from llamalite.artifacts import Artifact, drafting
from llamalite.general_reward import recipe
from llamalite.general_reward.config import BASE, SFT, GeneralRewardConfig
from llamalite.reward.config import RewardConfig
from llamalite.reward.module import RewardModule
from llamalite.training_config import OptimizerConfig, ParallelConfig

CONFIG = GeneralRewardConfig(
    pairs=64,
    max_new_tokens=16,
    sources=("third_party", "careful", SFT, BASE),
    annotators=3,
    training=RewardConfig(
        margin="none",
        batch_size=8,
        optimizer=OptimizerConfig(lr=3e-3),
        parallel=ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=2),
    ),
)
SERVER = multiprocessing.get_context("forkserver")


def run_stage(inputs: dict[str, Artifact], path: Path, config=CONFIG) -> Artifact:
    """The stage's artifact."""
    with drafting(path, "general_reward", config, inputs, 0) as draft:
        recipe.run(config, inputs, draft, 0, progress=False)
    return Artifact.open(path)


def start(folders: dict[str, Path], path: Path, kill_at: str = "", at_call: int = 0) -> int:
    """Run it in a process of its own; the exit code."""
    return run_apart(SERVER, main, folders, path, kill_at, at_call)


def main(folders: dict[str, Path], path: Path, kill_at: str, at_call: int) -> None:
    torch.set_num_threads(1)
    if kill_at:
        arm(RewardModule if kill_at == "training_step" else recipe, kill_at, at_call)
    run_stage({role: Artifact.open(folder) for role, folder in folders.items()}, path)
