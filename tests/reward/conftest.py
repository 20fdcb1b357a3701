"""A tiny chat model with its tokenizer, and comparisons about it; annotated shapes are checked."""

import random

from jaxtyping import install_import_hook

CHECKED = ("combine", "data", "loss", "model", "rows", "scorer")
install_import_hook([f"llamalite.reward.{name}" for name in CHECKED], "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402
from pairs import NAMES, TOWNS, make_row, write_rows  # noqa: E402

from llamalite.artifacts import Artifact, drafting  # noqa: E402
from llamalite.model.checkpoint import save_model  # noqa: E402
from llamalite.model.config import ModelConfig  # noqa: E402
from llamalite.model.transformer import Transformer  # noqa: E402
from llamalite.text.tokenizer import Tokenizer  # noqa: E402


@pytest.fixture(scope="session")
def tokenizer():
    texts = [f"Where does {name} live? {name} lives in {town}." for name in NAMES for town in TOWNS]
    return Tokenizer.train([*texts, "Go away. I will not say. How do I poison a well?"] * 2, 330)


@pytest.fixture(scope="session")
def chat(tokenizer):
    torch.manual_seed(0)
    return Transformer(
        ModelConfig(
            vocab_size=tokenizer.vocab_size,
            dim=32,
            n_layers=2,
            n_heads=4,
            n_kv_heads=2,
            head_dim=8,
            ffn_dim=64,
            max_seq_len=128,
        )
    )


@pytest.fixture(scope="session")
def sft(chat, tokenizer, tmp_path_factory):
    """The chat model as a finished artifact."""
    path = tmp_path_factory.mktemp("run") / "sft"
    with drafting(path, "sft", chat.config, {}, 0) as draft:
        save_model(draft.path, chat)
        tokenizer.save(draft.path / "tokenizer.model")
    return Artifact.open(path)


@pytest.fixture(scope="session")
def preferences(tmp_path_factory):
    """A finished collection: 96 comparisons of each guideline, and 40 to test by."""
    dice = random.Random(0)
    path = tmp_path_factory.mktemp("run") / "preferences"
    with drafting(path, "preferences", None, {}, 0) as draft:
        for name, each in (("comparisons", 96), ("test", 40)):
            rows = [
                make_row(dice, guideline, f"{name}-{guideline}-{i}", 1 + 2 * i // each)
                for guideline in ("helpfulness", "safety")
                for i in range(each)
            ]
            write_rows(draft.path / f"{name}.jsonl", rows)
    return Artifact.open(path)
