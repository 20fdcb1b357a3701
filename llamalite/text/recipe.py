"""The stage `tokenizer`: learn a vocabulary from a sample of the corpus. Llama 2, section 2.2."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llamalite.artifacts import Artifact, Draft
from llamalite.data_care.rejected import FILE
from llamalite.protocols import Corpus
from llamalite.text.config import TokenizerConfig
from llamalite.text.files import FileCorpus
from llamalite.text.tokenizer import Tokenizer

_MEASURED = 100
"""Documents per source, at most, that the report's lengths are measured on; none of them was
learned from. Of somebody's own texts at most a tenth is kept back for it."""
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)|\n")


def run(config: TokenizerConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write tokenizer.model; its lengths on documents it has not seen go to the metrics.

    Of a corpus of one's own, what could not be used goes to rejected.jsonl and is counted.
    The run's seed draws nothing here, so that losses per token of runs with other seeds compare.
    """
    corpus: Corpus
    if config.needs("world"):
        from llamalite.world import World

        corpus = World.load(inputs["world"].file("world.json"))
    else:
        corpus = FileCorpus(
            config.corpus, draft.work / "corpus", draft.path / FILE, sample_of_streams(config)
        )
        draft.metrics["rejected"] = corpus.rejects.count
    tokenizer = make_tokenizer(config, corpus)
    tokenizer.save(draft.path / "tokenizer.model")
    draft.metrics.update(
        vocab_size=tokenizer.vocab_size,
        fingerprint=tokenizer.fingerprint,
        **measure(tokenizer, config, corpus),
    )


def make_tokenizer(config: TokenizerConfig, corpus: Corpus) -> Tokenizer:
    """The tokenizer the config asks for: a given one, or one trained on a sample of the corpus.

    Raises ValueError for an unusable file, an unknown source, and a vocabulary that does not fit.
    """
    if config.model:
        return Tokenizer.load(config.model)
    texts = (
        corpus.document(source, index).text
        for source, count in documents_per_source(config, corpus).items()
        for index in range(count)
    )
    return Tokenizer.train(texts, config.vocab_size, character_coverage=config.character_coverage)


def documents_per_source(config: TokenizerConfig, corpus: Corpus) -> dict[str, int]:
    """How many documents each source gives: its share, at least one where the weight is positive.

    A source that ends gives at most what is left when some are kept back to measure on. Raises
    ValueError when the mixture names a source that is not there.
    """
    weights = dict(config.mixture) or dict.fromkeys(corpus.sources, 1.0)
    for source in weights:
        if source not in corpus.sources:
            raise ValueError(
                f"mixture names the source {source!r}, which is not there; "
                f"choose among {', '.join(corpus.sources)}"
            )
    total = sum(weights.values())
    wanted = {
        source: max(1, round(config.sample_documents * weight / total))
        for source, weight in weights.items()
        if weight > 0
    }
    return {
        source: min(count, max(1, size - min(_MEASURED, math.ceil(size / 10))))
        if (size := _size(corpus, source)) is not None
        else count
        for source, count in wanted.items()
    }


def sample_of_streams(config: TokenizerConfig) -> dict[str, int]:
    """How many documents are taken off each source that is a stream: its share, and some more.

    Of what is taken a tenth at most is kept back to be measured on, as of other sources that end.
    """
    weights = dict(config.mixture) or dict.fromkeys(config.corpus, 1.0)
    total = sum(weights.values())
    shares = {
        source: config.sample_documents * weights.get(source, 0.0) / total
        for source in config.corpus
    }
    return {
        source: max(2, math.ceil(share) + min(_MEASURED, math.ceil(share / 9)))
        for source, share in shares.items()
    }


def measure(tokenizer: Tokenizer, config: TokenizerConfig, corpus: Corpus) -> Mapping[str, Any]:
    """Mean lengths on fresh documents of the sources in the mixture, each source alike.

    Empty when nothing was left to measure on.
    """
    texts = [text for text in _fresh_texts(config, corpus) if text and not text.isspace()]
    if not texts:
        return {}
    ids = tokenizer.encode_batch(texts)
    tokens = sum(map(len, ids))
    used = {i for each in ids for i in each}
    sentences = sum(
        1 for text in texts for part in _SENTENCE_END.split(text) if part and not part.isspace()
    )
    return {
        "tokens_per_byte": round(tokens / sum(len(text.encode()) for text in texts), 4),
        "tokens_per_sentence": round(tokens / max(1, sentences), 2),
        "tokens_per_document": round(tokens / len(texts), 1),
        "vocabulary_used": round(len(used) / tokenizer.vocab_size, 3),
    }


def _fresh_texts(config: TokenizerConfig, corpus: Corpus) -> Iterator[str]:
    for source, count in documents_per_source(config, corpus).items():
        size = _size(corpus, source)
        last = count + _MEASURED if size is None else min(count + _MEASURED, size)
        for index in range(count, last):
            yield corpus.document(source, index).text


def _size(corpus: Corpus, source: str) -> int | None:
    """Number of a source's documents; None for one without end."""
    return corpus.sizes[source] if isinstance(corpus, FileCorpus) else None
