"""What lets a killed run go on to the same bytes: its place in the data, its state, its log.

A run's data is a *stream* of steps whose state travels with each batch, so that prefetching and
worker processes cannot make the saved place run ahead of the weights. Not in the paper.
"""

from __future__ import annotations

import csv
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from llamalite.disk import writing
from llamalite.processes import Terminated
from llamalite.resume_states import CHECKPOINT, PARTIAL, discard, keep_newest


@runtime_checkable
class Stream(Protocol):
    """Batches of a run, in order: each item is one optimizer step's micro-batches.

    `load_state_dict(state_dict())` on a fresh stream makes it go on with the next step.
    """

    def __iter__(self) -> Iterator[Sequence[Any]]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Plan(Protocol):
    """Which data stand in which step, all of it known before the first."""

    @property
    def steps(self) -> int: ...
    def batch(self, step: int, rank: int, world: int, parts: int) -> Sequence[Any]:
        """One process's share of a step (from 0), in `parts` micro-batches."""
        ...


class Place:
    """State of a stream, closed to Lightning, which else looks into all of it for tensors."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state


class Micro(NamedTuple):
    """One micro-batch as the trainer sees it."""

    batch: Any
    """What the stage's loss reads."""
    share: float
    """Its weight: micro-batches of a step times its share of the step's items, 1 on average. The
    mean over items of a whole step is the mean of loss x share, however the step is divided."""
    items: int
    """What was counted: loss tokens, pairs."""
    tokens: int
    """Tokens the model reads, for the speed."""
    place: Place | None
    """Where the stream stands after this step, on the step's last micro-batch."""


class IndexedSteps:
    """A stream of steps computed from their number: `make(step)` gives a step's micro-batches."""

    def __init__(self, make: Callable[[int], Sequence[Any]], steps: int) -> None:
        self.make, self.steps, self.next = make, steps, 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        while self.next < self.steps:
            self.next += 1
            yield self.make(self.next - 1)

    def state_dict(self) -> dict[str, Any]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.next = state["next"]


