"""What one step of training a reward model computes. Llama 2, section 3.2.2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn

from llamalite.resume import Micro
from llamalite.reward.config import RATINGS
from llamalite.reward.data import PairBatch
from llamalite.reward.loss import margin_ranking_loss, safety_auxiliary_loss
from llamalite.training import TrainingModule


class RewardModule(TrainingModule):
    """Ranking loss and auxiliary loss, with loss and accuracy on held-out pairs beside them."""

    def __init__(
        self,
        *args: Any,
        held_out: Sequence[PairBatch] = (),
        held_out_steps: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        """As `TrainingModule`; `held_out` is measured after `held_out_steps` steps (0: before)."""
        super().__init__(*args, **kwargs)
        self.held_out, self.held_out_steps = held_out, frozenset(held_out_steps)
        self.course: dict[int, dict[str, float]] = {}

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

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Mean losses and accuracy over the held-out pairs."""
        assert self.model is not None, "the trainer builds it first"
        sums: dict[str, float] = {}
        pairs = 0
        for batch in self.held_out:
            batch = self.trainer.strategy.batch_to_device(batch)
            with self.trainer.precision_plugin.forward_context():
                loss, metrics = self.loss_and_metrics(self.model, batch)
            weight = len(batch.margin_B)
            pairs += weight
            kept = {name: metrics[name] for name in ("ranking_loss", "auxiliary_loss", "accuracy")}
            for name, value in ({"loss": loss} | kept).items():
                sums[name] = sums.get(name, 0.0) + float(value) * weight
        return {name: value / pairs for name, value in sums.items()}

    def on_train_start(self) -> None:
        self._measure()  # the untrained model, or what a kill after the checkpoint left out

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
        checkpoint["course"] = dict(self.course)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.course = dict(checkpoint["course"])
