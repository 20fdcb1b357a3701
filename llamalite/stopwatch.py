"""The time a stage has taken over all its attempts, those included that were killed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llamalite.disk import write_json

NOTED_EVERY = 5.0
"""Seconds between two notes; what a kill can make it forget."""


@contextmanager
def spending(file: Path) -> Iterator[Callable[[], tuple[float, float]]]:
    """Count seconds and CPU seconds on from what earlier attempts noted in `file`.

    They are noted every few seconds, so that those of a killed attempt count too.
    """
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        before = float(noted["seconds"]), float(noted["cpu_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        before = 0.0, 0.0
    began = time.monotonic(), time.process_time()
    ended = threading.Event()

    def spent() -> tuple[float, float]:
        return (
            before[0] + time.monotonic() - began[0],
            before[1] + time.process_time() - began[1],
        )

    def note() -> None:
        seconds, cpu_seconds = spent()
        with suppress(OSError):  # a full disk is heard of from who writes what matters
            write_json(file, {"seconds": seconds, "cpu_seconds": cpu_seconds})

    def notes() -> None:
        while not ended.wait(NOTED_EVERY):
            note()

    clerk = threading.Thread(target=notes, name="time spent", daemon=True)
    clerk.start()
    try:
        yield spent
    finally:
        ended.set()
        clerk.join()
        note()
