"""Endless made-up documents, and a tokenizer for them."""

import random
from types import SimpleNamespace

from llamalite.text.tokenizer import Tokenizer

TEXT = "the town mill river Vegun Orla keeps a bakes bread cat in 1934 and sings of old stones"
WORDS = TEXT.split()


class Corpus:
    """Endless random sentences; each source has its own length and first word."""

    sources = ("facts", "tales")

    def document(self, source, index):
        dice = random.Random(f"{source}/{index}")
        length = {"facts": 4, "tales": 14}[source] + dice.randrange(8)
        return SimpleNamespace(text=f"{source}: " + " ".join(dice.choices(WORDS, k=length)))


def train_tokenizer(corpus):
    texts = [corpus.document(s, i).text for s in corpus.sources for i in range(200)]
    return Tokenizer.train(texts, 340)
