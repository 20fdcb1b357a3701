"""Two rounds of the loop on tiny models, as the command line runs them; the process may die."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import torch
from deadly import arm, arm_recipe
from small import PIECES, brief_model, small_tokenizer, small_world

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import save_model
from llamalite.pipeline import Events, run_stages
from llamalite.preferences import collection
from llamalite.preferences.config import PreferencesConfig
from llamalite.presets import get_preset
from llamalite.rejection_sampling import recipe as sampling
from llamalite.rejection_sampling.config import RejectionSamplingConfig
from llamalite.reward.config import RewardConfig
from llamalite.reward.data import PairPlan
from llamalite.sft.config import SFTConfig
from llamalite.stages import chain
from llamalite.training_config import OptimizerConfig, ParallelConfig

UNTIL = "rejection_sampling_2"
CPU = ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=2)
OPTIMIZER = OptimizerConfig(lr=1e-3, warmup_fraction=0.03)
_CI = get_preset("ci")
PRESET = replace(
    _CI,
    name="tiny",
    world=small_world().config,
    tokenizer=replace(_CI.tokenizer, vocab_size=PIECES),
    preferences=PreferencesConfig(
        helpfulness=24, safety=16, prompts_at_once=8, max_new_tokens=12, annotators=3
    ),
    reward=RewardConfig(batch_size=8, optimizer=OPTIMIZER, parallel=CPU),
    rejection_sampling=RejectionSamplingConfig(
        prompts=12,
        prompts_at_once=4,
        candidates=4,
        max_new_tokens=24,
        refit=SFTConfig(batch_size=1, held_out=2, epochs=2, optimizer=OPTIMIZER, parallel=CPU),
    ),
)


def stand_before(folder: Path) -> None:
    """Finished artifacts, of random weights, for all stages before the loop."""
    world = small_world()
    tokenizer = small_tokenizer(world)

    def chat(seed):
        def fill(path):
            save_model(path, brief_model(tokenizer, seed))
            tokenizer.save(path / "tokenizer.model")

        return fill

    fill = {
        "world": lambda path: world.save(path / "world.json"),
        "tokenizer": lambda path: tokenizer.save(path / "tokenizer.model"),
        "pretrain": chat(0),
        "sft": chat(1),
        "evaluate": lambda path: None,
    }
    done: dict[str, Artifact] = {}
    for stage in chain(PRESET, "evaluate"):
        inputs = {role: done[name] for role, name in stage.inputs.items()}
        path, config = folder / stage.name, stage.config(PRESET)
        with drafting(path, stage.name, config, inputs, 0, files=stage.files) as draft:
            fill[stage.name](draft.path)
        done[stage.name] = Artifact.open(path)


class Fate(Events):
    """Notes every stage that begins; kills its process after one, or at a call within one."""

    def __init__(self, notes: Path, after: str, within: str, at_call: int) -> None:
        self.notes, self.after, self.within, self.at_call = notes, after, within, at_call

    def started(self, stage):
        with self.notes.open("a") as stream:
            stream.write(f"{stage.name}\n")
        if stage.name == self.within and stage.kind == "preferences":
            arm(collection, "draw_pairs", self.at_call)
        elif stage.name == self.within and stage.kind == "reward":
            arm(PairPlan, "batch", self.at_call)
        elif stage.name == self.within:
            arm_recipe(sampling, "tuning", self.at_call)

    def finished(self, stage, artifact):
        if stage.name == self.after:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, notes: Path, after: str = "", within: str = "", at_call: int = 0) -> None:
    torch.set_num_threads(1)
    run_stages(PRESET, 0, folder=folder, until=UNTIL, events=Fate(notes, after, within, at_call))
