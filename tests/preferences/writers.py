"""Annotators as processes of their own; they note every judgement that the store has taken."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from pathlib import Path

from makers import answer

from llamalite.preferences.store import PreferenceStore

SERVER = multiprocessing.get_context("forkserver")


def start(where, name: str, folder: Path, lease: float = 60.0, most=None, dies=False):
    """An annotator at work; `folder/<name>` fills with the ids of what was submitted."""
    process = SERVER.Process(
        target=work, args=(str(where), name, folder, lease, most, dies), daemon=True
    )
    process.start()
    return process


def work(
    where: str,
    name: str,
    folder: Path,
    lease: float = 60.0,
    most: int | None = None,
    dies: bool = False,
) -> None:
    """Judge all, or `most` and hold one more; who `dies` then ends by kill -9."""
    dice, done = random.Random(name), 0
    with PreferenceStore(where, lease_seconds=lease) as store, (folder / name).open("w") as notes:
        while (item := store.next_item(name)) is not None and done != most:
            store.submit(answer(item, dice.choice("ab"), annotator=name))
            done += 1
            notes.write(f"{item.id}\n")
            notes.flush()
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)


def noted(folder: Path, name: str) -> list[str]:
    """What an annotator's store had taken for certain."""
    return [line for line in (folder / name).read_text().split("\n")[:-1] if line]
