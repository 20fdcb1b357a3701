"""A world, a tokenizer and a chat model as small as the stages after fine-tuning take them."""

import torch

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.reward.model import RewardModel, save_reward_model
from llamalite.text.tokenizer import Tokenizer
from llamalite.world import World, WorldConfig

PIECES = 400


def small_world():
    return World(WorldConfig(people=30, attributes=5, towns=6))


def small_tokenizer(world):
    texts = [world.document("conversations", i).text for i in range(60)]
    return Tokenizer.train([line for text in texts for line in text.splitlines()], PIECES)


def small_model(max_seq_len, seed=0):
    """Random weights, 32 wide, two layers, grouped keys."""
    config = ModelConfig(
        vocab_size=PIECES,
        dim=32,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        head_dim=8,
        ffn_dim=64,
        max_seq_len=max_seq_len,
    )
    torch.manual_seed(seed)
    return Transformer(config).eval()


def brief_model(tokenizer, seed=0):
    """The same with a context of 256, which ends its replies every so often."""
    made = small_model(256, seed)
    assert made.output is not None
    with torch.no_grad():
        made.output.weight[tokenizer.eos_id] *= 20
    return made


def world_artifact(folder, world):
    with drafting(folder / "world", "world", world.config, {}, 0) as draft:
        world.save(draft.path / "world.json")
    return Artifact.open(folder / "world")


def chat_artifact(folder, name, model, tokenizer, seed=0):
    with drafting(folder / name, "sft", model.config, {}, seed) as draft:
        save_model(draft.path, model)
        tokenizer.save(draft.path / "tokenizer.model")
    return Artifact.open(folder / name)


def safety_reward_artifact(folder, model, tokenizer):
    """A safety reward model from a chat model, with a head that tells replies apart."""
    with drafting(folder / "reward", "reward", None, {}, 0) as draft:
        torch.manual_seed(1)
        scorer = RewardModel.from_chat(model)
        torch.nn.init.normal_(scorer.head.weight, std=0.5)
        save_reward_model(draft.path / "safety", scorer, tokenizer, "safety")
    return Artifact.open(folder / "reward")
