"""Samples of a benchmark put into a corpus on purpose, so that it is known what is to be found.

Llama 2, appendix A.6, analyses a corpus of which nobody knows what stands in it. Not in the paper:
a corpus with known plants, which alone can show whether the analysis is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from llamalite.contamination.spans import BUDGET

if TYPE_CHECKING:
    from llamalite.protocols import Corpus, Document, Question
    from llamalite.text.tokenizer import Tokenizer

PLANTS = "plants"
"""The source of the plants in a corpus."""
_TRIES = 10_000


class Sample(NamedTuple):
    """A question as a model is shown it, choices included. It fits `llamalite.protocols.Question`,
    so that it can be scored as any other."""

    id: str
    prompt: str
    answer: str
    choices: tuple[str, ...]
    rumour: str | None = None

    @property
    def text(self) -> str:
        """Question and answer: what is compared with the corpus."""
        return f"{self.prompt} {self.answer}"


class Plant(NamedTuple):
    """A document that gives a sample away."""

    text: str
    sample: str
    """The sample's id."""
    altered: bool
    """Whether some tokens differ from the sample's."""


def verbalised(question: Question) -> Sample:
    """A text to complete as a question with its choices, long enough to be found.

    A.6 looks at "fully verbalized samples" and asks for more than ten tokens in a row.
    """
    *first, last = question.choices
    choices = f"{', '.join(first)} or {last}" if first else last
    prompt = f"Question: {question.prompt} ... Is it {choices}? {question.prompt}"
    return Sample(question.id, prompt, question.answer, question.choices)


def altered(
    sample: Sample, words: Sequence[str], tokenizer: Tokenizer, rng: Random, budget: int = BUDGET
) -> str:
    """A sample's text with one to `budget` of its tokens exchanged, the answer's left alone.

    Words are exchanged for some of `words`. Raises ValueError when none of them fits.
    """
    tokens, own = tokenizer.encode(sample.text), sample.prompt.split(" ")
    for _ in range(_TRIES):
        changed = list(own)
        for place in rng.sample(range(len(own)), rng.randint(1, min(budget, len(own)))):
            changed[place] = rng.choice(words)
        text = " ".join([*changed, sample.answer])
        found = tokenizer.encode(text)
        if len(found) == len(tokens):
            misses = sum(a != b for a, b in zip(found, tokens, strict=True))
            if 0 < misses <= budget:
                return text
    raise ValueError(
        f"no {budget} tokens of {sample.text!r} could be exchanged; give it other words"
    )


def make_plants(
    samples: Sequence[Sample],
    tokenizer: Tokenizer,
    *,
    share: float,
    altered_share: float,
    copies: int,
    seed: int,
) -> list[Plant]:
    """Copies of a random `share` of the samples (0 to 1), shuffled.

    Of these samples a random `altered_share` (0 to 1) is altered, every copy in another way, and
    the rest stands word for word. Raises ValueError when there is nothing to plant.
    """
    rng = Random(seed)
    chosen = rng.sample(range(len(samples)), round(share * len(samples)))
    if not chosen or copies < 1:
        raise ValueError(
            f"{copies} copies of {len(chosen)} of {len(samples)} samples are no plants; give more"
        )
    words = sorted({word for sample in samples for word in sample.text.split(" ")})
    changed = set(chosen[: round(altered_share * len(chosen))])
    plants = []
    for place in chosen:
        sample = samples[place]
        for _ in range(copies):
            text = altered(sample, words, tokenizer, rng) if place in changed else sample.text
            plants.append(Plant(text, sample.id, place in changed))
    rng.shuffle(plants)
    return plants


class PlantedCorpus:
    """A corpus with one more source, `plants`, whose documents come round and round."""

    def __init__(self, corpus: Corpus, texts: Sequence[str]) -> None:
        self.corpus, self.texts = corpus, texts
        self.sources: tuple[str, ...] = (*corpus.sources, PLANTS)

    def document(self, source: str, index: int) -> Document:
        """Document `index` of a source; see `llamalite.protocols.Corpus`."""
        if source != PLANTS:
            return self.corpus.document(source, index)
        return _Text(self.texts[index % len(self.texts)], PLANTS)


class _Text(NamedTuple):
    text: str
    source: str
