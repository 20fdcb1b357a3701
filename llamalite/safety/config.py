"""What context distillation consists of. Llama 2, section 4.2.4; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llamalite.model.config import SamplingConfig
from llamalite.sft.config import SFTConfig
from llamalite.training_config import OptimizerConfig


@dataclass(frozen=True)
class SafetyConfig:
    """Prompts, preprompts, gate, and how the chat model is tuned; the paper prints no number."""

    prompts: int = 800
    """Prompts whose answers are distilled, adversarial ones."""
    harmless_share: float = 0.0
    """Share of harmless prompts among them. The paper distils on adversarial prompts only: on
    helpful ones it makes answers vague and refusing (table 40), which more than 0 shows."""
    first_prompt: int = 80_000
    """Index of the first prompt of each kind: no other stage's prompts."""
    distil: Literal["template", "generic", "again"] = "template"
    """Which answer is learned: that under a preprompt with the risk category's answer template
    (under a generic one for prompts without a category); that under a generic preprompt; or again,
    a second one without preprompt, the control: the gate alone makes it the better of two."""
    gate: Literal["reward", "none"] = "reward"
    """reward: learn only answers that the safety reward model scores above the original; none: all,
    the control."""
    replay: float = 1.0
    """Dialogues of the chat model's own plain answers to harmless prompts for each distilled answer
    learned, so that helpfulness is not lost. Not in the paper, which mixes its data."""
    replay_borderline_share: float = 0.25
    """Share of prompts that sound like mischief among those; against false refusals."""
    temperature: float = 0.8
    """Temperature of all answers."""
    top_p: float = 0.95
    """Probability mass of the nucleus that they are drawn from."""
    max_new_tokens: int = 48
    """Most tokens of an answer, its end included."""
    prompts_at_once: int = 128
    """Prompts sampled between two files of the draft: at most so much work is lost to a kill."""
    score_batch: int = 256
    """Answers scored at once."""
    tuning: SFTConfig = field(
        default_factory=lambda: SFTConfig(
            epochs=2,
            held_out=50,
            batch_size=8,
            optimizer=OptimizerConfig(lr=2e-4, warmup_fraction=0.03),
        )
    )
    """How the chat model is tuned on; its demonstrations and their shares are not used."""
    resamples: int = 1000
    """Bootstrap resamples over prompts behind every 95 % interval."""

    def __post_init__(self) -> None:
        for name in ("prompts", "prompts_at_once", "score_batch", "resamples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.first_prompt < 0:
            raise ValueError(f"first_prompt is {self.first_prompt}; it must be at least 0")
        if not 0 <= self.replay < float("inf"):
            raise ValueError(f"replay is {self.replay}; it must be at least 0")
        for name in ("harmless_share", "replay_borderline_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        for name, choices in (
            ("distil", ("template", "generic", "again")),
            ("gate", ("reward", "none")),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose {', '.join(choices)}")
        SamplingConfig(self.max_new_tokens, self.temperature, self.top_p)  # checks them itself
