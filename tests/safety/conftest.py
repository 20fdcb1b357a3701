"""A tiny chat model with its tokenizer, a tiny world, and a safety reward model, as artifacts."""

import pytest
from small import (
    brief_model,
    chat_artifact,
    safety_reward_artifact,
    small_tokenizer,
    small_world,
    world_artifact,
)


@pytest.fixture(scope="session")
def world():
    return small_world()


@pytest.fixture(scope="session")
def tokenizer(world):
    return small_tokenizer(world)


@pytest.fixture(scope="session")
def model(tokenizer):
    """It ends its replies every so often."""
    return brief_model(tokenizer)


@pytest.fixture(scope="session")
def artifacts(world, model, tokenizer, tmp_path_factory):
    """The inputs of the stage: `world`, `policy` and `reward`."""
    folder = tmp_path_factory.mktemp("run")
    return {
        "world": world_artifact(folder, world),
        "policy": chat_artifact(folder, "policy", model, tokenizer),
        "reward": safety_reward_artifact(folder, model, tokenizer),
    }
