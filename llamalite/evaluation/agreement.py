"""How far raters agree beyond chance. Llama 2, section 4.4 (Gwet's AC2, citing Gwet 2008 and 2014).

Gwet's AC1 (nominal) and AC2 (weighted) stay stable where nearly everyone gives the same rating, as
with safety, where Cohen's kappa collapses. Formulas: K. L. Gwet, "Computing inter-rater reliability
and its variance in the presence of high agreement", Br. J. Math. Stat. Psychol. 61 (2008), and
"Handbook of Inter-Rater Reliability", 4th edition (2014), for weights and missing ratings.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Weighting = Literal["identity", "linear", "quadratic", "ordinal"]


class Agreement(NamedTuple):
    """An agreement coefficient and how sure it is."""

    coefficient: float
    """1 for full agreement, 0 for what chance gives, negative below chance."""
    observed: float
    """Weighted share of agreeing pairs of ratings, 0 to 1."""
    chance: float
    """What raters who guess on the hard subjects would reach, 0 to 1."""
    standard_error: float
    """Over the sampling of subjects, the raters being given."""
    low: float
    high: float
    subjects: int
    """Subjects with at least one rating."""


def gwet_ac(
    ratings: Sequence[Sequence[Hashable | None]],
    weights: Weighting | ArrayLike = "identity",
    categories: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Agreement:
    """Gwet's AC1 (identity weights) or AC2 of ratings[subject][rater]. Gwet 2014, chapter 5.

    None (or NaN) is a missing rating. `categories` lists the scale from low to high when some of it
    was never used; by default it is every rating seen, sorted. Weights are a name or a symmetric
    matrix over the categories with ones on the diagonal. Raises ValueError when no subject has two
    ratings or a rating lies outside the categories.
    """
    counts_SQ, scale = count_ratings(ratings, categories)
    return _gwet(counts_SQ, agreement_weights(scale, weights), confidence)


def gwet_ac_from_counts(
    counts_SQ: ArrayLike | Sequence[Sequence[int | None]],
    weights: Weighting | ArrayLike = "identity",
    categories: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Agreement:
    """As `gwet_ac`, from how many raters put each subject (row) into each category (column)."""
    counts = np.asarray(counts_SQ, dtype=float)
    if counts.ndim != 2 or (counts < 0).any():
        raise ValueError("counts must be a table of numbers at least 0, one row per subject")
    scale = list(categories) if categories is not None else list(range(1, counts.shape[1] + 1))
    return _gwet(counts, agreement_weights(scale, weights), confidence)


def percent_agreement(
    ratings: Sequence[Sequence[Hashable | None]],
    weights: Weighting | ArrayLike = "identity",
    categories: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Agreement:
    """Share of agreeing pairs of ratings, not corrected for chance (its `chance` is 0)."""
    counts_SQ, scale = count_ratings(ratings, categories)
    counts, matrix = _at_least_one_rating(counts_SQ), agreement_weights(scale, weights)
    observed_S, rated_twice = _observed_by_subject(counts, matrix)
    observed = float(observed_S[rated_twice].mean())
    share_S = len(counts) / rated_twice.sum() * observed_S
    return _with_interval(observed, observed, 0.0, share_S, confidence)


def agreement_weights(
    categories: Sequence[Hashable], weights: Weighting | ArrayLike
) -> NDArray[np.float64]:
    """Credit for each pair of categories, 1 on the diagonal. Gwet 2014, section 3.4.

    linear and quadratic use the categories' own numbers as distances where they are numbers, their
    ranks otherwise; ordinal counts the pairs of categories lying between.
    """
    q = len(categories)
    if not isinstance(weights, str):
        matrix = np.asarray(weights, dtype=float)
        if matrix.shape != (q, q) or not np.allclose(matrix, matrix.T):
            raise ValueError(
                f"weights have shape {matrix.shape}; give a symmetric {q} x {q} matrix, "
                "one row per category"
            )
        return matrix
    if weights == "identity" or q == 1:
        return np.eye(q)
    numbers = [x for x in categories if isinstance(x, int | float | np.number)]
    at = np.array(numbers if len(numbers) == q else range(q), dtype=float)
    distance = np.abs(at[:, None] - at[None, :])
    if weights == "linear":
        return 1 - distance / distance.max()
    if weights == "quadratic":
        return 1 - (distance / distance.max()) ** 2
    if weights == "ordinal":
        rank = np.argsort(np.argsort(at))
        between = np.abs(rank[:, None] - rank[None, :]) + 1
        return 1 - between * (between - 1) / (q * (q - 1))
    raise ValueError(f"unknown weights {weights!r}; choose identity, linear, quadratic or ordinal")


def count_ratings(
    ratings: Sequence[Sequence[Hashable | None]], categories: Sequence[Hashable] | None = None
) -> tuple[NDArray[np.float64], list[Hashable]]:
    """Table of raters per subject and category, and the categories in order."""
    seen = {rating for row in ratings for rating in row if not _missing(rating)}
    try:
        scale = list(categories) if categories is not None else sorted(seen)  # type: ignore[type-var]
    except TypeError:
        raise ValueError("ratings of mixed types have no order; pass categories") from None
    unknown = seen - set(scale)
    if unknown:
        raise ValueError(
            f"ratings {sorted(map(str, unknown))} are not among the categories {scale}"
        )
    column = {category: index for index, category in enumerate(scale)}
    counts = np.zeros((len(ratings), len(scale)))
    for subject, row in enumerate(ratings):
        for rating in row:
            if not _missing(rating):
                counts[subject, column[rating]] += 1
    return counts, scale


def _gwet(
    counts_SQ: NDArray[np.float64], matrix_QQ: NDArray[np.float64], confidence: float
) -> Agreement:
    counts = _at_least_one_rating(counts_SQ)
    raters_S, q = counts.sum(1), counts.shape[1]
    observed_S, rated_twice = _observed_by_subject(counts, matrix_QQ)
    observed = float(observed_S[rated_twice].mean())
    if q == 1:  # one category was used: nothing to disagree about
        return _with_interval(1.0, observed, 0.0, np.ones(len(counts)), confidence)
    share_Q = (counts / raters_S[:, None]).mean(0)
    spread = matrix_QQ.sum() / (q * (q - 1))
    chance = float(spread * (share_Q * (1 - share_Q)).sum())
    coefficient = (observed - chance) / (1 - chance)
    # Gwet 2008, eq. 19 and its weighted form: each subject's own coefficient, less what its ratings
    # do to the chance term; their variance is the coefficient's.
    to_all = len(counts) / rated_twice.sum()
    own_S = to_all * (observed_S - chance * rated_twice) / (1 - chance)
    chance_S = spread * (counts @ (1 - share_Q)) / raters_S
    own_S = own_S - 2 * (1 - coefficient) * (chance_S - chance) / (1 - chance)
    return _with_interval(coefficient, observed, chance, own_S, confidence)


def _observed_by_subject(
    counts: NDArray[np.float64], matrix_QQ: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Weighted share of agreeing pairs of each subject (0 where there is no pair), and which."""
    raters_S = counts.sum(1)
    rated_twice = raters_S >= 2
    if not rated_twice.any():
        raise ValueError("no subject has two ratings; agreement needs at least one such subject")
    pairs = (counts * (counts @ matrix_QQ - 1)).sum(1)
    possible = np.where(rated_twice, raters_S * (raters_S - 1), 1)
    return np.where(rated_twice, pairs / possible, 0.0), rated_twice


