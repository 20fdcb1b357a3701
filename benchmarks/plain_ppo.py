"""PPO as one would write it in an afternoon on `transformers`: the peer of our own.

The same algorithm with the same constants: replies by `generate`, logits only where
replies are, no cache where nothing is sampled, a reward for the last token less the KL to a frozen
reference, GAE, clipped losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llamalite.ppo.config import PPOConfig

AT_ONCE = 64
"""Rows that are read at once where nothing is learned."""


@dataclass
class PlainPPO:
    """Models of `transformers`, and what one iteration does with them."""

    policy: Any
    """LlamaForCausalLM."""
    reference: Any
    """The same, frozen."""
    value: Any
    """LlamaForTokenClassification with one label."""
    reward: Any
    """LlamaForSequenceClassification with one label."""
    config: PPOConfig

    def __post_init__(self) -> None:
        self.optimizers = [
            torch.optim.AdamW(
                model.parameters(),
                lr=self.config.optimizer.lr,
                betas=self.config.optimizer.betas,
                eps=self.config.optimizer.eps,
                weight_decay=self.config.optimizer.weight_decay,
                fused=True,
            )
            for model in (self.policy, self.value)
        ]

    def iteration(self, prompts_BP: Tensor) -> None:
        """Replies to the prompts, then a gradient step on each mini-batch of them."""
        rollout = self.rollout(prompts_BP)
        for _ in range(self.config.epochs):
            order = torch.randperm(len(prompts_BP))
            for chosen in order.split(self.config.mini_batch_size):
                self.update({name: each[chosen] for name, each in rollout.items()})

    @torch.no_grad()
    def rollout(self, prompts_BP: Tensor) -> dict[str, Tensor]:
        """Rows of prompt and reply with what PPO learns from them; R is the replies' length."""
        rows_BT = self.policy.generate(
            prompts_BP,
            attention_mask=torch.ones_like(prompts_BP),
            max_new_tokens=self.config.max_new_tokens,
            do_sample=True,
            top_k=0,
            eos_token_id=None,
            pad_token_id=0,
        )
        width = rows_BT.shape[1] - prompts_BP.shape[1]
        parts = rows_BT.split(AT_ONCE)
        scores_B = torch.cat([self.reward(part, use_cache=False).logits[:, 0] for part in parts])
        old_BR = torch.cat([self.logprobs(self.policy, part, width) for part in parts])
        reference_BR = torch.cat([self.logprobs(self.reference, part, width) for part in parts])
        values_BR = torch.cat([self.values(part, width) for part in parts])
        rewards_BR = -self.config.beta * (old_BR - reference_BR)
        rewards_BR[:, -1] += (scores_B - scores_B.mean()) / scores_B.std(correction=0)
        advantages_BR = self.advantages(rewards_BR, values_BR)
        return {
            "rows": rows_BT,
            "old": old_BR,
            "values": values_BR,
            "returns": advantages_BR + values_BR,
            "advantages": (advantages_BR - advantages_BR.mean()) / advantages_BR.std(correction=0),
        }

    def logprobs(self, model: Any, rows_BT: Tensor, width: int) -> Tensor:
        """Of the last `width` tokens."""
        logits_BRV = model(rows_BT, use_cache=False, logits_to_keep=width + 1).logits[:, :-1]
        return logits_BRV.log_softmax(-1).gather(-1, rows_BT[:, -width:, None])[..., 0]

    def values(self, rows_BT: Tensor, width: int) -> Tensor:
        """Before each of the last `width` tokens."""
        return self.value(rows_BT, use_cache=False).logits[:, -width - 1 : -1, 0]

    def advantages(self, rewards_BR: Tensor, values_BR: Tensor) -> Tensor:
        """GAE from the last token to the first."""
        found, running, following = [], 0.0, 0.0
        for t in reversed(range(rewards_BR.shape[1])):
            delta = rewards_BR[:, t] + self.config.gamma * following - values_BR[:, t]
            running = delta + self.config.gamma * self.config.gae_lambda * running
            following = values_BR[:, t]
            found.insert(0, running)
        return torch.stack(found, 1)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Clipped losses of policy and values, added."""
        rows_BT, width = batch["rows"], batch["old"].shape[1]
        ratio = (self.logprobs(self.policy, rows_BT, width) - batch["old"]).exp()
        held = ratio.clamp(1 - self.config.clip, 1 + self.config.clip)
        gain = torch.minimum(ratio * batch["advantages"], held * batch["advantages"]).mean()
        values = self.values(rows_BT, width)
        move = (values - batch["values"]).clamp(-self.config.value_clip, self.config.value_clip)
        errors = torch.maximum(
            (values - batch["returns"]) ** 2, (batch["values"] + move - batch["returns"]) ** 2
        )
        return errors.mean() / 2 - gain

    def update(self, batch: dict[str, Tensor]) -> None:
        """One gradient step of both models."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.loss(batch).backward()
        for model, optimizer in zip((self.policy, self.value), self.optimizers, strict=True):
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.config.optimizer.clip)
            optimizer.step()
