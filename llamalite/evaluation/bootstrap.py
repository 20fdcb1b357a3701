"""Intervals for every number the reports and the ledger print.

The paper gives intervals only for its human evaluation (figure 12); the ledger needs them
everywhere, because a claim holds only when its interval excludes the contrary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 4000
_CHUNK = 2_000_000


class Interval(NamedTuple):
    """An estimate with the ends of its interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Percentile bootstrap of a mean over seeds, or over items. Deterministic for a given seed.

    Efron 1979. With three values the 95 % interval runs from the smallest to the largest: the mean
    of three draws is the minimum in 1 of 27 cases, more than 2.5 %. So an interval over three seeds
    that excludes zero says that all three agree.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"values have shape {array.shape}; give a list of at least one number")
    return _interval(array.mean(), _resampled_means(array, resamples, _rng(seed)), confidence)


def bootstrap_over_seeds(
    groups: Sequence[ArrayLike],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Bootstrap over seeds and, within each drawn seed, over its items.

    `groups` holds one array of per-item values per seed; every seed weighs the same, however many
    items it has. A group of one value is a seed without items. Seeds and items are drawn with
    replacement, which covers both the luck of training and that of the test set.
    """
    arrays = [np.atleast_1d(np.asarray(group, dtype=float)) for group in groups]
    if not arrays or any(array.ndim != 1 or array.size == 0 for array in arrays):
        raise ValueError("give one list of at least one number for each seed")
    rng = _rng(seed)
    drawn = rng.integers(len(arrays), size=(resamples, len(arrays)))
    means = np.zeros(resamples)
    for index, array in enumerate(arrays):
        times_B = (drawn == index).sum(1)
        fresh = _resampled_means(array, int(times_B.sum()), rng)
        means += np.bincount(np.repeat(np.arange(resamples), times_B), fresh, minlength=resamples)
    estimate = float(np.mean([array.mean() for array in arrays]))
    return _interval(estimate, means / len(arrays), confidence)


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927): sound near 0 and 1 and for few trials.

    `mean` is the plain share, not the interval's middle. Raises ValueError unless
    0 <= successes <= trials and trials >= 1.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials is not a proportion")
    share, z = successes / trials, NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    reach /= 1 + z * z / trials
    return Interval(share, max(0.0, middle - reach), min(1.0, middle + reach))


def _resampled_means(
    array: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means of `resamples` draws with replacement, in chunks that bound the memory."""
    rows = max(1, _CHUNK // array.size)
    parts = [
        array[rng.integers(array.size, size=(min(rows, resamples - start), array.size))].mean(1)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _interval(estimate: float, means: NDArray[np.float64], confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(estimate), float(low), float(high))


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
