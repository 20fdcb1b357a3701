"""What the general reward model learns from. Llama 2, section 3.4.1; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamalite.reward.config import RewardConfig

GENERAL = "general"
"""Name of the reward model, and of its folder in the artifact."""
SFT, BASE = "SFT", "base"
"""Names of the chat model and of the base model among those who reply; all others are vendors."""


@dataclass(frozen=True)
class GeneralRewardConfig:
    """Comparisons from outside the loop, and the training on them.

    The paper's model was "trained on diverse open-source Reward Modeling datasets"; which, it does
    not say.
    """

    data: str = ""
    """Your own comparisons (open-source sets) instead of the micro-world's: a JSONL or Parquet file
    of chosen and rejected replies, or of text dialogues as HH-RLHF's, or hub:NAME[:CONFIG[:SPLIT]];
    rows that name no guideline count as helpfulness."""
    pairs: int = 1_500
    """Prompts whose replies are compared."""
    safety_share: float = 0.25
    """Share of adversarial prompts among them."""
    borderline_share: float = 0.15
    """Share of harmless prompts that sound like mischief among them."""
    first_prompt: int = 85_000
    """Index of the first prompt of each kind: beyond what any other stage asks."""
    sources: tuple[str, ...] = ("third_party", "careless", "mixed", SFT, BASE)
    """Who replies, two different ones to each prompt: vendors of demonstrations, whose writers
    differ in care, the SFT model and the base model. None of V1 to V5, which it is to score."""
    temperature: float = 1.0
    """Temperature at which the two models reply."""
    max_new_tokens: int = 48
    """Most tokens of a model's reply, its end included."""
    annotators: int = 6
    """Who compare, each with a taste of their own; they take turns. None of them judges a pair of
    the loop."""
    noise: float = 0.15
    """Standard deviation with which they see helpfulness, on the scale from 0 to 1; more than the
    loop's annotators: open sets are of uneven care."""
    safety_noise: float = 0.1
    """The same of safety."""
    bias: float = 1.5
    """Strength of their personal taste (length, courtesy); 0: none."""
    test_share: float = 0.1
    """Share of the pairs kept to test by, never to train."""
    training: RewardConfig = field(default_factory=lambda: RewardConfig(margin="none"))
    """How it is trained: as the loop's reward models (3.2.2), by the ranking loss alone. Open sets
    seldom say how much better a reply is, so there is no margin. Its mixes, its `open_*` files and
    its safety settings are not used."""

    def __post_init__(self) -> None:
        for name in ("pairs", "max_new_tokens", "annotators"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.first_prompt < 0:
            raise ValueError(f"first_prompt is {self.first_prompt}; it must be at least 0")
        for name in ("safety_share", "borderline_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.safety_share + self.borderline_share > 1:
            raise ValueError(
                f"safety_share {self.safety_share} and borderline_share {self.borderline_share} "
                "add up to more than 1; lower one"
            )
        for name in ("temperature", "noise", "safety_noise", "bias"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if not 0 <= self.test_share < 1:
            raise ValueError(f"test_share is {self.test_share}; it must be in [0, 1)")
        if len(set(self.sources)) < max(2, len(self.sources)):
            raise ValueError(f"sources is {self.sources}; give at least two, all different")
