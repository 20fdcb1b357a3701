"""A short run of the stage in a process of its own, which kills itself before a given step."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import torch
from pairs import CPU, settings

from llamalite.artifacts import Artifact, drafting
from llamalite.reward import recipe
from llamalite.reward.data import PairPlan

CONFIG = settings(batch_size=16, accumulation=2, parallel=replace(CPU, checkpoint_steps=3))
SERVER = multiprocessing.get_context("forkserver")


def start(sft: Path, preferences: Path, out: Path, kill_at: int = 0) -> int:
    """Run it; the exit code."""
    process = SERVER.Process(target=main, args=(sft, preferences, out, kill_at), daemon=True)
    process.start()
    process.join(500)
    return process.exitcode  # type: ignore[return-value]


def main(sft: Path, preferences: Path, out: Path, kill_at: int) -> None:
    torch.set_num_threads(1)
    whole, save, made = PairPlan.batch, recipe.save_reward_model, [0]

    def batch(self, *arguments):
        made[0] += 1
        if made[0] == kill_at:  # the step about to be made in this process, from 1
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, *arguments)

    def saved(*arguments):
        save(*arguments)
        if kill_at < 0:  # between a model's folder and the note that it is done
            os.kill(os.getpid(), signal.SIGKILL)

    PairPlan.batch, recipe.save_reward_model = batch, saved
    inputs = {"chat": Artifact.open(sft), "preferences": Artifact.open(preferences)}
    with drafting(out, "reward", CONFIG, inputs, 0) as draft:
        recipe.run(CONFIG, inputs, draft, 0, progress=False)
