"""A small batch of preferences as a stage runs it, which may kill itself at one of its stations."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from deadly import arm, arm_recipe, run_apart

from llamalite.artifacts import Artifact, drafting
from llamalite.preferences import collection, recipe
from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.store import PreferenceStore

CONFIG = PreferencesConfig(
    helpfulness=24,
    safety=18,
    prompts_at_once=10,
    max_new_tokens=12,
    annotators=3,
    test_share=0.25,
    compile="on",  # where there is a compiler, bytes are to be the same in every process
)
SERVER = multiprocessing.get_context("forkserver")


def run_batch(artifacts, path, config=CONFIG, seed=0, **more):
    with drafting(path, "preferences", config, artifacts, seed) as draft:
        recipe.run(config, artifacts, draft, seed, **more)
    return Artifact.open(path)


def start(folders: dict[str, Path], path: Path, kill_at: str, at_call: int) -> int:
    """Run it in a process of its own; the exit code."""
    return run_apart(SERVER, main, folders, path, kill_at, at_call)


def main(folders: dict[str, Path], path: Path, kill_at: str, at_call: int) -> None:
    torch.set_num_threads(1)
    if kill_at in ("submit", "next_item"):
        arm(PreferenceStore, kill_at, at_call)
    else:
        arm_recipe(collection if kill_at == "draw_pairs" else recipe, kill_at, at_call)
    run_batch({name: Artifact.open(folder) for name, folder in folders.items()}, path)
