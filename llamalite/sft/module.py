"""What one step of supervised fine-tuning computes. Llama 2, section 3.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn

from llamalite.model.loss import next_token_loss
from llamalite.resume import Micro
from llamalite.text.packing import PackedBatch
from llamalite.training import TrainingModule


class SFTModule(TrainingModule):
    """Next-token prediction of the answers, with the loss on held-out demonstrations beside it."""

    def __init__(
        self,
        *args: Any,
        held_out: Sequence[PackedBatch] = (),
        held_out_steps: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        """As `TrainingModule`; `held_out` is measured after `held_out_steps` steps (0: before)."""
        super().__init__(*args, **kwargs)
        self.held_out, self.held_out_steps = held_out, frozenset(held_out_steps)
        self.held_out_losses: dict[int, float] = {}

    @staticmethod
    def loss_and_metrics(model: nn.Module, batch: PackedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the answers' tokens of the batch, in nats."""
        logits_BTV = model(batch.tokens_BT, batch.positions_BT, batch.document_ids_BT)
        return next_token_loss(logits_BTV, batch.targets_BT, batch.loss_mask_BT), {}

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Mean loss over the answers' tokens of the held-out demonstrations, in nats."""
        assert self.model is not None, "the trainer builds it first"
        total = tokens = 0.0
        for batch in self.held_out:
            batch = PackedBatch(*(field.to(self.device) for field in batch))
            with self.trainer.precision_plugin.forward_context():
                loss, _ = self.loss_and_metrics(self.model, batch)
            items = float(batch.loss_mask_BT.sum())
            total, tokens = total + float(loss) * items, tokens + items
        return total / max(1.0, tokens)

    def on_train_start(self) -> None:
        self._measure()  # the untrained model, or what a kill after the checkpoint left out

    def on_train_batch_end(self, outputs: Any, batch: Micro, batch_idx: int) -> None:
        if batch.place is not None:
            self._measure()

    def _measure(self) -> None:
        step = self.trainer.global_step
        if not self.held_out or step not in self.held_out_steps or step in self.held_out_losses:
            return
        loss = self.held_out_loss()
        self.held_out_losses[step] = loss
        for logger in self.trainer.loggers:
            if isinstance(logger, TensorBoardLogger):  # the table's columns are the steps'
                logger.log_metrics({"held_out_loss": loss}, step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["held_out_losses"] = dict(self.held_out_losses)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.held_out_losses = dict(checkpoint["held_out_losses"])
