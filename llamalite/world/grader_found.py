"""What a checker reports about a reply, and small measures that checkers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llamalite.world.sentences import Sentence

Rest = Sequence[tuple[int, Sentence]]
"""Sentences left for the content checker, each with its place in the reply."""


@dataclass
class Found:
    """How far a reply does what was asked; all shares from 0 to 1."""

    cover: float = 0.0
    """Share of what was asked that is there at all, right or wrong."""
    right: float = 0.0
    """Share that is true, in order, or in form."""
    fit: float = 1.0
    """How well length and detail suit the wish."""
    echo: float = 0.0
    """Share of the asked names that the reply repeats."""
    on_topic: set[int] = field(default_factory=set)
    """Places of the sentences that serve the answer."""
    repeats: int = 0
    """Things said twice in other words."""
    extras: int = 0
    """Contradictions and other things nobody asked for inside sentences on topic."""


def mean(values: Sequence[float]) -> float:
    """The mean, 0 for none."""
    return sum(values) / len(values) if values else 0.0


def slope(value: float, full: float, zero: float) -> float:
    """1 up to `full`, falling linearly to 0 at `zero`."""
    if value <= full:
        return 1.0
    return max(0.0, (zero - value) / (zero - full))


def detail_fit(length: str, details: int, upper: int = 3) -> float:
    """How well a number of details suits a wish about length, 0 to 1.

    | wish | full marks | else |
    |---|---|---|
    | plain | 0 or 1 | minus 1/3 for each beyond |
    | short | 0 | minus 1/2 for each |
    | more | 1 to `upper` | 0 for none, minus 1/3 for each beyond |
    | long | 2 to `upper` + 1 | 1/2 for one, 0 for none, minus 1/3 for each beyond |
    """
    if length == "short":
        return max(0.0, 1 - details / 2)
    if length == "plain":
        return max(0.0, 1 - max(0, details - 1) / 3)
    wanted = 1 if length == "more" else 2
    if details < wanted:
        return details / wanted
    return max(0.0, 1 - max(0, details - upper - (wanted - 1)) / 3)


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], before + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def count_words(rest: Rest) -> int:
    """Words of all content sentences."""
    return sum(len(sentence.words) for _, sentence in rest)
