"""What one step of supervised fine-tuning computes. Llama 2, section 3.1."""

from __future__ import annotations

from torch import Tensor, nn

from llamalite.held_out import HeldOutModule
from llamalite.model.loss import next_token_loss
from llamalite.text.packing import PackedBatch


class SFTModule(HeldOutModule):
    """Next-token prediction of the answers, with the loss on held-out demonstrations beside it."""

    @staticmethod
    def loss_and_metrics(model: nn.Module, batch: PackedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the answers' tokens of the batch, in nats."""
        logits_BTV = model(batch.tokens_BT, batch.positions_BT, batch.document_ids_BT)
        return next_token_loss(logits_BTV, batch.targets_BT, batch.loss_mask_BT), {}

    @staticmethod
    def items(batch: PackedBatch) -> int:
        return int(batch.loss_mask_BT.sum())
