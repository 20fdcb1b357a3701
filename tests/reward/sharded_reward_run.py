"""The stage in one process or in two that share weights and batches."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path

import torch
from launched import join_run
from pairs import CPU, settings

from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.reward.recipe import run


def process(rank: int, world: int, port: int, sft: Path, preferences: Path, out: Path) -> None:
    """What each process does, as torchrun would start it."""
    torch.set_num_threads(1)
    join_run(rank, world, port)
    config = settings(batch_size=16, accumulation=2, parallel=replace(CPU, data_parallel=world))
    inputs = {"chat": Artifact.open(sft), "preferences": Artifact.open(preferences)}
    draft = Draft(out, out / "work")
    try:
        run(config, inputs, draft, 0, progress=False)
    except BaseException:
        (out / f"error-{rank}.txt").write_text(traceback.format_exc())
        raise
    if rank == 0:
        write_json(out / "metrics.json", draft.metrics)
