"""A chat model whose next-token head became a scalar one. Llama 2, section 3.2.2."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from llamalite.disk import write_json
from llamalite.model.checkpoint import (
    CONFIG,
    WEIGHTS,
    config_from,
    read_json,
    read_safetensors,
    write_safetensors,
)
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.shapes import Float, Int, Tensor
from llamalite.text.tokenizer import Tokenizer

FORMAT = "llamalite-reward"


class RewardModel(nn.Module):
    """A decoder's body with a scalar head, read at the last token of prompt and reply.

    Its weights carry the names of PPO's value model, which begins as a copy of it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        # tied embeddings: a body without an output projection
        self.config = replace(config, tie_embeddings=True)
        self.body = Transformer(self.config)
        self.head = nn.Linear(config.dim, 1)

    @classmethod
    def from_chat(cls, chat: Transformer, seed: int = 0) -> RewardModel:
        """A reward model that knows what the chat model knows (section 3.2.2).

        The body's weights are copied; the head is drawn from a normal distribution of variance
        1 / (D + 1), with a bias of 0: not in the paper, follows Stiennon et al. (2020).
        """
        model = cls(chat.config)
        body = {name: w for name, w in chat.state_dict().items() if not name.startswith("output.")}
        model.body.load_state_dict(body)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            deviation = 1 / math.sqrt(chat.config.dim + 1)
            drawn = torch.randn(model.head.weight.shape, generator=generator) * deviation
            model.head.weight.copy_(drawn)
            model.head.bias.zero_()
        return model

    def forward(
        self,
        tokens: Int[Tensor, "rows T"],
        positions: Int[Tensor, "rows T"],
        document_ids: Int[Tensor, "rows T"],
        last_B: Int[Tensor, " B"],
    ) -> Float[Tensor, " B"]:
        """Scores, unbounded logits, of B replies packed into rows, see `llamalite.reward.rows`.

        `last_B` is where each reply's last token stands, counted through all rows.
        """
        hidden = self.body.hidden(tokens, positions, document_ids)
        last_BD = hidden.flatten(0, 1)[last_B]
        return self.head(last_BD)[..., 0].float()


class Saved(NamedTuple):
    """A reward model as read from its folder."""

    model: RewardModel
    name: str
    """What it was trained for: "helpfulness" or "safety"."""
    tokenizer: Tokenizer


def save_reward_model(
    folder: str | os.PathLike[str], model: RewardModel, tokenizer: Tokenizer, name: str
) -> None:
    """Write model.safetensors, tokenizer.model and, last, config.json into a folder.

    Each file appears whole or not at all. Equal weights give equal bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / WEIGHTS, model.state_dict())
    tokenizer.save(folder / "tokenizer.model")
    head = {"format": FORMAT, "name": name, "tokenizer": tokenizer.fingerprint}
    write_json(folder / CONFIG, {**head, **asdict(model.config)})


def load_reward_model(
    folder: str | os.PathLike[str],
    tokenizer: Tokenizer | None = None,
    device: torch.device | str = "cpu",
) -> Saved:
    """Read what `save_reward_model` wrote.

    Raises ValueError in one line when a file is missing, damaged or of another kind, when a weight
    is not finite, and when `tokenizer`, that of the model to be scored, is not the reward model's.
    """
    folder = Path(folder)
    path = folder / CONFIG
    raw = read_json(path)
    found = raw.pop("format", None)
    if found != FORMAT:
        raise ValueError(f"{path}: its format is {found!r}; give a reward model, {FORMAT!r}")
    name, fingerprint = raw.pop("name", None), raw.pop("tokenizer", None)
    known = {field.name for field in fields(ModelConfig)}
    if raw.keys() != known or not isinstance(name, str):
        wrong = ", ".join(sorted(raw.keys() ^ known)) or "name"
        raise ValueError(f"{path}: missing or unknown: {wrong}; train the reward model again")
    own = Tokenizer.load(folder / "tokenizer.model")
    if own.fingerprint != fingerprint:
        raise ValueError(
            f"{folder}: the tokenizer is {own.fingerprint[:12]} and the reward model was trained "
            f"with {str(fingerprint)[:12]}; they do not belong together"
        )
    if tokenizer is not None and tokenizer.fingerprint != fingerprint:
        raise ValueError(
            f"{folder}: the reward model was trained with tokenizer {str(fingerprint)[:12]} and "
            f"the model to be scored has {tokenizer.fingerprint[:12]}; train a reward model of it"
        )
    config = config_from(path, raw)
    if own.vocab_size != config.vocab_size:
        raise ValueError(
            f"{path}: the tokenizer has {own.vocab_size} pieces and the model {config.vocab_size}; "
            "they do not belong together"
        )
    state = read_safetensors(folder / WEIGHTS)
    model = reward_from_state(config, state, folder / WEIGHTS)
    return Saved(model.to(device), name, own)


def reward_from_state(
    config: ModelConfig, state: Mapping[str, Any], source: Path | str
) -> RewardModel:
    """A reward model with these weights; ValueError when they do not fit or are not finite."""
    model = RewardModel(config)
    expected = model.state_dict()
    wrong = sorted(state.keys() ^ expected.keys()) or [
        name for name, weight in state.items() if weight.shape != expected[name].shape
    ]
    if wrong:
        raise ValueError(
            f"{source}: {wrong[0]} is missing, unknown or of another shape; "
            "the weights belong to another configuration"
        )
    broken = [name for name, weight in state.items() if not weight.isfinite().all()]
    if broken:
        raise ValueError(
            f"{source}: {broken[0]} is not finite; train the reward model again, at a lower rate"
        )
    model.load_state_dict(dict(state))
    return model
