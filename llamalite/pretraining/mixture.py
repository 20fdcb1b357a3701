"""Which document comes next: a weighted mixture of sources. Llama 2, section 2.1.

The paper up-samples "the most factual sources" and prints neither the mixture nor how it is drawn.
Here the next document comes from the source that is furthest behind its share of the tokens, so the
shares hold at any moment to within a document, however long each source's documents are. The state
is a seed and a counter per source: cheap to save, exact to resume, the same on every process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from llamalite.evaluation.config import HELD_OUT_FROM


class Epochs(NamedTuple):
    """What a run has taken from one source."""

    source: str
    share: float
    """Share of the tokens asked for."""
    tokens: int
    """Tokens taken."""
    documents: int
    """Documents taken, repeats included."""
    epochs: float | None
    """How often each of its documents was read on average; None for an endless source."""


class Mixture:
    """Draws documents from sources in proportion to their weights, forever.

    `weights` need not sum to one and sources of weight 0 are never drawn; `sizes` gives the number
    of documents of each source, None for an endless one. A finite source is read in a new order
    each time round. Raises ValueError for an unknown or empty source and for no weight at all.
    """

    def __init__(
        self, weights: Mapping[str, float], sizes: Mapping[str, int | None], seed: int
    ) -> None:
        for source in weights:
            if source not in sizes:
                raise ValueError(
                    f"mixture names the source {source!r}, which is not there; "
                    f"choose among {', '.join(sizes) or 'none'}"
                )
            if sizes[source] == 0 and weights[source] > 0:
                raise ValueError(f"the corpus of source {source!r} is empty; add text or drop it")
        total = sum(weights.values())
        if not total > 0 or min(weights.values()) < 0:
            raise ValueError(
                f"mixture weights of {', '.join(weights) or 'no source'} give nothing to read; "
                "make them at least 0 and one of them positive"
            )
        self.shares = {source: weight / total for source, weight in weights.items() if weight > 0}
        self.sizes = {source: sizes[source] for source in self.shares}
        self.seed = seed
        self.tokens = dict.fromkeys(self.shares, 0)
        self.documents = dict.fromkeys(self.shares, 0)
        self._keys = {source: _number(seed, source) for source in self.shares}

    def draw(self) -> tuple[str, int]:
        """Source and index of the next document; report its length with `count` before the next."""
        total = sum(self.tokens.values())
        source = max(self.shares, key=lambda s: self.shares[s] * (total + 1) - self.tokens[s])
        number = self.documents[source]
        self.documents[source] += 1
        size = self.sizes[source]
        if size is None:
            # each seed reads its own stretch, below the held-out text's
            return source, self._keys[source] % (HELD_OUT_FROM // 2) + number
        return source, shuffled(number % size, size, self._keys[source] + number // size)

    def count(self, source: str, tokens: int) -> None:
        """Say how many tokens the document just drawn had."""
        self.tokens[source] += tokens

    def state_dict(self) -> dict[str, Any]:
        return {"tokens": dict(self.tokens), "documents": dict(self.documents)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo `state_dict`; raises ValueError when it belongs to another mixture."""
        if set(state["tokens"]) != set(self.shares):
            raise ValueError(
                f"the saved mixture is of {sorted(state['tokens'])}, this one of "
                f"{sorted(self.shares)}; start the run afresh"
            )
        self.tokens.update(state["tokens"])
        self.documents.update(state["documents"])

    def epochs(self) -> list[Epochs]:
        """What has been taken from each source so far."""
        rows = []
        for source, share in self.shares.items():
            size, documents = self.sizes[source], self.documents[source]
            repeats = documents / size if size else None
            rows.append(Epochs(source, share, self.tokens[source], documents, repeats))
        return rows


def shuffled(index: int, size: int, key: int) -> int:
    """Where a random permutation of range(size), chosen by `key`, puts `index`.

    An eight-round Feistel network over the next even power of two, walked until it lands inside: no
    table is kept, so a source may have billions of documents.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    keys = [_mix(key * 8 + i) for i in range(8)]
    while True:
        left, right = index >> half, index & mask
        for round_key in keys:
            left, right = right, left ^ (_mix(right ^ round_key) & mask)
        index = left << half | right
        if index < size:
            return index


def _mix(x: int) -> int:
    """Scatter 64 bits (the finaliser of SplitMix64)."""
    x = (x + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)


def _number(seed: int, source: str) -> int:
    """A number for this seed and source, the same on every machine and run."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{source}".encode()).digest()[:8], "big")
