"""How far a training has come: a bar, or word to whoever listens (`llamalite.progress`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import ProcessingSpeedColumn

from llamalite.progress import within

FORMATS = {"loss": ".3f", "lr": ".1e", "tokens/s": ",.0f"}
"""What is shown of a step, and how."""


class Bar(RichProgressBar):
    """Lightning's bar under the stage's name, counting optimizer steps."""

    def __init__(self, name: str) -> None:
        super().__init__(leave=False)
        self.name = name

    @property
    def total_train_batches(self) -> int:
        return self.trainer.max_steps

    def configure_columns(self, trainer: Trainer) -> list[Any]:
        columns = super().configure_columns(trainer)  # without steps a second: tokens say more
        return [each for each in columns if not isinstance(each, ProcessingSpeedColumn)]

    def _get_train_description(self, current_epoch: int) -> str:
        return self.name

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, _: int
    ) -> None:
        super().on_train_batch_end(trainer, module, outputs, batch, trainer.global_step - 1)

    def get_metrics(self, *args: Any) -> dict[str, Any]:
        return _formatted(super().get_metrics(*args))


class Lines(Callback):
    """In the bar's place where nobody sees it move: tells `llamalite.progress` of every step.

    `shown` gives the newest of the logged numbers, which are no tensors: nothing waits for them.
    """

    def __init__(self, shown: Callable[[], Mapping[str, float]]) -> None:
        self.shown, self.work = shown, ExitStack()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.at = self.work.enter_context(within("step", trainer.max_steps))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        shown = _formatted(self.shown()).items()
        self.at(trainer.global_step, ", ".join(f"{name} {value}" for name, value in shown))

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.work.close()

    def on_exception(self, trainer: Trainer, module: LightningModule, _: BaseException) -> None:
        self.work.close()


def _formatted(metrics: Mapping[str, Any]) -> dict[str, str]:
    return {name: f"{metrics[name]:{style}}" for name, style in FORMATS.items() if name in metrics}