class _Steps(torch.utils.data.IterableDataset):
    """A stream with the state after each step; runs in the trainer's process or in a worker's."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[tuple[Sequence[Any], Place]]:
        for batches in self.stream:
            yield batches, Place(self.stream.state_dict())


class StreamData(LightningDataModule):
    """Feeds a stream to the trainer and remembers, in the checkpoint, where it is.

    `make_stream(rank, world)` is called once the processes are known; `count(batch)` says how many
    items of the loss (tokens, pairs) and how many tokens in all a micro-batch has. Streams of which
    each process reads its own stand `apart`: a resume state has the places of all, which are
    brought together as it is saved, and at no other time.
    """

    def __init__(
        self,
        make_stream: Callable[[int, int], Stream],
        count: Callable[[Any], tuple[int, int]],
        micro_batches: int,
        *,
        workers: int = 0,
        apart: bool = False,
    ) -> None:
        super().__init__()
        if workers not in (0, 1):
            raise ValueError(f"workers is {workers}; a stream is read in order, choose 0 or 1")
        self.make_stream, self.count, self.workers = make_stream, count, workers
        self.length, self.apart = micro_batches, apart
        self.place: dict[str, Any] | None = None
        """Where this process's stream stands after the last step done, None before the first."""
        self.saved: dict[str, Any] | None = None
        """What the last resume state, written or read, has of it; where the streams stand apart
        only the first process knows what was written."""
        self._brought: dict[str, Any] | None = None

    def train_dataloader(self) -> StreamData:
        return self

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Micro]:
        rank, world = self._rank_and_world()
        stream = self.make_stream(rank, world)
        if self.saved is not None:
            stream.load_state_dict(own_part(self.saved, rank, world) if self.apart else self.saved)
        steps = torch.utils.data.DataLoader(
            _Steps(stream),
            batch_size=None,
            num_workers=self.workers,
            generator=torch.Generator(),  # else every start draws from the run's own generator
        )
        for batches, place in steps:
            counts = [self.count(batch) for batch in batches]
            mean = self._mean_over_processes(sum(items for items, _ in counts) / len(batches))
            for i, (batch, (items, tokens)) in enumerate(zip(batches, counts, strict=True)):
                share = items / mean if mean else 0.0
                yield Micro(batch, share, items, tokens, place if i == len(batches) - 1 else None)

    def _rank_and_world(self) -> tuple[int, int]:
        """This process's part of the data; those of one tensor-parallel group read the same."""
        if self.trainer is None or not torch.distributed.is_initialized():
            return 0, 1
        strategy: Any = self.trainer.strategy
        places = strategy.distributed_sampler_kwargs
        return places["rank"], places["num_replicas"]

    def _mean_over_processes(self, value: float) -> float:
        if self.trainer is None or not torch.distributed.is_initialized():
            return value
        total = torch.tensor(value, dtype=torch.float64 if self._exact() else torch.float32)
        total = total.to(self.trainer.strategy.root_device)
        torch.distributed.all_reduce(total)
        return total.item() / torch.distributed.get_world_size()

    def _exact(self) -> bool:
        assert self.trainer is not None
        return self.trainer.strategy.root_device.type != "mps"

    def _places_of_all(self) -> dict[str, Any] | None:
        """The places of all processes, in the first; all of them come here together."""
        rank, world = self._rank_and_world()
        found: list[Any] | None = [(rank, self.place)]
        if world > 1:
            leads = torch.distributed.get_rank() == 0
            found = [None] * torch.distributed.get_world_size() if leads else None
            torch.distributed.gather_object((rank, self.place), found)
        if found is None:
            return None
        return {"parts": [part for _, part in sorted(dict(found).items())]}

    def state_dict(self) -> dict[str, Any]:
        """Called in every process as a state is saved, and twice, for this is the loader too."""
        if self.place is not self._brought:
            self.saved = self._places_of_all() if self.apart else self.place
            self._brought = self.place
        return {"place": self.saved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.saved = state_dict["place"]


def own_part(state: Mapping[str, Any], rank: int, world: int) -> dict[str, Any]:
    """One process's place among those of all; ValueError where there are others than now."""
    if len(state["parts"]) != world:
        raise ValueError(
            f"the stream was read by {len(state['parts'])} processes and now by {world}; "
            "go on with as many as before, or start the run afresh"
        )
    return state["parts"][rank]


def planned_data(
    plan: Plan, count: Callable[[Any], tuple[int, int]], accumulation: int
) -> StreamData:
    """A plan's steps as what the trainer is fed, each in `accumulation` micro-batches."""

    def stream(rank: int, world: int) -> IndexedSteps:
        return IndexedSteps(lambda step: plan.batch(step, rank, world, accumulation), plan.steps)

    return StreamData(stream, count, plan.steps * accumulation)


class ResumeCheckpoint(Callback):
    """Writes the whole training state every so often; a kill leaves the last one whole.

    The state is weights, optimizer, schedule, loops, random generators and the place in the data.
    It is written beside its final name and renamed; of older ones `keep` - 1 stay, the others go
    only after that.
    """

    def __init__(self, folder: Path, seconds: float, steps: int, keep: int = 1) -> None:
        self.folder, self.seconds, self.steps, self.keep = folder, seconds, steps, keep
        self.saved_at = time.monotonic()
        self.saved_step = -1
        self.began: int | None = None
        self.stopping = False
        """Whether to end after the step at work for Ctrl-C, as `llamalite.stopping` asks."""
        self.terminating = False
        """The same for SIGTERM: as soon as one process is asked all end."""
        self.random: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.began = trainer.global_step
        if self.random is not None:  # not before: building the model draws numbers too
            set_random_state(self.random)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        step = trainer.global_step
        if step == self.saved_step or trainer.fit_loop._should_accumulate():
            return
        due = self.steps and step % self.steps == 0
        late = self.seconds and time.monotonic() - self.saved_at >= self.seconds
        stopping = self.stopping  # once: it may be asked for between here and there
        # clocks differ, a signal comes where it will, and saving is a joint act
        late, terminating = anywhere(trainer, late, self.terminating)
        if due or late or stopping or terminating:
            self.save(trainer)
        if terminating:
            raise Terminated
        if stopping:
            raise KeyboardInterrupt

    def ahead_of_disk(self, trainer: Trainer) -> bool:
        """Whether steps have been trained that no resume state on the disk has."""
        return self.began is not None and trainer.global_step not in (self.began, self.saved_step)

    def save(self, trainer: Trainer) -> None:
        """Write the state of the step just done and drop those that are not kept."""
        final = self.folder / CHECKPOINT.format(step=trainer.global_step)
        partial = final.with_name(final.name + PARTIAL)
        if trainer.is_global_zero:
            discard(partial)
        trainer.strategy.barrier()
        with writing(partial):
            trainer.save_checkpoint(partial, weights_only=False)
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.save()
            discard(final)
            partial.rename(final)
            keep_newest(final, self.keep)
        trainer.strategy.barrier()
        self.saved_at, self.saved_step = time.monotonic(), trainer.global_step

    def on_save_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Name the weights in the optimizer's order, so that a sharded run can take them over."""
        names = {id(weight): name for name, weight in module.named_parameters()}
        groups = trainer.optimizers[0].param_groups
        checkpoint["optimizer_names"] = [names[id(w)] for g in groups for w in g["params"]]

    def state_dict(self) -> dict[str, Any]:
        return {"random": random_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.random = state_dict["random"]


def anywhere(trainer: Trainer, *asked: Any) -> list[bool]:
    """For each question whether one process at least says yes; all of them come here together."""
    if trainer.world_size == 1:
        return [bool(answer) for answer in asked]
    answers = torch.tensor([float(bool(answer)) for answer in asked])
    answers = answers.to(trainer.strategy.root_device)
    torch.distributed.all_reduce(answers, torch.distributed.ReduceOp.MAX)
    return [answer > 0 for answer in answers.tolist()]


def random_state() -> dict[str, Any]:
    """State of torch's, numpy's and Python's generators as plain values and tensors."""
    state: Any = np.random.get_state()
    name, keys, position, has_gauss, gauss = state
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": random.getstate(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Undo `random_state`."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))


