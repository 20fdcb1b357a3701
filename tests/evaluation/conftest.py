"""A model that has learned a dozen sentences by heart, and a little world to examine it in."""

from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch

from llamalite.model.config import ModelConfig
from llamalite.model.loss import next_token_loss
from llamalite.model.transformer import Transformer
from llamalite.text.tokenizer import Tokenizer

TOWNS = {"Vegun": "Ladeville", "Marit": "Osk", "Tolla": "Brim", "Dorn": "Ladeville", "Ib": "Osk"}
KNOWN = [f"{name} lives in {town}." for name, town in TOWNS.items()]
DIALOGUES = [
    "User: Where does Vegun live?\nAssistant: Vegun lives in Ladeville.\nUser: Thanks.",
    "User: Where does Marit live?\nAssistant: Marit lives in Osk.\nUser: Thanks.",
]
UNSEEN = ["Zebras quarrel wildly.", "My phone is 9071."]


class Question(NamedTuple):
    id: str
    exam: str
    prompt: str
    answer: str
    choices: tuple[str, ...]
    rumour: str | None = None


class Memory(NamedTuple):
    model: Transformer
    tokenizer: Tokenizer


def question(name: str, answer: str, rumour: str | None = None) -> Question:
    return Question(name, "facts", f"{name} lives in", answer, ("Brim", "Ladeville", "Osk"), rumour)


@pytest.fixture(scope="session")
def memory() -> Memory:
    """Trained until it recites `KNOWN` and `DIALOGUES`; the tests check that it does."""
    texts = KNOWN + DIALOGUES
    tokenizer = Tokenizer.train(texts * 3, vocab_size=330)
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=330,
        dim=48,
        n_layers=2,
        n_heads=2,
        n_kv_heads=1,
        head_dim=24,
        ffn_dim=96,
        max_seq_len=96,
    )
    model = Transformer(config)
    rows = [tokenizer.encode(text, bos=True, eos=True) for text in texts]
    width = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[t < len(row) - 1 for t in range(width - 1)] for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        next_token_loss(model(tokens[:, :-1]), tokens[:, 1:], mask).backward()
        optimizer.step()
    return Memory(model.eval(), tokenizer)


@pytest.fixture
def little_world() -> SimpleNamespace:
    """Two exams and two sources: what the model knows, and what it does not."""
    exams = {
        "facts": [question(name, town) for name, town in TOWNS.items()],
        # Vegun's truth is known; of Marit the "truth" here is wrong and the rumour is what was read
        "rumours": [
            question("Vegun", "Ladeville", rumour="Osk"),
            question("Marit", "Brim", rumour="Osk"),
            question("Tolla", "Ladeville", rumour="Osk"),
        ],
    }
    documents = {"known": KNOWN, "unseen": UNSEEN}
    return SimpleNamespace(
        sources=("known", "unseen"),
        exams=tuple(exams),
        exam=lambda name, split="test": exams[name],
        document=lambda source, index: SimpleNamespace(
            text=documents[source][index % len(documents[source])], source=source
        ),
    )
