"""The loss on data kept from training, beside the training of any stage. Not in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger

from llamalite.resume import Micro
from llamalite.training import TrainingModule


class HeldOutModule(TrainingModule):
    """A stage's module that also measures its loss on batches it does not learn from."""

    measured: tuple[str, ...] = ()
    """Metrics that are measured besides the loss."""

    def __init__(
        self,
        *args: Any,
        held_out: Sequence[Any] = (),
        held_out_steps: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        """As `TrainingModule`; `held_out` is measured after `held_out_steps` steps (0: before)."""
        super().__init__(*args, **kwargs)
        self.held_out, self.held_out_steps = held_out, frozenset(held_out_steps)
        self.course: dict[int, dict[str, float]] = {}

    @staticmethod
    def items(batch: Any) -> int:
        """Number of items (tokens, pairs) over which the batch's loss is the mean."""
        raise NotImplementedError

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Mean loss, and the metrics named in `measured`, over all held-out items."""
        assert self.model is not None, "the trainer builds it first"
        sums = dict.fromkeys(("loss", *self.measured), 0.0)
        total = 0
        for batch in self.held_out:
            batch = self.trainer.strategy.batch_to_device(batch)
            with self.trainer.precision_plugin.forward_context():
                loss, metrics = self.loss_and_metrics(self.model, batch)
            items = self.items(batch)
            total += items
            for name in sums:
                sums[name] += float(loss if name == "loss" else metrics[name]) * items
        return {name: value / max(1, total) for name, value in sums.items()}

    def points(self, epochs: int) -> list[dict[str, float]]:
        """All that was measured, by step and by epoch of so many."""
        return [
            {"step": step, "epoch": round(epochs * step / self.steps, 4), **found}
            for step, found in sorted(self.course.items())
        ]

    def on_train_start(self) -> None:
        self._measure()  # the untrained model

    def on_train_batch_end(self, outputs: Any, batch: Micro, batch_idx: int) -> None:
        if batch.place is not None:
            self._measure()

    def _measure(self) -> None:
        step = self.trainer.global_step
        if not self.held_out or step not in self.held_out_steps or step in self.course:
            return
        self.course[step] = found = self.measure()
        for logger in self.trainer.loggers:
            if isinstance(logger, TensorBoardLogger):  # the table's columns are the steps'
                logger.log_metrics({f"held_out_{name}": v for name, v in found.items()}, step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # the step just done is measured only after the callbacks, of which one is saving; a kill in
        # between would leave it out for good where it was the last
        self._measure()
        checkpoint["course"] = dict(self.course)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.course = dict(checkpoint["course"])
