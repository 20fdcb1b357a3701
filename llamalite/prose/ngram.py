"""An n-gram model as the baseline of a neural one. Not in the paper.

Numpy counts, for counting millions of n-grams one by one takes Python minutes; the smoothing and
the probabilities are NLTK's: absolute discounting, interpolated over all orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from math import log2
from typing import Any

import numpy as np

DISCOUNT = 0.75
"""Taken off every count and given to shorter n-grams."""


class NGrams:
    """Symbols 0 to `symbols` - 1, each given the `order` - 1 before it, to a text's end.

    A text begins after its end, as it were: what stands before its first symbol is the end symbol.
    N-grams of three and more symbols seen less than `at_least` times are left out, to save memory.
    Raises ValueError for an order too long for the alphabet.
    """

    def __init__(self, symbols: int, order: int = 5, at_least: int = 1) -> None:
        self.base, self.order, self.at_least = symbols + 1, order, at_least
        if self.base**order > 2**63:
            raise ValueError(
                f"{order}-grams of {symbols} symbols are more than 64 bits can number; "
                "choose a lower order or a smaller vocabulary"
            )

    def fit(self, texts: Iterable[Sequence[int]]) -> NGrams:
        """Count; ValueError where no text is given."""
        from nltk.lm import AbsoluteDiscountingInterpolated

        nothing = np.empty(0, dtype=np.int64)
        joined = np.concatenate([nothing, *(self._codes(text) for text in texts)])
        if not joined.size:
            raise ValueError("an n-gram model needs text to count; none was given")
        self.model = AbsoluteDiscountingInterpolated(self.order, DISCOUNT)
        kept: Any = self.model.counts
        for symbol in range(self.base):  # none is impossible
            kept[1][symbol] = 1
        for n in range(1, self.order + 1):
            found, counts = np.unique(joined % self.base**n, return_counts=True)
            if n > 2:
                found, counts = found[counts >= self.at_least], counts[counts >= self.at_least]
            for gram, count in zip(self._grams(found, n), counts.tolist(), strict=True):
                *context, symbol = gram
                kept[tuple(context) or 1][symbol] += count
        # every score of a longer n-gram asks for those of shorter ones, which are few
        self.model.unmasked_score = cache(self.model.unmasked_score)
        return self

    def bits(self, text: Sequence[int]) -> float:
        """Surprise at a text and its end, in bits."""
        grams = self._grams(self._codes(text), self.order)
        return -sum(
            log2(self.model.unmasked_score(symbol, tuple(context))) for *context, symbol in grams
        )

    def _codes(self, text: Sequence[int]) -> np.ndarray:
        """Each symbol with those before it as a number, the symbol as its last digit."""
        end = self.base - 1
        padded = np.array([end] * (self.order - 1) + [*text, end], dtype=np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.order)
        return windows @ (self.base ** np.arange(self.order, dtype=np.int64)[::-1])

    def _grams(self, codes: np.ndarray, n: int) -> Iterator[tuple[int, ...]]:
        """The n-grams that are the last `n` digits of some numbers, oldest symbol first."""
        digits = [codes // self.base**place % self.base for place in reversed(range(n))]
        return zip(*(column.tolist() for column in digits), strict=True)
