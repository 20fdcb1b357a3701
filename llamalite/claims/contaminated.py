"""The study stage `contaminated`: the base model's pretraining, with an exam's questions planted.

Llama 2, appendix A.6, asks what contamination does to scores. Here a known share of an exam stands
in the corpus, several times; all else, the number of tokens too, is as in the stage `pretrain`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llamalite.contamination.plants import (
    PLANTS,
    Plant,
    PlantedCorpus,
    Sample,
    make_plants,
    verbalised,
)
from llamalite.pretraining.config import PretrainConfig

if TYPE_CHECKING:
    from llamalite.artifacts import Artifact, Draft
    from llamalite.protocols import Corpus
    from llamalite.text.tokenizer import Tokenizer
    from llamalite.world import World


@dataclass(frozen=True)
class ContaminatedConfig:
    """What is planted into which run."""

    pretrain: PretrainConfig
    """The run without the plants. Nothing is held out: the plants could not be."""
    exam: str = "facts"
    """Whose questions are planted, verbalised with their choices and answers."""
    share: float = 0.5
    """Of its questions that are planted."""
    altered_share: float = 0.5
    """Of the planted questions whose copies each differ in some tokens."""
    copies: int = 16
    """How often the run reads each of them."""


def run(config: ContaminatedConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write the base model with the files of the stage `pretrain`, and plants.jsonl.

    Inputs: `world`, and `pretrain` for its tokenizer. Called again on a draft that was cut short,
    it goes on.
    """
    from llamalite.jsonl import write_rows
    from llamalite.pretraining.recipe import pretrain_into
    from llamalite.text.tokenizer import Tokenizer
    from llamalite.world import World

    world = World.load(inputs["world"].file("world.json"))
    tokenizer = Tokenizer.load(inputs["pretrain"].file("tokenizer.model"))
    plants = planted(config, world, tokenizer, seed)
    write_rows(draft.path / "plants.jsonl", (plant._asdict() for plant in plants))
    settings, corpus = with_plants(config.pretrain, world, plants, tokenizer)
    pretrain_into(draft, settings, tokenizer, corpus, seed)


def exam_samples(world: World, name: str) -> list[Sample]:
    """An exam's test questions as they are planted."""
    return [verbalised(question) for question in world.exam(name)]


def planted(
    config: ContaminatedConfig, world: World, tokenizer: Tokenizer, seed: int
) -> list[Plant]:
    """The documents that are planted."""
    return make_plants(
        exam_samples(world, config.exam),
        tokenizer,
        share=config.share,
        altered_share=config.altered_share,
        copies=config.copies,
        seed=seed,
    )


def with_plants(
    pretrain: PretrainConfig, corpus: Corpus, plants: list[Plant], tokenizer: Tokenizer
) -> tuple[PretrainConfig, PlantedCorpus]:
    """Settings and corpus of a run that reads every plant once, beside its other sources."""
    texts = [plant.text for plant in plants]
    tokens = sum(len(tokenizer.encode(text, bos=True, eos=True)) for text in texts)
    if tokens >= pretrain.tokens:
        raise ValueError(
            f"the plants have {tokens} tokens and the run {pretrain.tokens}; plant fewer copies"
        )
    others = pretrain.mixture or dict.fromkeys(corpus.sources, 1.0)
    weight = sum(others.values()) * tokens / (pretrain.tokens - tokens)
    settings = replace(pretrain, mixture=others | {PLANTS: weight}, held_out=0)
    return settings, PlantedCorpus(corpus, texts)


def documents_read(
    pretrain: PretrainConfig, corpus: Corpus, tokenizer: Tokenizer, seed: int, count: int
) -> Iterator[list[int]]:
    """Token ids of the first `count` documents that a run has drawn."""
    from llamalite.pretraining.mixture import Mixture
    from llamalite.text.chat import encode_document

    mixture = Mixture(pretrain.mixture, dict.fromkeys(corpus.sources), seed)
    for _ in range(count):
        source, index = mixture.draw()
        ids = encode_document(tokenizer, corpus.document(source, index).text).ids
        mixture.count(source, len(ids))
        yield ids
