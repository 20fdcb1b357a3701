"""What one step of training a reward model computes. Llama 2, section 3.2.2."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from llamalite.held_out import HeldOutModule
from llamalite.preferences.protocol import RATINGS
from llamalite.resume import Micro
from llamalite.reward.data import PairBatch
from llamalite.reward.loss import margin_ranking_loss, safety_auxiliary_loss


class RewardModule(HeldOutModule):
    """Ranking loss and auxiliary loss, with loss and accuracy on held-out pairs beside them."""

    measured = ("ranking_loss", "auxiliary_loss", "accuracy")

    @staticmethod
    def loss_and_metrics(model: nn.Module, batch: PairBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Means over the pairs of the batch.

        Accuracy by rating is `right_<rating>` over `pairs_<rating>`, both shares of all pairs.
        """
        chosen_B, rejected_B = model(*batch.rows).chunk(2)
        ranking = margin_ranking_loss(chosen_B, rejected_B, batch.margin_B)
        scores_2B = torch.cat([chosen_B, rejected_B])
        auxiliary = safety_auxiliary_loss(scores_2B, batch.unsafe_2B, batch.safety_weight_2B)
        right_B = (chosen_B > rejected_B).float()
        metrics = {
            "ranking_loss": ranking,
            "auxiliary_loss": auxiliary,
            "accuracy": right_B.mean(),
            "score_chosen": chosen_B.mean(),
            "score_rejected": rejected_B.mean(),
        }
        for place, rating in enumerate(RATINGS):
            of_rating_B = (batch.rating_B == place).float()
            metrics[f"right_{rating}"] = (right_B * of_rating_B).mean()
            metrics[f"pairs_{rating}"] = of_rating_B.mean()
        return ranking + auxiliary, metrics

    def training_step(self, micro: Micro, number: int) -> dict[str, Any]:
        made = super().training_step(micro, number)
        loss = made["loss"].detach()
        if not bool(loss.isfinite()):
            raise ValueError(
                f"the loss is {float(loss)} at step {self.trainer.global_step + 1}; "
                "lower optimizer.lr, or look at the chat model's weights"
            )
        return made

    @staticmethod
    def items(batch: PairBatch) -> int:
        return len(batch.margin_B)