class MetricsTable(Logger):
    """`metrics.csv`: one row a logged step, the same columns in each, appended as the run goes.

    A resumed run drops the rows written after its checkpoint, so that no step stands twice.
    """

    def __init__(self, path: Path, keep_until: int = 0) -> None:
        super().__init__()
        self.path = path
        self.columns: list[str] | None = None
        rows = []
        if rank_zero_only.rank != 0:
            return
        if path.exists():
            with path.open(newline="", encoding="utf-8") as stream:
                rows = [row for row in csv.reader(stream) if row]
        kept = [row for row in rows[1:] if row[0].isdigit() and int(row[0]) <= keep_until]
        if kept:
            self.columns = rows[0]
            temporary = path.with_name(path.name + ".tmp")
            with temporary.open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([self.columns, *kept])
            temporary.replace(path)
        else:
            path.unlink(missing_ok=True)

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """The config stands in the artifact's manifest."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"step": step, **metrics}
        if self.columns is None:
            self.columns = list(row)
            self._append(self.columns)
        self._append([row.get(column, "") for column in self.columns])

    def _append(self, row: Sequence[Any]) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerow(row)

    @rank_zero_only
    def save(self) -> None:
        """Make sure the rows are on the disk before the checkpoint that counts on them."""
        if self.path.exists():
            with self.path.open("a", encoding="utf-8") as stream:
                os.fsync(stream.fileno())
