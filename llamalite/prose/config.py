"""How models of real text are measured where no truth is known; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from llamalite.model.config import SamplingConfig


@dataclass(frozen=True)
class ProseConfig:
    """Held-out text, the baseline beside it, and samples. Not in the paper."""

    documents: int = 60
    """Documents of each source, at most, that are measured; of those that pretraining kept back."""
    order: int = 5
    """Length of the baseline's n-grams: one of bytes and one of the model's own pieces."""
    continuations: int = 3
    """Documents of each source, at most, whose beginning the base model goes on from."""
    opening_tokens: int = 32
    """How much of a document the base model is given."""
    replies: int = 6
    """Held-out dialogues whose first turn both models answer."""
    temperature: float = 0.7
    """Temperature of what is sampled; 0 is greedy."""
    top_p: float = 0.95
    """Probability mass of the nucleus it is sampled from."""
    max_new_tokens: int = 64
    """Longest continuation or reply, in tokens."""
    resamples: int = 1000
    """Bootstrap resamples over documents behind every 95 % interval."""

    def __post_init__(self) -> None:
        for name in ("documents", "order", "opening_tokens", "resamples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("continuations", "replies"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        self.sampling()

    def sampling(self) -> SamplingConfig:
        """How text is sampled; ValueError where that cannot be."""
        return SamplingConfig(self.max_new_tokens, self.temperature, self.top_p)
