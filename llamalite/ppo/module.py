"""The networks of PPO, and what one gradient step computes. Llama 2, section 3.2.3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from llamalite import parallel
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.ppo.loss import (
    clipped_policy_loss,
    clipped_value_loss,
    entropy,
    kl_k3,
    masked_mean,
)
from llamalite.ppo.rollout import MiniBatch, positions
from llamalite.shapes import Float, Int, Tensor
from llamalite.training import TrainingModule, learning_rate_factor, make_optimizer


class Policy(nn.Module):
    """A language model as a policy: log-probabilities and entropies of a reply's tokens."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.transformer = Transformer(config)

    def forward(
        self,
        tokens_BT: Int[Tensor, "B T"],
        prompt_lengths_B: Int[Tensor, " B"],
        replies_BR: Int[Tensor, "B R"],
    ) -> tuple[Float[Tensor, "B R"], Float[Tensor, "B R"]]:
        """Of every action, in nats; meaningless beyond a reply's end."""
        hidden_BTD = self.transformer.hidden(tokens_BT)
        hidden_BRD = at_actions(hidden_BTD, prompt_lengths_B, replies_BR.shape[1])
        logits_BRV = self.transformer.logits(hidden_BRD).float()
        logprobs_BRV = torch.log_softmax(logits_BRV, -1)
        return logprobs_BRV.gather(-1, replies_BR[..., None])[..., 0], entropy(logits_BRV)


class ValueModel(nn.Module):
    """Expected return before each action: a decoder's body with a scalar head.

    Its weights come from a reward model (not in the paper; follows InstructGPT) or, without one,
    from the policy with a head of zeros.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        # tied embeddings: a body without an output projection
        self.body = Transformer(replace(config, tie_embeddings=True))
        self.head = nn.Linear(config.dim, 1)

    def reset_parameters(self) -> None:
        """A head of zeros: nothing is expected before anything was learned."""
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, tokens_BT: Int[Tensor, "B T"], prompt_lengths_B: Int[Tensor, " B"], width: int
    ) -> Float[Tensor, "B R"]:
        """Values before each of `width` actions; meaningless beyond a reply's end."""
        hidden_BRD = at_actions(self.body.hidden(tokens_BT), prompt_lengths_B, width)
        return self.head(hidden_BRD)[..., 0].float()


def at_actions(
    hidden_BTD: Float[Tensor, "B T D"], prompt_lengths_B: Int[Tensor, " B"], width: int
) -> Float[Tensor, "B R D"]:
    """The hidden states from which the actions are predicted."""
    columns_BR = positions(prompt_lengths_B, width, hidden_BTD.shape[1])
    return hidden_BTD.gather(1, columns_BR[..., None].expand(-1, -1, hidden_BTD.shape[2]))


class ActorCritic(nn.Module):
    """Policy and value model, apart from one another, and the constants of their loss."""

    def __init__(
        self,
        policy: nn.Module,
        value: nn.Module,
        *,
        clip: float,
        value_clip: float,
        entropy_bonus: float,
    ) -> None:
        super().__init__()
        self.policy, self.value = policy, value
        self.clip, self.value_clip, self.entropy_bonus = clip, value_clip, entropy_bonus


