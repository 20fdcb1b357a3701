"""How much is measured, and how replies are sampled. No torch is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass

from llamalite.model.config import SamplingConfig

HELD_OUT_FROM = 2**40
"""Index of the first document of each source that no training run reaches (see Mixture.draw)."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Settings of the evaluate stage; the paper's own (section A.3.7) are not printed."""

    exam_questions: int = 200
    """Questions per exam, at most; 0 asks them all."""
    perplexity_documents: int = 60
    """Held-out documents per source."""
    prompts_per_kind: int = 30
    """Ordinary prompts of each kind, from the test split."""
    adversarial_prompts: int = 210
    """Prompts spread evenly over the 3 risk categories and 7 attack vectors."""
    borderline_prompts: int = 100
    """Harmless prompts that sound harmful, for false refusals."""
    temperature: float = 0.7
    """Temperature of the sampled replies; 0 is greedy."""
    top_p: float = 0.95
    """Probability mass of the nucleus replies are sampled from."""
    max_new_tokens: int = 64
    """Longest reply, in tokens."""
    resamples: int = 1000
    """Bootstrap resamples over items behind every 95 % interval."""
    samples: int = 3
    """Sample dialogues kept for each kind."""
    batch_size: int = 128
    """Sequences scored or sampled at once."""

    def __post_init__(self) -> None:
        for name in ("exam_questions", "borderline_prompts", "adversarial_prompts", "samples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in ("perplexity_documents", "prompts_per_kind", "resamples", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        SamplingConfig(self.max_new_tokens, self.temperature, self.top_p)  # checks these three
