"""How long a person works on an attempt, for a gamma from real time. Llama 2, section 4.3."""

from __future__ import annotations

import time
from collections.abc import Callable

AWAY = 60.0
"""Seconds without a sign of life after which a person counts as away. Not in the paper, which does
not say how its hours were taken: nobody at the page is nobody at work."""


class WorkClock:
    """Seconds of work on one attempt, from the signs of life that a page gives."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, away: float = AWAY) -> None:
        """`clock` gives seconds that never run backwards; `away`: see `AWAY`."""
        self._clock, self._away = clock, away
        self.spent = 0.0
        """Seconds of work so far."""
        self._since = clock()

    def begin(self, spent: float = 0.0) -> None:
        """A new attempt, or an old one taken up again on which so many seconds were spent."""
        self.spent, self._since = spent, self._clock()

    def touch(self) -> float:
        """A sign of life: the time since the last one was work, the most of it `away` seconds."""
        return self._count(self._away)

    def waited(self) -> float:
        """The model has answered: all of the time since the last sign was spent on the attempt."""
        return self._count(float("inf"))

    def _count(self, most: float) -> float:
        now = self._clock()
        self.spent += min(now - self._since, most)
        self._since = now
        return self.spent
