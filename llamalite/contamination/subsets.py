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
HELPED = (-1, 1, -1, 1)
"""On which side of the mean A.6 expects clean, not clean, not dirty and dirty samples when
contamination helps: 1 above, -1 below. (A subset scores below its complement exactly when it scores
below the mean of both.)"""
_OTHERWISE = {
    (True, False): "clean samples score above the mean and dirty ones below it",
    (True, True): "clean and dirty samples score above the mean, those between them below it",
    (False, False): "clean and dirty samples score below the mean, those between them above it",
}
"""By whether clean and dirty samples score above the mean."""


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


def evidence(four: Sequence[Subset]) -> float:
    """How strong the evidence is that contamination helped the scores: that of the weakest subset.

    The least of the four Z, each counted as positive on the side of the mean where A.6 expects its
    subset (`HELPED`): below 0 when one lies on the other side, nan when one is empty. `four` in the
    order of `subsets`. Llama 2, appendix A.6.
    """
    return float(np.min([side * each.z for side, each in zip(HELPED, four, strict=True)]))


def affected(four: Sequence[Subset]) -> bool:
    """Whether there is enough evidence that contamination helped the scores.

    |Z| > 2 in all four, the clean and the not dirty below the mean, the others above it: the paper
    expects clean samples to score worse than their complement and dirty ones better, and calls one
    of the two alone insufficient. Llama 2, appendix A.6. An empty subset gives no evidence.
    """
    return evidence(four) > CRITICAL


def otherwise_off(four: Sequence[Subset]) -> str | None:
    """In words, how the scores differ where all four |Z| > 2 and not as contamination that helps
    would have it; None elsewhere. Not in the paper, which looks for contamination that helps."""
    if not all(abs(each.z) > CRITICAL for each in four):
        return None
    clean, _, _, dirty = four
    return _OTHERWISE.get((clean.z > 0, dirty.z > 0))


def by_length(
    index: BenchmarkIndex, scores: Sequence[float], lengths: Sequence[int] = LENGTHS
) -> Mapping[int, tuple[Subset, ...]]:
    """The four subsets for each shortest length of a match, tokens. Llama 2, appendix A.6."""
    return {length: subsets(index.shares(length).tolist(), scores) for length in lengths}


def longest_affected(found: Mapping[int, tuple[Subset, ...]]) -> int | None:
    """The longest of the lengths at which the scores are affected, tokens; None when none is.

    The longer a match must be, the less a sample's share is pieced together from fragments that no
    document has in one place; but at an infinite length all samples are clean. For a balance of the
    two the paper reports the largest L "that appeared to benefit". Llama 2, appendix A.6.
    """
    return max((length for length, four in found.items() if affected(four)), default=None)
