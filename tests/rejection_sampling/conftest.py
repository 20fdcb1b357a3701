"""A base model and a policy, both tiny and random, as finished artifacts."""

import pytest
import torch
from rejection_run import Asked

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.text.tokenizer import Tokenizer

NAMES = ("Vegun", "Moru", "Tisel", "Kapo", "Linu", "Selka")


@pytest.fixture(scope="session")
def prompts():
    texts = [f"Where does {NAMES[i % 6]} live?" + " Tell me." * (i % 3) for i in range(10)]
    return [Asked(f"p{i}", ({"role": "user", "content": t},)) for i, t in enumerate(texts)]


@pytest.fixture(scope="session")
def tokenizer():
    texts = [f"Where does {name} live? {name} lives in a town." for name in NAMES]
    return Tokenizer.train([*texts, "Tell me.", "Moru and Kapo went by the river."] * 4, 300)


@pytest.fixture(scope="session")
def artifacts(tokenizer, tmp_path_factory):
    """`pretrain` and `policy`; some of the policy's replies happen to end within 40 tokens."""
    config = ModelConfig(
        vocab_size=300,
        dim=32,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        head_dim=8,
        ffn_dim=64,
        max_seq_len=128,
    )
    made = {}
    folder = tmp_path_factory.mktemp("run")
    for seed, name in enumerate(("pretrain", "policy")):
        torch.manual_seed(seed)
        model = Transformer(config)
        with drafting(folder / name, name, config, {}, seed) as draft:
            save_model(draft.path, model)
            tokenizer.save(draft.path / "tokenizer.model")
        made[name] = Artifact.open(folder / name)
    return made
