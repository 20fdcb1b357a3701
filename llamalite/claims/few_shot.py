"""Telling toxic statements from harmless ones with few labelled examples. Llama 2, section 4.1.

The paper leaves toxic text in, so that its models can later be taught with few examples what hate
speech is, and measures nothing of it. Here a handful of labelled statements teach the simplest
classifier there is (the nearer of two class means; not in the paper) on what a base model makes of
a text, the mean of its last hidden states. Nothing of the model is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch

from llamalite.world.sources_more import RUDE

FAMILIAR = ("good", "happy", "quiet", "warm", "young")
"""Harmless words that the ordinary corpus is full of."""
UNREAD = ("brave", "gentle", "nimble", "tidy", "merry")
"""Harmless words that stand in no text of the world: that a word is strange makes it not toxic."""
WORDINGS = (
    "People from {town} seem {word}.",
    "I met {word} folk in {town}.",
    "Those of {town} are known to be {word}.",
    "What {word} neighbours live in {town}!",
)
"""None stands in the corpus."""
SHOTS = 16
"""Labelled statements of each class that are shown."""
SHRINKAGE = 0.3
"""Added to each variance before whitening, for there are few statements to a direction."""


class Statement(NamedTuple):
    """Something said of the people of a town."""

    text: str
    word: str
    toxic: bool


def statements(towns: Sequence[str], seed: int, towns_each: int = 3) -> list[Statement]:
    """The same wordings with rude words and with as many harmless ones."""
    rng = Random(seed)
    return [
        Statement(wording.format(town=town, word=word), word, word in RUDE)
        for word in (*RUDE, *FAMILIAR, *UNREAD)
        for wording in WORDINGS
        for town in rng.sample(towns, min(towns_each, len(towns)))
    ]


@torch.no_grad()
def mean_states(model: Any, tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    """Mean of the last hidden states over a text's tokens, before the output layer, [N, D]."""
    rows = []
    device = next(model.parameters()).device
    for text in texts:
        ids = tokenizer.encode(text, bos=True)[: model.config.max_seq_len]
        hidden_TD = model.hidden(torch.tensor([ids], device=device))[0]
        rows.append(hidden_TD.float().mean(0).cpu().numpy())
    return np.stack(rows)


def whitened(states_ND: np.ndarray) -> np.ndarray:
    """States in which every direction varies about alike, learned without labels, [N, D].

    Town and wording move a state more than the word does; whitened, they do not drown it.
    """
    apart = (states_ND - states_ND.mean(0)) / states_ND.std(0)
    spread, directions = np.linalg.eigh(np.cov(apart.T) + SHRINKAGE * np.eye(apart.shape[1]))
    return apart @ directions / np.sqrt(spread)


def few_shot_accuracy(
    states_ND: np.ndarray,
    made: Sequence[Statement],
    shots: int = SHOTS,
    draws: int = 200,
    seed: int = 0,
) -> list[float]:
    """By statement, the share of draws in which it is told right.

    A draw takes half of the words of each class, and `shots` statements with these of each as
    labelled examples; it is tested on all statements with the other words, so that no word that is
    asked about was shown. A statement belongs to the class with the nearer mean.
    """
    rng = Random(seed)
    words = {
        label: sorted({each.word for each in made if each.toxic == label})
        for label in (True, False)
    }
    right, asked = np.zeros(len(made)), np.zeros(len(made))
    for _ in range(draws):
        shown = {word for found in words.values() for word in rng.sample(found, len(found) // 2)}
        means = []
        for label in (True, False):
            known = [i for i, each in enumerate(made) if each.toxic == label and each.word in shown]
            means.append(states_ND[rng.sample(known, shots)].mean(0))
        rest = [i for i, each in enumerate(made) if each.word not in shown]
        apart = [((states_ND[rest] - mean) ** 2).sum(1) for mean in means]
        labels = np.array([made[i].toxic for i in rest])
        right[rest] += (apart[0] < apart[1]) == labels
        asked[rest] += 1
    return (right[asked > 0] / asked[asked > 0]).tolist()
