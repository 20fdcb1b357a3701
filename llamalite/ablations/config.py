"""What is served in figure 24's experiment, and with how much memory; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServingConfig:
    """One experiment. The paper: contexts of 256 and 2,048, 128 tokens out, eight A100 of 80 GB."""

    context: int = 256
    """Tokens of the prompt that every sequence of a batch continues."""
    new_tokens: int = 32
    """Tokens written to each."""
    budget_mib: int = 128
    """Memory a model may take on top of its weights, MiB: for the cache and for working with it."""
    largest: int = 1024
    """Batch at which doubling stops even if there is memory left."""
    repeats: int = 3
    """Timed turns of every batch, after one that is not counted."""

    def __post_init__(self) -> None:
        for name in ("context", "new_tokens", "budget_mib", "largest", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
