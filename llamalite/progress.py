"""How far a long piece of work has come, told to whoever listens; to nobody otherwise.

Whoever does the work says so where it loops (`pieces`) or counts (`tell`), whatever it is part of.
Whoever shows it listens for as long as the work takes (`heard_by`): a run in a terminal does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")


class Part(NamedTuple):
    """A piece of work that consists of `total` like pieces, `done` of which are done.

    None as `total`: nobody knows, as of a stream's documents.
    """

    text: str
    """In words, as in "reply 12 of 80"."""
    done: int
    total: int | None


Parts = tuple[Part, ...]
"""What is at work, each inside a piece of the one before; empty when nothing is."""


class _Watch:
    def __init__(self, hear: Callable[[Parts], None]) -> None:
        self.hear = hear
        self.open: Parts = ()


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def heard_by(hear: Callable[[Parts], None] | None) -> Iterator[None]:
    """Have `hear` told of all work done inside, in this thread; None: nobody is.

    It hears of no parts (an empty tuple) whenever nothing is at work, and when this ends.
    """
    token = _watch.set(_Watch(hear) if hear else None)
    try:
        yield
    finally:
        _watch.reset(token)
        if hear:
            hear(())


def share_done(parts: Parts) -> float | None:
    """How much of the outermost of nested parts is done, from 0 to 1; None where nobody knows."""
    inner = 0.0
    for part in reversed(parts):
        inner = 0.0 if part.total is None else (part.done + inner) / max(1, part.total)
    return min(1.0, inner) if parts and parts[0].total is not None else None


@contextmanager
def within(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Work in `total` pieces, or nobody knows how many; yields `at(done, note)`, to say how far.

    `what` names one piece ("step"); work told of inside is part of the piece at work.
    """
    watch = _watch.get()
    if watch is None:
        yield lambda done, note="": None
        return
    around = watch.open

    def at(done: int, note: str = "") -> None:
        at_work = f"{done + 1:,}" if total is None else f"{min(done + 1, total):,} of {total:,}"
        text = f"{what} {at_work}" + f", {note}" * bool(note)
        watch.open = (*around, Part(text, done, total))
        watch.hear(watch.open)

    try:
        yield at
    finally:
        watch.open = around
        if not around:
            watch.hear(())


def pieces(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Go through items one by one, each a piece of work. `what` names one.

    `total` is how many there are, where they do not know it themselves.
    """
    with within(what, len(items) if isinstance(items, Sized) else total) as at:
        for number, item in enumerate(items):
            at(number)
            yield item


def tell(what: str, done: int, total: int) -> None:
    """`done` of `total` things of a kind are done, which `what` names in the plural."""
    watch = _watch.get()
    if watch is not None:
        ended = done >= total and not watch.open
        watch.hear(
            () if ended else (*watch.open, Part(f"{done:,} of {total:,} {what}", done, total))
        )
