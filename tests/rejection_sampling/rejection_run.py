"""A short round of rejection sampling, which may kill itself at one of its stations."""

from __future__ import annotations

import multiprocessing
import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from deadly import arm_recipe, run_apart

from llamalite.artifacts import Artifact, drafting
from llamalite.rejection_sampling import recipe
from llamalite.rejection_sampling.config import RejectionSamplingConfig
from llamalite.scoring import alone
from llamalite.sft.config import SFTConfig
from llamalite.training_config import OptimizerConfig, ParallelConfig

CONFIG = RejectionSamplingConfig(
    prompts=10,
    prompts_at_once=4,
    candidates=8,
    temperatures=(0.9, 1.1),
    max_new_tokens=40,
    refit=SFTConfig(
        epochs=6,
        held_out=2,
        sequence_length=128,
        batch_size=2,
        optimizer=OptimizerConfig(lr=3e-3),
        parallel=ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=2),
    ),
)
SERVER = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Asked:
    """A prompt by the protocol."""

    id: str
    messages: tuple
    kind: str = "facts"
    is_safety: bool = False
    risk: str | None = None
    vector: str | None = None


def letters(dialogues, replies):
    """How many of a reply's characters are letters, in halves."""
    return torch.tensor([0.5 * len(re.findall("[a-zA-Z]", reply)) for reply in replies])


def run_round(artifacts, prompts, path, config=CONFIG, scoring=True, seed=0, **more):
    """The round as a stage runs it, on these prompts instead of a world's."""
    recipe.world_prompts = lambda *_: prompts
    inputs = {"world": artifacts["pretrain"], **artifacts}
    with drafting(path, "rejection_sampling", config, inputs, seed) as draft:
        given = alone(letters) if scoring else None
        recipe.run(config, inputs, draft, seed, scoring=given, **more)
    return Artifact.open(path)


def start(folders, prompts, path, kill_at: str = "", at_call: int = 0, picks_from="") -> int:
    """Run it in a process of its own; the exit code."""
    return run_apart(SERVER, main, folders, prompts, path, kill_at, at_call, picks_from)


def main(folders: dict[str, Path], prompts, path: Path, kill_at, at_call, picks_from) -> None:
    torch.set_num_threads(1)
    arm_recipe(recipe, kill_at, at_call)
    artifacts = {name: Artifact.open(folder) for name, folder in folders.items()}
    run_round(artifacts, prompts, path, replace(CONFIG, picks_from=picks_from))
