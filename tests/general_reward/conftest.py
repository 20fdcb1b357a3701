"""A small world, a base model and a chat model of random weights, as finished artifacts."""

import pytest
from small import brief_model, chat_artifact, small_tokenizer, small_world, world_artifact


@pytest.fixture(scope="session")
def world():
    return small_world()


@pytest.fixture(scope="session")
def inputs(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    tokenizer = small_tokenizer(world)
    return {
        "world": world_artifact(folder, world),
        "pretrain": chat_artifact(folder, "pretrain", brief_model(tokenizer, 1), tokenizer),
        "chat": chat_artifact(folder, "sft", brief_model(tokenizer, 2), tokenizer),
    }
