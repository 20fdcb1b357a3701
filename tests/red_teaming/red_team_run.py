"""A short campaign, which may kill itself at one of its stations."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from deadly import arm_recipe, run_apart

from llamalite.artifacts import Artifact, drafting
from llamalite.red_teaming import recipe
from llamalite.red_teaming.config import RedTeamConfig
from llamalite.safety.config import SafetyConfig
from llamalite.sft.config import SFTConfig
from llamalite.training_config import OptimizerConfig, ParallelConfig

CONFIG = RedTeamConfig(
    attackers=3,
    attempts=2,
    prompts=42,
    temperature=1.0,
    top_p=1.0,
    max_new_tokens=24,
    feedback=SafetyConfig(
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=60,
        gate="none",
        replay=2.0,
        tuning=SFTConfig(
            epochs=6,
            held_out=1,
            sequence_length=256,
            batch_size=2,
            optimizer=OptimizerConfig(lr=3e-3),
            parallel=ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=2),
        ),
        resamples=20,
    ),
)
SERVER = multiprocessing.get_context("forkserver")


def harsh(prompt, reply):
    """Which replies of gibberish are violations: some, whatever they say."""
    return 1 + len(reply) % 5


def run_stage(artifacts, path, judge=harsh, config=CONFIG):
    """The stage as the pipeline runs it, by a judge who finds violations in gibberish."""
    real = recipe.open_ground
    recipe.open_ground = lambda *given: real(*given)._replace(judge=judge)
    try:
        with drafting(path, "red_team", config, artifacts, 0) as draft:
            recipe.run(config, artifacts, draft, 0)
    finally:
        recipe.open_ground = real
    return Artifact.open(path)


def start(folders, path, kill_at: str, at_call: int) -> int:
    """Run it in a process of its own; the exit code."""
    return run_apart(SERVER, main, folders, path, kill_at, at_call)


def main(folders: dict[str, Path], path: Path, kill_at: str, at_call: int) -> None:
    torch.set_num_threads(1)
    arm_recipe(recipe, kill_at, at_call)
    run_stage({name: Artifact.open(folder) for name, folder in folders.items()}, path)
