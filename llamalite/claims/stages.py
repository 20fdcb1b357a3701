"""Stages that only studies run: the chain's recipes on other inputs."""

from __future__ import annotations

from llamalite.stages import STAGES, Stage, reads

PPO = "ppo"
GHOST_ATTENTION = "ghost_attention_0"
"""Of version 0, which is the SFT model; the number is no part of the stage's kind."""
SAFETY = "safety_0"
SAFETY_DATA = "safety_data"
CONTAMINATED = "contaminated"
CLEANED = "cleaned"
STUDY_STAGES = (
    Stage(
        name=CLEANED,
        section="2.1",
        summary="pretrain on the micro-world's corpus, cleaned before",
        inputs=reads("world", "tokenizer"),
        recipe="llamalite.claims.cleaned",
    ),
    Stage(
        name=CONTAMINATED,
        section="A.6",
        summary="the base model's pretraining once more, with an exam's questions in the corpus",
        inputs=reads("world", "pretrain"),
        recipe="llamalite.claims.contaminated",
    ),
    Stage(
        name=PPO,
        section="3.2.3",
        summary="PPO from the SFT model against the first reward models, without the rounds",
        inputs=reads("world", policy="sft", reward="reward_1"),
        recipe="llamalite.ppo.recipe",
    ),
    Stage(
        name=GHOST_ATTENTION,
        section="3.3",
        summary="Ghost Attention on the SFT model, without the rounds",
        inputs=reads("world", policy="sft"),
        recipe="llamalite.ghost_attention.recipe",
    ),
    Stage(
        name=SAFETY_DATA,
        section="4.2.3",
        summary="fine-tune on all helpful demonstrations and part of the safety data",
        inputs=reads("world", "pretrain"),
        recipe="llamalite.claims.safety_data",
    ),
    Stage(
        name=SAFETY,
        section="4.2.4",
        summary="context distillation into the SFT model, gated by the first reward models",
        inputs=reads("world", policy="sft", reward="reward_1"),
        recipe="llamalite.safety.recipe",
    ),
)


def find_stage(name: str) -> Stage:
    """A stage of the chain or of the studies; ValueError that lists the names otherwise."""
    stages = (*STAGES, *STUDY_STAGES)
    for stage in stages:
        if stage.name == name:
            return stage
    raise ValueError(f"unknown stage {name!r}; choose among {', '.join(s.name for s in stages)}")
