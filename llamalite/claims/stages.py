"""Stages that only studies run: the chain's recipes on other inputs."""

from __future__ import annotations

from llamalite.stages import STAGES, Stage, reads

PPO = "ppo"
STUDY_STAGES = (
    Stage(
        name=PPO,
        section="3.2.3",
        summary="PPO from the SFT model against the first reward models, without the rounds",
        inputs=reads("world", policy="sft", reward="reward_1"),
        recipe="llamalite.ppo.recipe",
    ),
)


def find_stage(name: str) -> Stage:
    """A stage of the chain or of the studies; ValueError that lists the names otherwise."""
    stages = (*STAGES, *STUDY_STAGES)
    for stage in stages:
        if stage.name == name:
            return stage
    raise ValueError(f"unknown stage {name!r}; choose among {', '.join(s.name for s in stages)}")
