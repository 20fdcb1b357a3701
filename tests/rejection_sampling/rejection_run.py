"""A short round of rejection sampling, which may kill itself at one of its stations."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import torch

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


def start(folders, prompts, path, kill_at: str = "", at_call: int = 0) -> int:
    """Run it in a process of its own; the exit code."""
    arguments = (folders, prompts, path, kill_at, at_call)
    process = SERVER.Process(target=main, args=arguments, daemon=True)
    process.start()
    process.join(500)
    return process.exitcode  # type: ignore[return-value]


def main(folders: dict[str, Path], prompts, path: Path, kill_at: str, at_call: int) -> None:
    torch.set_num_threads(1)
    calls = 0

    def deadly(whole):
        def function(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == at_call:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(*arguments, **named)

        return function

    if kill_at == "refit":
        from llamalite.sft.module import SFTModule

        SFTModule.training_step = deadly(SFTModule.training_step)
    elif kill_at:
        setattr(recipe, kill_at, deadly(getattr(recipe, kill_at)))
    artifacts = {name: Artifact.open(folder) for name, folder in folders.items()}
    run_round(artifacts, prompts, path, replace(CONFIG))
