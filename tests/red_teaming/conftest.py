"""A tiny chat model in every role of a campaign, a tiny world, and a safety reward model."""

import pytest
import torch

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.red_teaming.recipe import CANDIDATES
from llamalite.reward.model import RewardModel, save_reward_model
from llamalite.text.tokenizer import Tokenizer
from llamalite.world import World, WorldConfig


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """The inputs of the stage; two models, in turn, play the candidates."""
    folder = tmp_path_factory.mktemp("run")
    world = World(WorldConfig(people=30, attributes=5, towns=6))
    texts = [world.document("conversations", i).text for i in range(60)]
    tokenizer = Tokenizer.train([line for text in texts for line in text.splitlines()], 400)
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
    with drafting(folder / "world", "world", world.config, {}, 0) as draft:
        world.save(draft.path / "world.json")
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = Transformer(config).eval()
        assert model.output is not None
        with torch.no_grad():
            model.output.weight[tokenizer.eos_id] *= 20
        with drafting(folder / f"model{seed}", "sft", config, {}, seed) as draft:
            save_model(draft.path, model)
            tokenizer.save(draft.path / "tokenizer.model")
    with drafting(folder / "reward", "reward", None, {}, 0) as draft:
        scorer = RewardModel.from_chat(model)
        torch.nn.init.normal_(scorer.head.weight, std=0.5)
        save_reward_model(draft.path / "safety", scorer, tokenizer, "safety")
    roles = {name: f"model{i % 2}" for i, name in enumerate(CANDIDATES)}
    roles |= {"world": "world", "reward": "reward"}
    return {role: Artifact.open(folder / name) for role, name in roles.items()}
