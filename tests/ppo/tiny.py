"""A policy of two layers that has learned nothing, questions for it, and rewards made by hand."""

from dataclasses import dataclass, replace

import torch

from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.ppo.config import PPOConfig
from llamalite.scoring import alone
from llamalite.text.tokenizer import Tokenizer
from llamalite.training_config import OptimizerConfig, ParallelConfig

NAMES = ("Vegun", "Moru", "Tisel", "Kapo", "Linu", "Selka")
CPU = ParallelConfig(accelerator="cpu", compile="off")


@dataclass(frozen=True)
class Asked:
    """A prompt by the protocol."""

    id: str
    messages: tuple
    kind: str = "facts"
    is_safety: bool = False
    risk: str | None = None
    vector: str | None = None


def make_prompts(count, prefix="p"):
    made = []
    for i in range(count):
        text = f"Where does {NAMES[i % len(NAMES)]} live?" + " Tell me." * (i % 3)
        made.append(Asked(f"{prefix}{i}", ({"role": "user", "content": text},), "x", i % 4 == 0))
    return made


def make_tokenizer():
    texts = [f"Where does {name} live? {name} lives in a town." for name in NAMES]
    return Tokenizer.train([*texts, "Tell me.", "Moru and Kapo went by the river."] * 4, 300)


def make_policy(tokenizer, seed=0):
    torch.manual_seed(seed)
    return Transformer(
        ModelConfig(
            vocab_size=tokenizer.vocab_size,
            dim=32,
            n_layers=2,
            n_heads=4,
            n_kv_heads=2,
            head_dim=8,
            ffn_dim=64,
            max_seq_len=64,
        )
    )


def letters(dialogues, replies):
    """How many of a reply's characters are e's or i's, in halves."""
    return torch.tensor([0.5 * sum(c in "ei" for c in reply) for reply in replies])


LETTERS = alone(letters)


def settings(**changes):
    """20 gradient steps of 16 replies."""
    config = PPOConfig(
        prompts=40,
        max_new_tokens=12,
        iterations=10,
        batch_size=32,
        mini_batch_size=16,
        beta=0.02,
        missing_eos_penalty=0.0,
        evaluate_every=0,
        optimizer=OptimizerConfig(lr=3e-3, schedule="constant", weight_decay=0.0),
        parallel=CPU,
    )
    return replace(config, **changes)