def _at_least_one_rating(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts[counts.sum(1) > 0]


def _with_interval(
    coefficient: float,
    observed: float,
    chance: float,
    own_S: NDArray[np.float64],
    confidence: float,
) -> Agreement:
    """Standard error of a mean of per-subject values, and Student's interval, cut at 1."""
    n = len(own_S)
    error = math.sqrt(((own_S - coefficient) ** 2).sum() / (n * (n - 1))) if n > 1 else math.nan
    reach = t_quantile(0.5 + confidence / 2, n - 1) * error if n > 1 else math.nan
    return Agreement(
        coefficient, observed, chance, error, coefficient - reach, min(1.0, coefficient + reach), n
    )


def t_quantile(probability: float, df: int) -> float:
    """Quantile of Student's t for probability >= 0.5; here to spare a dependency on SciPy.

    The density becomes a power of a cosine under t = sqrt(df) tan(angle), smooth enough for
    Gauss-Legendre; the quantile follows by bisection.
    """
    if not 0.5 <= probability < 1 or df < 1:
        raise ValueError(f"no t quantile for probability {probability} and {df} degrees of freedom")
    nodes, weights = np.polynomial.legendre.leggauss(60)
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(math.pi)

    def below(t: float) -> float:
        half = math.atan(t / math.sqrt(df)) / 2
        values = np.exp((df - 1) * np.log(np.cos(half * (nodes + 1))))
        return 0.5 + scale * half * float(weights @ values)

    low, high = 0.0, 1.0
    while below(high) < probability and high < 1e9:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < probability else (low, middle)
    return (low + high) / 2


def _missing(rating: Hashable | None) -> bool:
    return rating is None or (isinstance(rating, float) and math.isnan(rating))
