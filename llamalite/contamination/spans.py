"""Spans of benchmark tokens that stand in the training data too, give or take a few tokens. A.6.

The paper finds them with suffix arrays over the corpus. Here the benchmark, which is small, is
indexed by hashes of its runs of ten tokens, and the corpus, which is large, streams past: memory is
that of the benchmark and of one slice of a document, whatever the size of the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HEAD = 10
"""A match begins with this many equal tokens: A.6 allows no mismatch in the first ten."""
BUDGET = 4
"""Mismatches a match may hold after its head, none of them at its end. A.6."""
SLICE = 1 << 18
"""Positions of a document at which matches are looked for at a time."""
_BASE = np.uint64(0x9E3779B97F4A7C15)


class BenchmarkIndex:
    """The samples of a benchmark, and for each of their tokens the longest match that begins there.

    Feed it the corpus with `see`, document by document; then ask `shares`. A hit in the hashes is
    always compared token by token, so a collision costs time and never makes a match. Where a match
    reaches its sample's end no better one can come, so that place is not looked for again: text
    that the corpus repeats a thousand times costs little more than once.

    Llama 2, appendix A.6. That a match keeps its alignment (tokens differ, none are put in or left
    out) and that its mismatched tokens count as contaminated are our readings.
    """

    def __init__(self, samples: Sequence[Sequence[int]], budget: int = BUDGET) -> None:
        """`samples`: token ids (from 0) of each verbalised sample, question and answer together.

        Raises ValueError when there is no sample, one is empty, or the budget is negative.
        """
        if not samples:
            raise ValueError("the benchmark has no samples")
        if budget < 0:
            raise ValueError(f"a budget of {budget} mismatches; it is 0 or more")
        lengths = np.array([len(sample) for sample in samples])
        if not lengths.all():
            raise ValueError(f"sample {int(np.argmin(lengths)) + 1} of the benchmark has no tokens")
        self.budget = budget
        self.starts_S = np.concatenate([[0], np.cumsum(lengths)])
        """Where each sample begins among all tokens, and where the last one ends."""
        self.tokens_N = np.concatenate([_array(sample) for sample in samples])
        self.ends_N = np.repeat(self.starts_S[1:], lengths)
        """For each token, where its sample ends."""
        self.longest_N = np.zeros(len(self.tokens_N), np.int64)
        """Tokens of the longest match that begins at each token; 0 where none does."""
        self.seen = 0
        """Tokens of the corpus seen."""
        self.compared = 0
        """Pairs of places compared token by token: the measure of work beyond one pass."""
        self._index()

    def _index(self) -> None:
        """Hashes, in order, of the heads that may still find a longer match."""
        places = np.arange(max(len(self.tokens_N) - HEAD + 1, 0))
        room = self.ends_N[places] - places
        open_ = (room >= HEAD) & (self.longest_N[places] < room)
        self._places = places[open_]
        keys = _hashes(self.tokens_N)[open_]
        order = np.argsort(keys, kind="stable")
        self._keys, self._places = keys[order], self._places[order]
        self._settled = 0

    def see(self, document: Sequence[int]) -> None:
        """Look for the benchmark's tokens in one document's; matches do not cross documents."""
        tokens = _array(document)
        self.seen += len(tokens)
        for first in range(0, len(tokens) - HEAD + 1, SLICE):
            keys = _hashes(tokens[first : first + SLICE + HEAD - 1])
            low = np.searchsorted(self._keys, keys, "left")
            counts = np.searchsorted(self._keys, keys, "right") - low
            if counts.any():
                self._compare(tokens, first, low, counts)

    def _compare(
        self,
        document: NDArray[np.int64],
        first: int,
        low: NDArray[np.int64],
        counts: NDArray[np.int64],
    ) -> None:
        """Compare each hit of a slice; heads often hit are compared in parts of bounded size."""
        hits = np.flatnonzero(counts)
        parts = np.cumsum(counts[hits]) // SLICE
        for part in np.unique(parts):
            of_part = hits[parts == part]
            number = counts[of_part]
            offsets = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
            here = self._places[np.repeat(low[of_part], number) + offsets]
            there = np.repeat(of_part, number) + first
            still = self.longest_N[here] < self.ends_N[here] - here
            here, there = here[still], there[still]
            self.compared += len(here)
            lengths = self._extend(here, document, there)
            np.maximum.at(self.longest_N, here, lengths)
            self._settled += len(np.unique(here[lengths == self.ends_N[here] - here]))
        if self._settled * 10 > len(self._places):  # rarely enough to cost little
            self._index()

    def _extend(
        self, here: NDArray[np.int64], document: NDArray[np.int64], there: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Length of the match that begins at each pair of places; 0 where the heads differ."""
        length = np.zeros(len(here), np.int64)
        misses = np.zeros(len(here), np.int64)
        alive = np.arange(len(here))
        step = 0
        while len(alive):
            inside = (here[alive] + step < self.ends_N[here[alive]]) & (
                there[alive] + step < len(document)
            )
            alive = alive[inside]
            equal = self.tokens_N[here[alive] + step] == document[there[alive] + step]
            step += 1
            length[alive[equal]] = step
            misses[alive[~equal]] += 1
            alive = alive[misses[alive] <= (self.budget if step > HEAD else 0)]
        length[length < HEAD] = 0
        return length

    def shares(self, length: int) -> NDArray[np.float64]:
        """Share of each sample's tokens that matches of at least `length` tokens cover, 0 to 1.

        The paper counts n-grams "longer than 10 tokens", so a length of 10 asks for 11.
        Raises ValueError for a length below 10.
        """
        if length < HEAD:
            raise ValueError(f"matches of {length} tokens; the shortest to ask for is {HEAD}")
        wanted = self.longest_N >= max(length, HEAD + 1)
        places = np.flatnonzero(wanted)
        change = np.zeros(len(self.tokens_N) + 1, np.int64)
        np.add.at(change, places, 1)
        np.add.at(change, places + self.longest_N[places], -1)
        covered = np.cumsum(change[:-1]) > 0
        return np.add.reduceat(covered, self.starts_S[:-1]) / np.diff(self.starts_S)


def _array(tokens: Sequence[int]) -> NDArray[np.int64]:
    return np.asarray(tokens, dtype=np.int64)


def _hashes(tokens: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A polynomial hash, modulo 2^64, of each run of ten tokens."""
    count = max(len(tokens) - HEAD + 1, 0)
    keys = np.zeros(count, np.uint64)
    # tokens are small numbers; spread over all bits first, or runs would collide by carries
    spread = (tokens.astype(np.uint64) + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)
    spread ^= spread >> np.uint64(32)
    for offset in range(HEAD):
        keys = keys * _BASE + spread[offset : offset + count]
    return keys
