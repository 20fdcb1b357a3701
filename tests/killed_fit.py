"""A training in a process of its own that draws random numbers, slow enough to be killed."""

from __future__ import annotations

import hashlib
import signal
import time
from pathlib import Path

import torch

from llamalite.resume import IndexedSteps, StreamData
from llamalite.training import TrainingModule, fit
from llamalite.training_config import OptimizerConfig, ParallelConfig

STEPS = 40


class Noisy(TrainingModule):
    """Draws as it trains, so the state of the random generators counts."""

    @staticmethod
    def loss_and_metrics(model, batch):
        noise = torch.randn_like(batch)
        return ((model(batch) - noise) ** 2).mean(), {"noise": noise.mean()}


def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8))


def make(step):
    time.sleep(0.05)  # time to be killed in
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(4, 8, generator=generator) for _ in range(3)]


def told_to_end(work: Path, step: int, times: int) -> None:
    """`main`, where SIGTERM comes so many times within a step, counted from 0."""
    global make
    plain = make

    def make(at):
        for _ in range(times if at == step else 0):
            signal.raise_signal(signal.SIGTERM)
        return plain(at)

    main(work)


def main(work: Path, *, progress: bool = False, keep: int = 1) -> None:
    """Train in `work`, and leave there the hash of the weights."""
    torch.set_num_threads(1)
    parallel = ParallelConfig(
        accelerator="cpu", compile="off", checkpoint_steps=3, keep_checkpoints=keep
    )
    module = Noisy(build, OptimizerConfig(lr=0.01), STEPS, parallel=parallel)
    data = StreamData(lambda r, w: IndexedSteps(make, STEPS), lambda b: (4, 4), 3 * STEPS)
    fit(module, data, work=work, accumulation=3, progress=progress)
    assert module.model is not None
    weights = b"".join(w.numpy().tobytes() for w in module.model.state_dict().values())
    (work / "weights.sha256").write_text(hashlib.sha256(weights).hexdigest())
