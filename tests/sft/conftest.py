"""A tiny base model with its tokenizer, as a finished pretraining artifact, and a few dialogues."""

import json
import random

import pytest
import torch

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.text.tokenizer import Tokenizer

NAMES = ("Vegun", "Moru", "Tisel", "Kapo", "Linu", "Selka")
TOWNS = ("Ladeville", "Runtown", "Polimore", "Tidewick")


def ask(name, town, polite):
    system = [{"role": "system", "content": "Be kind."}] if polite else []
    return [
        *system,
        {"role": "user", "content": f"Where does {name} live?"},
        {"role": "assistant", "content": f"{name} lives in {town}."},
    ]


@pytest.fixture(scope="session")
def dialogues():
    """48 dialogues of one or two questions, some with a system message."""
    dice = random.Random(0)
    made = []
    for i in range(48):
        first = ask(dice.choice(NAMES), dice.choice(TOWNS), polite=i % 3 == 0)
        more = ask(dice.choice(NAMES), dice.choice(TOWNS), polite=False) if i % 4 == 0 else []
        made.append(first + more)
    return made


@pytest.fixture(scope="session")
def demonstrations_file(dialogues, tmp_path_factory):
    path = tmp_path_factory.mktemp("demonstrations") / "sft.jsonl"
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in dialogues))
    return path


@pytest.fixture(scope="session")
def tokenizer(dialogues):
    texts = [message["content"] for each in dialogues for message in each]
    return Tokenizer.train(texts, 320)


@pytest.fixture(scope="session")
def base(tokenizer, tmp_path_factory):
    """A pretraining artifact: random weights, 32 wide, two layers."""
    path = tmp_path_factory.mktemp("run") / "pretrain"
    config = ModelConfig(
        vocab_size=320,
        dim=32,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        head_dim=8,
        ffn_dim=64,
        max_seq_len=128,
    )
    torch.manual_seed(0)
    with drafting(path, "pretrain", config, {}, 0) as draft:
        save_model(draft.path, Transformer(config))
        tokenizer.save(draft.path / "tokenizer.model")
    return Artifact.open(path)
