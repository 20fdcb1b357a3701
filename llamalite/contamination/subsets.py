"""Whether a model does better on contaminated samples than chance explains. Appendix A.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llamalite.contamination.spans import BenchmarkIndex

LENGTHS = (10, 20, 30, 40, 50)
"""Shortest matches, in tokens, that A.6 tries."""
CRITICAL = 2.0
"""A subset's mean is off when |Z| exceeds this. A.6."""


@dataclass(frozen=True)
class Subset:
    """One of the four subsets of A.6."""

    name: str
    samples: int
    contamination: float
    """Mean share of contaminated tokens, 0 to 1; nan when the subset is empty."""
    score: float
    """Mean score; nan when the subset is empty."""
    z: float
    """(mean - mu_n) / sigma_n: how far the mean is from that of as many random samples, in standard
    errors. nan when the subset is empty or all samples have one score."""


def subsets(shares: Sequence[float], scores: Sequence[float]) -> tuple[Subset, ...]:
    """Clean (under 20 % contaminated), not clean, not dirty (under 80 %) and dirty samples.

    `shares` are the samples' shares of contaminated tokens (0 to 1), `scores` the model's scores on
    them, of any scale. mu_n and sigma_n are the mean and standard error of n random samples of the
    benchmark, as the central limit theorem gives them (the numbers of table 51 follow from it
    without a correction for finite size). Raises ValueError when the two differ in length.
    Llama 2, appendix A.6.
    """
    share_S, score_S = np.asarray(shares, float), np.asarray(scores, float)
    if share_S.shape != score_S.shape or not len(share_S):
        raise ValueError(
            f"{len(share_S)} samples and {len(score_S)} scores; give one score a sample"
        )
    mean, deviation = score_S.mean(), score_S.std()
    members = {
        "clean": share_S < 0.2,
        "not clean": share_S >= 0.2,
        "not dirty": share_S < 0.8,
        "dirty": share_S >= 0.8,
    }
    found = []
    for name, of in members.items():
        n = int(of.sum())
        own = float(score_S[of].mean()) if n else float("nan")
        error = deviation / np.sqrt(n) if n else 0.0
        z = float((own - mean) / error) if error else float("nan")
        contamination = float(share_S[of].mean()) if n else float("nan")
        found.append(Subset(name, n, contamination, own, z))
    return tuple(found)


def affected(four: Sequence[Subset]) -> bool:
    """Whether there is enough evidence that contamination moves the score: |Z| > 2 in all four.

    Llama 2, appendix A.6. An empty subset gives no evidence.
    """
    return all(abs(subset.z) > CRITICAL for subset in four)


def by_length(
    index: BenchmarkIndex, scores: Sequence[float], lengths: Sequence[int] = LENGTHS
) -> Mapping[int, tuple[Subset, ...]]:
    """The four subsets for each shortest length of a match, tokens. Llama 2, appendix A.6."""
    return {length: subsets(index.shares(length).tolist(), scores) for length in lengths}


def most_affected(found: Mapping[int, tuple[Subset, ...]]) -> int | None:
    """The length at which contamination moves the score most; None when none is affected.

    The paper reports one length for each affected benchmark and does not say how it is chosen; here
    it is the one with the largest smallest |Z| among the four subsets.
    """
    lengths = [length for length, four in found.items() if affected(four)]
    weakest = {length: min(abs(subset.z) for subset in found[length]) for length in lengths}
    return max(lengths, key=weakest.__getitem__) if lengths else None
