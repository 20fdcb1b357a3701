"""A statistic as one number per item: their mean is the statistic, their spread its uncertainty.

The rules resample items and take means. A slope, a rank correlation or an agreement coefficient is
no mean, but close to one: the statistic plus each item's influence on it (Efron, 1982, "The
jackknife, the bootstrap and other resampling plans"). Bootstrapping these numbers gives the
statistic's interval to first order. Not in the paper.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Items = NDArray[np.float64]


def difference_items(high: ArrayLike, low: ArrayLike) -> Items:
    """Mean of one sample less the mean of another, of other items; a number for each item of both.

    Their variance over their count is that of a difference of two independent means.
    """
    a, b = np.asarray(high, dtype=float), np.asarray(low, dtype=float)
    n, difference = len(a) + len(b), a.mean() - b.mean()
    return difference + np.concatenate([n / len(a) * (a - a.mean()), n / len(b) * (b.mean() - b)])


def slope_items(x: ArrayLike, y: ArrayLike) -> Items:
    """Least-squares slope of y on x. Where all x are equal there is none, and every item is 0."""
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(np.unique(a)) < 2:
        return np.zeros(len(a))
    away = a - a.mean()
    spread = (away**2).mean()
    slope = (away * b).mean() / spread
    return slope + away * (b - b.mean() - slope * away) / spread


def rank_correlation_items(x: ArrayLike, y: ArrayLike) -> Items:
    """Spearman's rank correlation, equal values sharing their mean rank, from -1 to 1.

    Where all x or all y are equal there is none, and every item is 0.
    """
    a, b = (ranks(each) - (np.size(each) + 1) / 2 for each in (x, y))
    if not a.any() or not b.any():
        return np.zeros(len(a))
    a, b = (each / np.sqrt((each**2).mean()) for each in (a, b))
    rho = (a * b).mean()
    return rho + a * b - rho * (a**2 + b**2) / 2


def jackknife_items(statistic: Callable[[NDArray[np.float64]], float], rows: ArrayLike) -> Items:
    """Any statistic of a table's rows, as the jackknife's pseudo-values (Tukey, 1958).

    Their mean is the statistic less its bias of the order 1/n. It is computed once for each row.
    """
    table = np.asarray(rows, dtype=float)
    n = len(table)
    without = np.array([statistic(np.delete(table, i, axis=0)) for i in range(n)])
    return n * statistic(table) - (n - 1) * without


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs: [5, 9, 5] gives [1.5, 3, 1.5]."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
