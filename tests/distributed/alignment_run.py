"""The stages after the rounds, of one process or of several, one of which may kill itself.

Small settings of each stage stand in its own tests.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import torch
from deadly import arm_recipe
from launched import join_run, run_together

from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.preferences.config import PreferencesConfig
from llamalite.training_config import ParallelConfig

SMALL = {"general_reward": "general", "ghost_attention": "ghost", "red_teaming": "red_team"}
for folder in (*SMALL, "safety"):
    sys.path.append(str(Path(__file__).resolve().parents[1] / folder))
general_run, ghost_run, red_team_run, safety_run = (
    importlib.import_module(f"{name}_run") for name in (*SMALL.values(), "safety")
)


def settings(stage: str, processes: int):
    """A stage's small settings, for so many processes."""
    shared = ParallelConfig(
        accelerator="cpu", compile="off", checkpoint_steps=2, data_parallel=processes
    )

    def tuned(config):
        return replace(config, tuning=replace(config.tuning, parallel=shared))

    if stage == "preferences":
        return PreferencesConfig(
            helpfulness=12, safety=9, prompts_at_once=4, max_new_tokens=24, annotators=3
        )
    if stage == "general_reward":
        config = general_run.CONFIG
        return replace(config, training=replace(config.training, parallel=shared))
    if stage == "ghost_attention":
        return tuned(ghost_run.CONFIG)
    if stage == "safety":
        return tuned(safety_run.CONFIG)
    return replace(red_team_run.CONFIG, feedback=tuned(red_team_run.CONFIG.feedback))


FOLDERS = {"red_team": "red_teaming"}


def start(world, inputs, out, stages, victim=None, kill_at="", at_call=0):
    """Run stages one after another in `world` processes; what each process ended with.

    `victim` kills itself at a station of the last stage (see `deadly.arm_recipe`); the others are
    then ended, as a launcher does.
    """

    def arguments(rank):
        return inputs, out, stages, *((kill_at, at_call) if rank == victim else ("", 0))

    codes = run_together(safety_run.SERVER, process, world, arguments)
    said = "".join(error.read_text() for error in out.glob("error-*.txt"))
    assert victim is not None or not said, said
    return codes


def process(rank, world, port, inputs, out, stages, kill_at, at_call):
    """What a launcher such as torchrun would do for one process, and the pipeline for a stage."""
    join_run(rank, world, port)
    torch.set_num_threads(1)
    try:
        for stage in stages:
            recipe = importlib.import_module(f"llamalite.{FOLDERS.get(stage, stage)}.recipe")
            if stage == stages[-1]:
                arm_recipe(recipe, kill_at, at_call)
            if stage == "red_team":
                real = recipe.open_ground
                recipe.open_ground = lambda *given, real=real: real(*given)._replace(
                    judge=red_team_run.harsh
                )
                recipe.REPLIES_AT_ONCE = 2  # of three attackers
            draft = Draft(out / stage, out / stage / "work")
            draft.work.mkdir(parents=True, exist_ok=True)
            given = {name: Artifact.open(folder) for name, folder in inputs[stage].items()}
            recipe.run(settings(stage, world), given, draft, 0)
            if rank == 0:
                write_json(out / stage / "metrics.json", draft.metrics)
    except BaseException:
        (out / f"error-{rank}.txt").write_text(traceback.format_exc())
        raise
