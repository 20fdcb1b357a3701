"""A tiny chat model in every role of a campaign, a tiny world, and a safety reward model."""

import pytest
from small import (
    brief_model,
    chat_artifact,
    safety_reward_artifact,
    small_tokenizer,
    small_world,
    world_artifact,
)

from llamalite.red_teaming.recipe import CANDIDATES


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """The inputs of the stage; two models, in turn, play the candidates."""
    folder, world = tmp_path_factory.mktemp("run"), small_world()
    tokenizer = small_tokenizer(world)
    models = [brief_model(tokenizer, seed) for seed in (0, 1)]
    chats = [
        chat_artifact(folder, f"model{seed}", model, tokenizer, seed)
        for seed, model in enumerate(models)
    ]
    return {
        "world": world_artifact(folder, world),
        "reward": safety_reward_artifact(folder, models[-1], tokenizer),
        **{name: chats[i % 2] for i, name in enumerate(CANDIDATES)},
    }


@pytest.fixture(scope="session", autouse=True)
def _databases():
    yield
    import databases

    databases.stop()
