"""A short PPO run in a process of its own, which kills itself before a given gradient step."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import torch
from tiny import CPU, LETTERS, make_prompts, make_tokenizer, settings

from llamalite.model.checkpoint import load_model, save_model
from llamalite.ppo import loop
from llamalite.ppo.recipe import tune, write_results

CONFIG = settings(
    iterations=4,
    evaluate_every=2,
    target_kl=1.0,
    mini_batch_size=8,
    parallel=replace(CPU, checkpoint_steps=2),
)
STEPS = 16
SERVER = multiprocessing.get_context("forkserver")


def start(policy: Path, out: Path, kill_at: int = 0) -> int:
    """Run it; the exit code."""
    process = SERVER.Process(target=main, args=(policy, out, kill_at), daemon=True)
    process.start()
    process.join(500)
    return process.exitcode  # type: ignore[return-value]


def main(policy: Path, out: Path, kill_at: int) -> None:
    torch.set_num_threads(1)
    whole, finish = loop.Iterations.mini_batch, loop.Iterations.finish

    def mini_batch(self, *arguments):
        if self.next == kill_at:  # the step about to be made, from 1
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, *arguments)

    def finished(self):
        if kill_at > STEPS:
            os.kill(os.getpid(), signal.SIGKILL)
        finish(self)

    loop.Iterations.mini_batch, loop.Iterations.finish = mini_batch, finished
    tuned = tune(
        CONFIG,
        load_model(policy),
        make_tokenizer(),
        make_prompts(40),
        make_prompts(12, "held-out-"),
        LETTERS,
        0,
        work=out / "work",
        metrics_file=out / "metrics.csv",
        iterations_file=out / "iterations.csv",
        progress=False,
    )
    assert tuned.policy is not None
    save_model(out, tuned.policy)
    write_results(out, tuned)
    (out / "resumed").write_text(str(tuned.report["resumed_at"]))
