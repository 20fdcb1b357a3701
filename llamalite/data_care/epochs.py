"""How often a mixture reads each source: effective epochs. Llama 2, section 2.1.

The paper trains on 2 trillion tokens and up-samples "the most factual sources"; neither its mixture
nor its epochs are printed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

CountTokens = Callable[[Sequence[str]], int]
"""Counts the tokens of some documents together."""


class EffectiveEpochs(NamedTuple):
    """What a training run would take from one source."""

    source: str
    size: int
    """Tokens it holds, counted, or estimated from its characters."""
    share: float
    """Share of the run's tokens."""
    tokens: int
    """Tokens read from it."""
    epochs: float
    """How often each of its tokens is read; above 1 the source is up-sampled."""


def effective_epochs(
    characters: Mapping[str, int],
    mixture: Mapping[str, float],
    tokens: int,
    characters_per_token: float,
) -> list[EffectiveEpochs]:
    """The table of epochs, a row a source.

    Of tokens that were counted, `characters` are these and `characters_per_token` is 1.
    `mixture` gives shares of the tokens, of any sum; empty, each source is read in proportion to
    its size. `tokens` 0 is as many as there are. Raises ValueError for a weight on an empty source.
    """
    sizes = {source: round(count / characters_per_token) for source, count in characters.items()}
    weights = {source: float(mixture.get(source, 0.0)) for source in sizes} if mixture else sizes
    for source, weight in weights.items():
        if weight > 0 and not sizes[source]:
            raise ValueError(
                f"the mixture gives {source} a weight of {weight:g}, but nothing of it is left; "
                "drop it or loosen the cleaning"
            )
    total, length = sum(weights.values()), tokens or sum(sizes.values())
    rows = []
    for source, size in sizes.items():
        share = weights[source] / total if total else 0.0
        taken = round(share * length)
        rows.append(EffectiveEpochs(source, size, share, taken, taken / size if size else 0.0))
    return rows


def check_mixture(mixture: Mapping[str, float], sources: Collection[str] = ()) -> None:
    """ValueError for a weight below 0, and when weights are given and all are 0.

    Where the `sources` are known, also for a weight of one that is not among them.
    """
    for source, weight in mixture.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"mixture weight of {source} is {weight}; it must be at least 0")
    if mixture and not any(mixture.values()):
        raise ValueError(f"mixture weights of {', '.join(mixture)} are all 0; raise at least one")
    absent = [source for source in mixture if sources and source not in sources]
    if absent:
        raise ValueError(
            f"mixture names {', '.join(absent)}, which the corpus has not; it has "
            f"{', '.join(sources)}: give these weights, or mixture '{{}}' to read all alike"
        )
