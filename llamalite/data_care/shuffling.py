"""A stream in another order, as far as a buffer reaches, that goes on exactly where it stood.

The buffer of `datasets` is lost when a stream is resumed. Here documents are taken a buffer at a
time and come out of it in an order drawn from a seed and the buffer's number; so the place before
the buffer and how many have come out say all, and no text need be saved. Not in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_CHARACTERS = 50_000_000
"""Characters that a buffer holds at most, whatever the number of its documents."""


class Shuffled:
    """Rows of a stream of `datasets`, each buffer of `size` of them in an order of its own."""

    def __init__(self, stream: Any, size: int, seed: str) -> None:
        """`seed` draws the orders, which are others on each lap of the stream."""
        self.stream, self.size = stream, size
        self._seed = list(seed.encode())
        self._lap = self._number = self._taken = 0
        self._before: Any = None  # the stream's place before the buffer

    def set_epoch(self, lap: int) -> None:
        """A new lap, from the stream's beginning."""
        self.stream.set_epoch(lap)
        self._lap, self._number, self._taken, self._before = lap, 0, 0, None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rows = iter(self.stream)
        done = self._taken
        # a stream that was sent to a place tells it only once it is read
        before = self._before or self.stream.state_dict()
        while buffer := self._filled(rows):
            self._before = before
            rng = np.random.default_rng([self._lap, self._number, *self._seed])
            order = rng.permutation(len(buffer))
            before = self.stream.state_dict()
            for place in range(done, len(buffer)):
                self._taken = place + 1
                yield buffer[order[place]]
            done, self._number = 0, self._number + 1

    def _filled(self, rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
        buffer: list[dict[str, Any]] = []
        characters = 0
        while len(buffer) < self.size and characters < _CHARACTERS:
            if (row := next(rows, None)) is None:
                break
            buffer.append(row)
            characters += len(row["text"] or "")
        return buffer

    def state_dict(self) -> dict[str, Any]:
        """The place before the buffer, the buffer's number, and how many have come out of it."""
        before = self._before or self.stream.state_dict()
        return {"stream": before, "number": self._number, "taken": self._taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; the buffer is read again."""
        self.stream.load_state_dict(state["stream"])
        self._before, self._number, self._taken = state["stream"], state["number"], state["taken"]
