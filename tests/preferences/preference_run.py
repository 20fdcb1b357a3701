"""A small batch of preferences as a stage runs it, which may kill itself at one of its stations."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import torch

from llamalite.artifacts import Artifact, drafting
from llamalite.preferences import collection, recipe
from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.store import PreferenceStore

CONFIG = PreferencesConfig(
    helpfulness=24, safety=18, prompts_at_once=10, max_new_tokens=12, annotators=3, test_share=0.25
)
SERVER = multiprocessing.get_context("forkserver")


def run_batch(artifacts, path, config=CONFIG, seed=0, **more):
    with drafting(path, "preferences", config, artifacts, seed) as draft:
        recipe.run(config, artifacts, draft, seed, **more)
    return Artifact.open(path)


def start(folders: dict[str, Path], path: Path, kill_at: str, at_call: int) -> int:
    """Run it in a process of its own; the exit code."""
    arguments = (folders, path, kill_at, at_call)
    process = SERVER.Process(target=main, args=arguments, daemon=True)
    process.start()
    process.join(300)
    return process.exitcode  # type: ignore[return-value]


def main(folders: dict[str, Path], path: Path, kill_at: str, at_call: int) -> None:
    torch.set_num_threads(1)
    calls = 0

    def deadly(whole):
        def function(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == at_call:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(*arguments, **named)

        return function

    if kill_at in ("submit", "next_item"):
        setattr(PreferenceStore, kill_at, deadly(getattr(PreferenceStore, kill_at)))
    elif kill_at == "draw_pairs":
        collection.draw_pairs = deadly(collection.draw_pairs)
    elif kill_at:
        setattr(recipe, kill_at, deadly(getattr(recipe, kill_at)))
    run_batch({name: Artifact.open(folder) for name, folder in folders.items()}, path)
