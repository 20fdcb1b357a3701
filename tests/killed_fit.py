"""A training in a process of its own that draws random numbers, slow enough to be killed."""

from __future__ import annotations

import csv
import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def happening(at: int, what: Callable[[], object], times: int = 1) -> Iterator[None]:
    """Have `what` happen so many times within a step, counted from 0, of each training inside."""
    global make
    plain = make

    def make(step):
        for _ in range(times if step == at else 0):
            what()
        return plain(step)

    try:
        yield
    finally:
        make = plain


def told_to_end(work: Path, step: int, times: int) -> None:
    """`main`, where SIGTERM comes so many times within a step."""
    with happening(step, lambda: signal.raise_signal(signal.SIGTERM), times):
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


def latest_name(folder: Path) -> str | None:
    """Name of the newest resume state a training left, if there is one."""
    names = [path.name for path in folder.glob("resume-*.ckpt")] if folder.exists() else []
    return max(names, default=None)


def deterministic_columns(folder: Path) -> list[list[str]]:
    """What a training logged, but for how fast it was."""
    with (folder / "metrics.csv").open() as stream:
        table = list(csv.DictReader(stream))
    return [[v for k, v in row.items() if k != "tokens_per_second"] for row in table]
