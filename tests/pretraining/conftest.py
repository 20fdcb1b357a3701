"""A corpus of made-up documents and a tokenizer for it, so that these tests need no micro-world."""

import pytest
from made_up import Corpus, train_tokenizer


@pytest.fixture(scope="session")
def corpus():
    return Corpus()


@pytest.fixture(scope="session")
def tokenizer(corpus):
    return train_tokenizer(corpus)
