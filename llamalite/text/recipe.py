"""The stage `tokenizer`: learn a vocabulary from a sample of the corpus. Llama 2, section 2.2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llamalite.artifacts import Artifact, Draft
from llamalite.protocols import Corpus
from llamalite.text.config import TokenizerConfig
from llamalite.text.tokenizer import Tokenizer

_MEASURED = 100
"""Documents per source that the report's lengths are measured on; none of them was learned from."""
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)|\n")


def run(config: TokenizerConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write tokenizer.model; its lengths on documents it has not seen go to the metrics.

    The run's seed draws nothing here, so that losses per token of runs with other seeds compare.
    """
    from llamalite.world import World

    world = World.load(inputs["world"].file("world.json"))
    tokenizer = make_tokenizer(config, world)
    tokenizer.save(draft.path / "tokenizer.model")
    draft.metrics.update(
        vocab_size=tokenizer.vocab_size,
        fingerprint=tokenizer.fingerprint,
        **measure(tokenizer, config, world),
    )


def make_tokenizer(config: TokenizerConfig, corpus: Corpus) -> Tokenizer:
    """The tokenizer the config asks for: a given one, or one trained on a sample of the corpus.

    Raises ValueError for an unusable file, an unknown source, and a vocabulary that does not fit.
    """
    if config.model:
        return Tokenizer.load(config.model)
    texts = (
        corpus.document(source, index).text
        for source, count in documents_per_source(config, corpus.sources).items()
        for index in range(count)
    )
    return Tokenizer.train(texts, config.vocab_size, character_coverage=config.character_coverage)


def documents_per_source(config: TokenizerConfig, sources: tuple[str, ...]) -> dict[str, int]:
    """How many documents each source gives: its share, at least one where the weight is positive.

    Raises ValueError when the mixture names a source that is not there.
    """
    weights = dict(config.mixture) or dict.fromkeys(sources, 1.0)
    for source in weights:
        if source not in sources:
            raise ValueError(
                f"mixture names the source {source!r}, which is not there; "
                f"choose among {', '.join(sources)}"
            )
    total = sum(weights.values())
    return {
        source: max(1, round(config.sample_documents * weight / total))
        for source, weight in weights.items()
        if weight > 0
    }


def measure(tokenizer: Tokenizer, config: TokenizerConfig, corpus: Corpus) -> Mapping[str, Any]:
    """Mean lengths on fresh documents of the sources in the mixture, each source alike."""
    texts = list(_fresh_texts(config, corpus))
    ids = tokenizer.encode_batch(texts)
    tokens = sum(map(len, ids))
    used = {i for each in ids for i in each}
    sentences = sum(
        1 for text in texts for part in _SENTENCE_END.split(text) if part and not part.isspace()
    )
    return {
        "tokens_per_byte": round(tokens / sum(len(text.encode()) for text in texts), 4),
        "tokens_per_sentence": round(tokens / sentences, 2),
        "tokens_per_document": round(tokens / len(texts), 1),
        "vocabulary_used": round(len(used) / tokenizer.vocab_size, 3),
    }


def _fresh_texts(config: TokenizerConfig, corpus: Corpus) -> Iterator[str]:
    for source, count in documents_per_source(config, corpus.sources).items():
        for index in range(count, count + _MEASURED):
            yield corpus.document(source, index).text
