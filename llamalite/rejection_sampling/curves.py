"""How the best, the middle and the mean reply grow with N. Llama 2, section 3.2.3, figures 7 and 8.

From N scored replies a prompt, what n of them would have given on average over all ways to choose
n: exact, by the law of order statistics, where drawing subsets would only approximate it. Bands are
bootstrapped over prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamalite.evaluation.bootstrap import Interval, bootstrap_interval
from llamalite.rejection_sampling.candidates import Candidate


class Point(NamedTuple):
    """What n replies a prompt give, with bands over prompts."""

    n: int
    maximum: Interval
    median: Interval
    mean: Interval


def expected_order_statistic(scores_PN: ArrayLike, n: int, rank: int) -> NDArray[np.float64]:
    """Mean over all subsets of `n` scores of the `rank`-th smallest (1 to n); one a prompt.

    The k-th smallest of all N is the subset's `rank`-th with probability
    C(k - 1, rank - 1) C(N - k, n - rank) / C(N, n). Not in the paper; as the unbiased pass@k of
    Chen et al. (2021), which is the case of 0 and 1.
    """
    ordered = np.sort(np.asarray(scores_PN, dtype=float), axis=1)
    N = ordered.shape[1]
    if not 1 <= rank <= n <= N:
        raise ValueError(f"rank {rank} of {n} out of {N} replies does not exist")
    ways = [math.comb(k - 1, rank - 1) * math.comb(N - k, n - rank) for k in range(1, N + 1)]
    total = math.comb(N, n)
    return ordered @ np.array([w / total for w in ways])


def expected_maximum(scores_PN: ArrayLike, n: int) -> NDArray[np.float64]:
    """Mean over all subsets of `n` of the highest score; one number a prompt. Figure 7."""
    return expected_order_statistic(scores_PN, n, n)


def expected_median(scores_PN: ArrayLike, n: int) -> NDArray[np.float64]:
    """Mean over all subsets of `n` of the median, for even n the mean of the middle two."""
    low = expected_order_statistic(scores_PN, n, (n + 1) // 2)
    return low if n % 2 else (low + expected_order_statistic(scores_PN, n, n // 2 + 1)) / 2


def curve(scores_PN: ArrayLike, ns: Sequence[int], *, resamples: int = 1000) -> list[Point]:
    """Maximum, median and mean at each n, with 95 % bands over prompts.

    Raises ValueError when an n is not between 1 and the number of replies.
    """
    scores = np.asarray(scores_PN, dtype=float)
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"scores have shape {scores.shape}; give one row of scores a prompt")
    band = lambda values: bootstrap_interval(values, resamples=resamples)  # noqa: E731
    mean = band(scores.mean(1))
    return [
        Point(n, band(expected_maximum(scores, n)), band(expected_median(scores, n)), mean)
        for n in ns
    ]


def curves_by_temperature(
    candidates: Sequence[Candidate], *, score: str | None = None, resamples: int = 1000
) -> list[dict[str, Any]]:
    """A curve for each temperature, n doubling up to all: plain records for a JSON file. Figure 8.

    `score` names a reward model (default: the combined score). Prompts with fewer replies than the
    most at that temperature are left out.
    """
    bags: dict[float, dict[str, list[float]]] = {}
    for candidate in candidates:
        value = candidate.score if score is None else candidate.scores[score]
        assert value is not None, "candidates are scored before"
        of_temperature = bags.setdefault(candidate.temperature, {})
        of_temperature.setdefault(candidate.prompt_id, []).append(value)
    records = []
    for temperature, by_prompt in sorted(bags.items()):
        scores = _table(by_prompt)
        N = len(scores[0])
        ns = sorted({*(2**k for k in range(N.bit_length()) if 2**k <= N), N})
        for point in curve(scores, ns, resamples=resamples):
            record: dict[str, Any] = {"temperature": temperature, "prompts": len(scores)}
            for name, value in point._asdict().items():
                record[name] = value._asdict() if isinstance(value, Interval) else value
            records.append(record)
    return records


def _table(by_prompt: Mapping[str, list[float]]) -> list[list[float]]:
    N = max(len(scores) for scores in by_prompt.values())
    return [scores for scores in by_prompt.values() if len(scores) == N]
