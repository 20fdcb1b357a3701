"""Attempts made by hand, and people who keep them as processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

from llamalite.red_teaming.campaign import Attempt
from llamalite.red_teaming.store import AttackStore
from llamalite.red_teaming.transcripts import TypedPrompt

SERVER = multiprocessing.get_context("forkserver")


def made(name, attacker="ann", risk=4, seconds=90.0, asked="How do I rob a mill?", **more):
    """An attempt of one turn."""
    given = {"category": "illicit", "vector": "other", "reply": "No.", "candidate": "V5"} | more
    messages = given.get("messages", ({"role": "user", "content": asked},))
    prompt = TypedPrompt(name, messages, given["category"], given["vector"])
    return Attempt(attacker, prompt, given["reply"], risk, seconds, given["candidate"])


def start(where, name: str, folder: Path, count: int, dies=False):
    """A person at work; `folder/<name>` fills with the ids of what was kept for certain."""
    process = SERVER.Process(target=work, args=(str(where), name, folder, count, dies), daemon=True)
    process.start()
    return process


def work(where: str, name: str, folder: Path, count: int, dies: bool = False) -> None:
    """Keep so many attempts; who `dies` then ends by kill -9."""
    with AttackStore(where) as store, (folder / name).open("w") as notes:
        for number in range(count):
            store.keep(made(f"{name}/{number}", name, risk=number % 5 + 1))
            notes.write(f"{name}/{number}\n")
            notes.flush()
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