class PPOModule(TrainingModule):
    """The clipped losses of policy and values, added; the networks share no weight."""

    def __init__(
        self,
        policy: ModelConfig,
        value: ModelConfig,
        *args: Any,
        weights: Mapping[str, Tensor],
        constants: Mapping[str, float],
        value_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """As `TrainingModule` after `build`; `weights` of both, under `policy.` and `value.`."""
        super().__init__(lambda: Policy(policy), *args, weights=weights, **kwargs)
        self.networks: dict[str, Callable[[], nn.Module]] = {
            "policy": lambda: Policy(policy),
            "value": lambda: ValueModel(value),
        }
        self.constants = dict(constants)
        self.value_lr = value_lr or self.optimizer_config.lr
        self.at_end: Callable[[], None] = lambda: None

    @staticmethod
    def loss_and_metrics(model: Any, batch: MiniBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the actions of the batch."""
        mask_BR, old_BR = batch.mask_BR, batch.old_logprobs_BR
        logprobs_BR, entropy_BR = model.policy(
            batch.tokens_BT, batch.prompt_lengths_B, batch.replies_BR
        )
        values_BR = model.value(batch.tokens_BT, batch.prompt_lengths_B, mask_BR.shape[1])
        policy = clipped_policy_loss(logprobs_BR, old_BR, batch.advantages_BR, mask_BR, model.clip)
        value = clipped_value_loss(
            values_BR, batch.old_values_BR, batch.returns_BR, mask_BR, model.value_clip
        )
        mean_entropy = masked_mean(entropy_BR, mask_BR)
        change_BR = torch.where(mask_BR, logprobs_BR - old_BR, 0.0)
        metrics = {
            "policy_loss": policy.loss,
            "value_loss": value.loss,
            "entropy": mean_entropy,
            "ratio": masked_mean(change_BR.exp(), mask_BR),
            "clip_fraction": policy.clip_fraction,
            "value_clip_fraction": value.clip_fraction,
            # how far this step's policy has left the one that drew the replies, nats a token
            "update_kl": masked_mean(kl_k3(torch.zeros_like(change_BR), change_BR), mask_BR),
        }
        loss = policy.loss + value.loss
        if model.entropy_bonus:  # else its gradient would be computed in vain
            loss = loss - model.entropy_bonus * mean_entropy
        return loss, metrics

    def configure_model(self) -> None:
        if self.model is not None:
            return
        mesh = self.device_mesh if self.parallel.sharded else None
        assert self.initial_weights is not None
        networks = {
            name: parallel.prepare(
                build,
                self.parallel,
                mesh,
                under(name, self.initial_weights) if mesh is None else None,
                self.seed,
            )
            for name, build in self.networks.items()
        }
        self.model = ActorCritic(networks["policy"], networks["value"], **self.constants)

    def configure_optimizers(self) -> Any:
        """One AdamW over both networks, each at its own rate."""
        config, fused = self.optimizer_config, self.trainer.precision != "16-mixed"
        optimizer = make_optimizer(self.model.policy, config, fused=fused)
        values = make_optimizer(self.model.value, replace(config, lr=self.value_lr), fused=fused)
        for group in values.param_groups:
            optimizer.add_param_group(group)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, self.steps, config)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_end(self) -> None:
        self.at_end()

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Each network by its own norm: large errors of the values do not slow the policy."""
        largest = self.optimizer_config.clip or float("inf")
        self.gradient_norm = parallel.clip_gradients(self.model.policy.parameters(), largest)
        parallel.clip_gradients(self.model.value.parameters(), largest)


def under(name: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights whose names begin with `name.`, without it."""
    return {key[len(name) + 1 :]: w for key, w in weights.items() if key.startswith(f"{name}.")}


def initial_weights(policy: Transformer, value: ValueModel) -> dict[str, Tensor]:
    """Both networks' weights, by the names that `PPOModule` gives them."""
    weights = {f"policy.transformer.{name}": w for name, w in policy.state_dict().items()}
    return weights | {f"value.{name}": w for name, w in value.state_dict().items()}


def value_from_reward(reward: Any, policy: ModelConfig) -> ValueModel:
    """A value model that begins as a copy of a reward model, head and all. Follows InstructGPT.

    `reward` has a `body` without output projection and a scalar `head`, as the reward models of
    section 3.2.2 have. ValueError when it does not read the policy's tokens or context.
    """
    config: ModelConfig = reward.body.config
    for name in ("vocab_size", "max_seq_len"):
        has, needed = getattr(config, name), getattr(policy, name)
        if has < needed or (name == "vocab_size" and has != needed):
            raise ValueError(
                f"the reward model's {name} is {has} and the policy's {needed}; values need a "
                "reward model of the policy's own family"
            )
    value = ValueModel(config)
    value.load_state_dict(reward.state_dict())
    return value


def value_from_policy(policy: Transformer) -> ValueModel:
    """A value model with the policy's body, which at first expects nothing."""
    value = ValueModel(policy.config)
    body = {name: w for name, w in policy.state_dict().items() if not name.startswith("output.")}
    value.body.load_state_dict(body)
    value.reset_parameters()
    return value
