"""What is audited: a corpus of files, packages or the hub, or the micro-world's. Section 4.1.

The micro-world's comes with detectors that are learned from the labelled lines of *another* world,
with other people, towns and facts: nobody gives them the words they should find. What its
generators did is known, so the audit itself can be audited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from llamalite.audit.detectors import (
    HARMLESS,
    TOXIC,
    Detector,
    learned_languages,
    learned_toxicity,
    packaged_languages,
    packaged_word_list,
    toxicity_from,
)
from llamalite.audit.tally import Auditor
from llamalite.audit.words import AXES, Axis
from llamalite.data_care.rejected import Rejects
from llamalite.data_care.streams import documents as raw_documents
from llamalite.data_care.streams import open_stream
from llamalite.own_files import STREAM
from llamalite.presets import get_preset
from llamalite.world import World, lumo
from llamalite.world.seeding import rng_for
from llamalite.world.sources_more import lumo_sentence

WORLD = "world:"
"""What the name of a micro-world's corpus begins with: world:PRESET."""
ANOTHER = 1_000_003
"""Added to a world's seed for the one that detectors learn from."""
LEARNED_DOCUMENTS = 60
"""Documents of each source that detectors learn from."""
ENGLISH, LUMO = "en", "lumo"


class Read(NamedTuple):
    """One document of a corpus under audit."""

    text: str
    source: str
    toxic: bool | None = None
    """The truth, where it is known."""


@dataclass(frozen=True)
class AuditedCorpus:
    """Documents to audit, how many, and the lists and detectors that suit them."""

    size: int | None
    """Number of documents; None where it is not known before they are read."""
    documents: Iterator[Read]
    auditor: Auditor
    rejects: Rejects = field(default_factory=Rejects)
    """What could not be used; filled as the documents are read."""


def open_corpus(
    where: str,
    documents: int = 0,
    every: int = 1,
    toxicity: str = "",
    rejected: Path | None = None,
) -> AuditedCorpus:
    """A corpus by the name a setting gives it, read as it comes: nothing of it is kept.

    `documents` limits their number (0: all; of a micro-world 10,000), `every` audits each n-th of
    the usable ones only. Others are counted, and written to the file `rejected` if one is named.
    `toxicity` names another detector than the corpus's own, see `toxicity_from`. Raises ValueError
    for what cannot be read, and for an `every` of a micro-world.
    """
    given = toxicity_from(toxicity) if toxicity else None
    if where.startswith(WORLD):
        if every != 1:
            raise ValueError(
                f"every is {every}; a micro-world has no end, limit it with --documents"
            )
        preset = get_preset(where.removeprefix(WORLD))
        return world_corpus(World(preset.world), documents or 10_000, given=given)
    stream = open_stream("corpus", where.removeprefix(STREAM))
    rejects = Rejects(rejected)
    usable = islice(rejects.usable(raw_documents(stream)), 0, None, every)
    return AuditedCorpus(
        documents or None,
        (Read(each.text, where) for each in islice(usable, documents or None)),
        Auditor(given or packaged_word_list(), packaged_languages()),
        rejects,
    )


def world_corpus(world: World, documents: int, given: Detector | None = None) -> AuditedCorpus:
    """The micro-world's corpus: documents of each source by its share of an ordinary mixture."""
    total = sum(world.mixture.values())
    counts = {name: round(documents * weight / total) for name, weight in world.mixture.items()}
    return AuditedCorpus(
        sum(counts.values()),
        (
            Read(made.text, source, made.toxic)
            for source, count in counts.items()
            for made in (world.document(source, index) for index in range(count))
        ),
        world_auditor(world, given),
    )


def another(world: World) -> World:
    """A world of other people, towns and facts, of the same make."""
    return World(replace(world.config, seed=world.config.seed + ANOTHER))


def world_auditor(world: World, given: Detector | None = None) -> Auditor:
    """The lists and detectors that suit a micro-world, or another detector of toxicity."""
    other = another(world)
    toxicity = given or world_toxicity(other)
    return Auditor(toxicity, world_languages(other), AXES | world_axes(world))


def world_axes(world: World) -> dict[str, Axis]:
    """Axes of the invented peoples: the towns they come from, and their crafts."""
    knowledge = world.knowledge
    towns = {town.name: (town.name.lower(),) for town in knowledge.towns}
    crafts = {craft: (craft, f"{craft}s") for craft in knowledge.values("craft")}
    return {"town": towns, "craft": crafts}


def labelled_lines(world: World) -> dict[str, list[str]]:
    """Lines of every source of a world, labelled by how they were made."""
    lines: dict[str, list[str]] = {TOXIC: [], HARMLESS: []}
    for source in world.sources:
        for index in range(LEARNED_DOCUMENTS):
            made = world.document(source, index)
            lines[TOXIC if made.toxic else HARMLESS] += made.text.split("\n")
    return lines


def world_toxicity(world: World) -> Detector:
    """Learned from the labelled lines of a world."""
    return learned_toxicity(labelled_lines(world), "another world's labelled lines")


def world_languages(world: World) -> Detector:
    """Learned from a world's Lumo sentences and the English of its other sources."""
    english = [
        line
        for source in world.sources
        if source != "lumo"
        for index in range(LEARNED_DOCUMENTS)
        for line in world.document(source, index).text.split("\n")
    ]
    rng = rng_for("audit", world.config.seed)
    foreign = [
        lumo.to_lumo(lumo_sentence(world.knowledge, rng, "train")) for _ in range(len(english))
    ]
    return learned_languages({ENGLISH: english, LUMO: foreign}, "another world's lines")
