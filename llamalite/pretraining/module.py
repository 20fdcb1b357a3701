"""What one step of pretraining computes. Llama 2, section 2.2."""

from __future__ import annotations

from torch import Tensor, nn

from llamalite.held_out import HeldOutModule
from llamalite.model.loss import next_token_loss
from llamalite.text.packing import PackedBatch


class PretrainingModule(HeldOutModule):
    """Next-token prediction; documents packed into one row do not see one another."""

    @staticmethod
    def loss_and_metrics(model: nn.Module, batch: PackedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean cross-entropy over the batch's predicted tokens, in nats."""
        logits_BTV = model(batch.tokens_BT, batch.positions_BT, batch.document_ids_BT)
        return next_token_loss(logits_BTV, batch.targets_BT, batch.loss_mask_BT), {}

    @staticmethod
    def items(batch: PackedBatch) -> int:
        return int(batch.loss_mask_BT.sum())


class UnmaskedPretrainingModule(PretrainingModule):
    """Next-token prediction in which a row is one context, whatever documents it holds."""

    @staticmethod
    def loss_and_metrics(model: nn.Module, batch: PackedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean cross-entropy over the batch's predicted tokens, in nats."""
        return next_token_loss(model(batch.tokens_BT), batch.targets_BT, batch.loss_mask_BT), {}
