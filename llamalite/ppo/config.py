"""What PPO consists of. Llama 2, section 3.2.3; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llamalite.training_config import OptimizerConfig, ParallelConfig


@dataclass(frozen=True)
class PPOConfig:
    """Prompts, rollouts, rewards and optimisation; the paper's values where it prints one."""

    prompts: int = 4_000
    """Training prompts to draw from, each at most once until all were drawn. Not printed."""
    held_out: int = 128
    """Further prompts, only for early stopping."""
    safety_share: float = 0.2
    """Share of adversarial prompts among both. Not in the paper."""
    borderline_share: float = 0.2
    """Share of harmless prompts that sound like mischief: about as many as adversarial ones keep
    the policy from refusing everything. Not in the paper."""
    first_prompt: int = 8_000
    """Index of the first prompt of each kind: beyond those that a round's comparisons and rejection
    sampling ask, which its reward models have learned from."""
    max_new_tokens: int = 48
    """Most tokens of a reply, its end included. Not in the paper."""
    iterations: int = 200
    """Rounds of sampling and updates; the paper's are 200 to 400, ended by held-out prompts."""
    batch_size: int = 512
    """Replies of an iteration, over all processes; the paper's number."""
    mini_batch_size: int = 64
    """Replies of one gradient step; the paper's number."""
    epochs: int = 1
    """Times each reply is learned from; the paper's number ("one gradient step per mini-batch")."""
    accumulation: int = 1
    """Parts into which each process divides its share of a mini-batch to save memory."""
    clip: float = 0.2
    """How far the probability ratio may leave 1 with profit; the paper's number."""
    value_clip: float = 0.2
    """How far values may leave the old ones with profit; 0: anywhere. Not in the paper."""
    entropy_bonus: float = 0.0
    """Weight of the entropy in the objective. Not in the paper."""
    gamma: float = 1.0
    """Discount of later rewards. Not in the paper; 1 as a reply's reward comes at its end."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation. Not in the paper; Stiennon et al. (2020)."""
    beta: float = 0.01
    """Weight of the KL penalty, eq. 4; in the paper .01 to 13B and .005 above."""
    target_kl: float = 0.0
    """KL in nats a reply to which beta adapts (Ziegler et al., 2019); 0: beta stays, as in the
    paper."""
    horizon: int = 10_000
    """Replies over which an adaptive beta reacts."""
    combination: Literal["piecewise", "helpfulness", "safety"] = "piecewise"
    """What is made of the two reward models' scores: the paper's R_c, or one of them alone, as a
    control."""
    whitening: Literal["running", "first", "batch", "none"] = "running"
    """Statistics of WHITEN in eq. 4, which the paper does not name: of all replies so far, of the
    first iteration's, of each iteration's own, or no whitening."""
    score_limit: float = 5.0
    """Whitened scores are held within this many standard deviations; 0: no limit. Not in the
    paper."""
    missing_eos_penalty: float = 1.0
    """Taken off the (whitened) score of a reply that ran into the limit. Not in the paper."""
    evaluate_every: int = 10
    """Iterations between looks at the held-out prompts; 0: never, and the last policy is kept."""
    patience: int = 5
    """Looks without a better held-out objective after which to stop; the best policy is kept."""
    forward_batch: int = 64
    """Replies read at once where nothing is learned: reference, values."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=1e-6, schedule="constant")
    )
    """AdamW with a constant rate of 1e-6, decay 0.1, gradients clipped at 1.0 (policy and values
    apart): the paper's."""
    value_lr: float = 0.0
    """Learning rate of the value model; 0: the policy's. Not in the paper; a small value model that
    begins from nothing needs a larger one to be of use within some tens of iterations."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """Devices, sharding, precision, checkpoints."""

    def __post_init__(self) -> None:
        for name in (
            *("prompts", "max_new_tokens", "iterations", "batch_size", "mini_batch_size"),
            *("epochs", "accumulation", "horizon", "patience", "forward_batch"),
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in (
            *("held_out", "first_prompt", "value_clip", "entropy_bonus", "beta", "target_kl"),
            *("score_limit", "missing_eos_penalty", "evaluate_every", "value_lr"),
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in ("safety_share", "borderline_share", "gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.safety_share + self.borderline_share > 1:
            raise ValueError(
                f"safety_share {self.safety_share} and borderline_share {self.borderline_share} "
                "add up to more than 1; lower one"
            )
        if not 0 < self.clip < 1:
            raise ValueError(f"clip is {self.clip}; it must lie between 0 and 1")
        if self.combination not in ("piecewise", "helpfulness", "safety"):
            raise ValueError(
                f"combination is {self.combination!r}; choose piecewise, helpfulness or safety"
            )
        if self.whitening not in ("running", "first", "batch", "none"):
            raise ValueError(
                f"whitening is {self.whitening!r}; choose running, first, batch or none"
            )
        if self.batch_size % self.mini_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} does not divide into mini-batches of "
                f"{self.mini_batch_size}; choose a multiple of {self.mini_batch_size}"
            )
        self.parallel.check_divides("mini_batch_size", self.mini_batch_size, self.accumulation)
        if self.evaluate_every and not self.held_out:
            raise ValueError("evaluate_every needs held_out prompts; give some, or set it to 0")

    @property
    def updates(self) -> int:
        """Gradient steps of one iteration."""
        return self.epochs * self.batch_size // self.mini_batch_size
