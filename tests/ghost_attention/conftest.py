"""A tiny chat model with its tokenizer, a tiny world, and instructions of three kinds."""

import pytest
from small import chat_artifact, small_model, small_tokenizer, small_world, world_artifact

from llamalite.world.instructions import Instructions


@pytest.fixture(scope="session")
def world():
    return small_world()


@pytest.fixture(scope="session")
def instructions(world):
    return Instructions(world)


@pytest.fixture(scope="session")
def tokenizer(world):
    return small_tokenizer(world)


@pytest.fixture(scope="session")
def model():
    """Random weights, 32 wide, two layers, grouped keys."""
    return small_model(160)


@pytest.fixture(scope="session")
def artifacts(world, model, tokenizer, tmp_path_factory):
    """The inputs of the stage: `world` and `policy`."""
    folder = tmp_path_factory.mktemp("run")
    return {
        "world": world_artifact(folder, world),
        "policy": chat_artifact(folder, "policy", model, tokenizer),
    }
