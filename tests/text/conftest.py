"""A small tokenizer with chat tags and one without, as the released ones are."""

import random

import pytest

from llamalite.text.tokenizer import Tokenizer

SYLLABLES = ("ve", "gun", "la", "de", "mor", "ti", "sel", "ka", "run", "po", "li", "nu")


def _small_corpus(documents=400, seed=0):
    """Short texts of invented words, years and a second line now and then."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(120)]
    for _ in range(documents):
        text = " ".join(rng.choices(words, k=rng.randint(5, 12))).capitalize()
        yield f"{text}, in {rng.randint(1000, 1999)}.\nIt was the {rng.choice(words)}."


@pytest.fixture(scope="session")
def small_corpus():
    return _small_corpus


@pytest.fixture(scope="session")
def tokenizer(small_corpus):
    return Tokenizer.train(small_corpus(), 400)


@pytest.fixture(scope="session")
def plain_tokenizer(small_corpus):
    return Tokenizer.train(small_corpus(), 400, tags=False)
