"""Progress as people see it: a bar in a terminal, and elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from llamalite.progress import Parts, heard_by, share_done

LINE_EVERY = 60.0
"""Seconds between two lines where the output is no terminal."""
_SPEED_OVER = 600.0
"""Seconds over which the bar looks back to say how long is left: a piece may take minutes."""


class ProgressShown:
    """`show` what is at work, as often as it changes; empty parts end it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.task = TaskID(0)
        self.began: float | None = None
        self.share_at_start: float | None = None
        self.last_line: float | None = None

    def show(self, name: str, parts: Parts) -> None:
        """`name` is that of the stage; `parts` as `llamalite.progress` tells them."""
        if self.console.is_terminal:  # in a notebook a bar would break cells that capture output
            self._move_bar(parts)
        else:
            self._print_line(name, parts)

    def _move_bar(self, parts: Parts) -> None:
        if not parts:
            if self.bar is not None:
                self.bar.stop()
                self.bar = None
            return
        if self.bar is None:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
                speed_estimate_period=_SPEED_OVER,
            )
            self.task = self.bar.add_task("", total=None)
            self.bar.start()
        done = share_done(parts)
        self.bar.update(
            self.task,
            description=_words(parts),
            total=None if done is None else 1.0,
            completed=done or 0.0,
        )

    def _print_line(self, name: str, parts: Parts) -> None:
        now = time.monotonic()
        if not parts:
            self.began = None
            return
        if self.began is None:
            self.began, self.share_at_start = now, share_done(parts)
        if self.last_line is None:
            self.last_line = now
        if now - self.last_line < LINE_EVERY:
            return
        self.last_line = now
        self.console.print(
            f"{name}: {_words(parts)}, {self._pace(share_done(parts), now - self.began)}",
            markup=False,
            soft_wrap=True,
        )

    def _pace(self, done: float | None, gone: float) -> str:
        """How much is done after `gone` seconds, and about how long the rest will take."""
        if done is None:
            return f"after {clock(gone)}"
        made = done - (self.share_at_start or 0.0)
        left = f", about {clock(gone * (1 - done) / made)} left" if made > 0 else ""
        return f"{done:.0%} after {clock(gone)}{left}"


@contextmanager
def progress_shown(name: str, console: Console | None = None) -> Iterator[None]:
    """Show all work done inside, which bears `name` in a log file; on the standard output."""
    display = ProgressShown(console or Console(highlight=False))
    with heard_by(partial(display.show, name)):
        yield


def clock(seconds: float) -> str:
    """Seconds as people read them: 42.0 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _words(parts: Parts) -> str:
    return ", ".join(part.text for part in parts)
