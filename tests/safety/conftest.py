"""A tiny chat model with its tokenizer, a tiny world, and a safety reward model, as artifacts."""

import pytest
import torch

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.reward.model import RewardModel, save_reward_model
from llamalite.text.tokenizer import Tokenizer
from llamalite.world import World, WorldConfig


@pytest.fixture(scope="session")
def world():
    return World(WorldConfig(people=30, attributes=5, towns=6))


@pytest.fixture(scope="session")
def tokenizer(world):
    texts = [world.document("conversations", i).text for i in range(60)]
    return Tokenizer.train([line for text in texts for line in text.splitlines()], 400)


@pytest.fixture(scope="session")
def model(tokenizer):
    """Random weights, 32 wide, two layers, grouped keys; it ends its replies every so often."""
    config = ModelConfig(
        vocab_size=400,
        dim=32,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        head_dim=8,
        ffn_dim=64,
        max_seq_len=256,
    )
    torch.manual_seed(0)
    made = Transformer(config).eval()
    assert made.output is not None
    with torch.no_grad():
        made.output.weight[tokenizer.eos_id] *= 20
    return made


@pytest.fixture(scope="session")
def artifacts(world, model, tokenizer, tmp_path_factory):
    """The inputs of the stage: `world`, `policy` and `reward`."""
    folder = tmp_path_factory.mktemp("run")
    with drafting(folder / "world", "world", world.config, {}, 0) as draft:
        world.save(draft.path / "world.json")
    with drafting(folder / "policy", "sft", model.config, {}, 0) as draft:
        save_model(draft.path, model)
        tokenizer.save(draft.path / "tokenizer.model")
    with drafting(folder / "reward", "reward", None, {}, 0) as draft:
        torch.manual_seed(1)
        scorer = RewardModel.from_chat(model)
        torch.nn.init.normal_(scorer.head.weight, std=0.5)
        save_reward_model(draft.path / "safety", scorer, tokenizer, "safety")
    return {name: Artifact.open(folder / name) for name in ("world", "policy", "reward")}
