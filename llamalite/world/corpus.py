"""The world as a whole: its truth, its corpus, its exams and its prompts, all by random access."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamalite.world import biographies, sources, sources_copybook, sources_more, sources_talk
from llamalite.world.config import MIXTURE, WorldConfig
from llamalite.world.exams import EXAMS, Question, exam
from llamalite.world.knowledge import Knowledge
from llamalite.world.seeding import rng_for
from llamalite.world.sources import TOWN_EVERY, Document

if TYPE_CHECKING:
    from llamalite.world.prompts import Prompt

CHARACTERS_PER_TOKEN = 3.5
"""Of the encyclopedia under a BPE of 1024 pieces (measured: 3.3 to 3.6)."""

_BY_KNOWLEDGE = {
    "encyclopedia": sources.encyclopedia,
    "lessons": sources.lessons,
    "stories": sources_more.stories,
    "copybook": sources_copybook.copybook,
    "rumours": sources.rumours,
    "toxic": sources_more.toxic,
    "lumo": sources_more.lumo_page,
    biographies.SOURCE: biographies.biography,
}


class World:
    """A micro-world. Everything depends on the config alone; nothing is stored."""

    sources: tuple[str, ...] = tuple(MIXTURE)
    """Names of the sources of the corpus."""
    further_sources: tuple[str, ...] = (biographies.SOURCE,)
    """Sources for studies: no ordinary corpus has them."""
    exams: tuple[str, ...] = EXAMS
    """Names of the exams."""
    mixture: dict[str, float] = MIXTURE
    """Weights of an ordinary corpus."""

    def __init__(self, config: WorldConfig | None = None) -> None:
        self.config = config or WorldConfig()
        self.knowledge = Knowledge(self.config)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> World:
        """The world whose config `save` wrote. ValueError when the file is not one."""
        path = Path(path)
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            # the first edition did not say which it was
            return cls(WorldConfig(**({"edition": 1} | fields)))
        except FileNotFoundError:
            raise ValueError(f"{path} does not exist; run the stage 'world' first") from None
        except (ValueError, TypeError) as error:  # no JSON, no text, no such settings
            raise ValueError(f"{path} is not the config of a world ({error})") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the config as JSON."""
        text = json.dumps(dataclasses.asdict(self.config), indent=1)
        Path(path).write_text(text + "\n", encoding="utf-8")

    def document(self, source: str, index: int) -> Document:
        """Document `index` of a source: any index from 0 gives one, always the same.

        ValueError for an unknown source or a negative index.
        """
        if index < 0:
            raise ValueError(f"document index {index} is negative; count from 0")
        if source not in (known := (*self.sources, *self.further_sources)):
            raise ValueError(f"unknown source {source!r}; choose among {', '.join(known)}")
        rng = rng_for(source, self.config.seed, index)
        if source == "conversations":
            return Document(sources_talk.conversations(self, rng, index), source, index)
        if source == "pages":
            text, site = sources_more.pages(self.knowledge, rng, index)
            return Document(text, source, index, site=site)
        text = _BY_KNOWLEDGE[source](self.knowledge, rng, index)
        return Document(text, source, index, toxic=source == "toxic")

    def exam(self, name: str, split: str = "test") -> list[Question]:
        """The questions of an exam for base models; see `llamalite.world.exams`."""
        return exam(self.knowledge, name, split)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of ordinary prompts."""
        from llamalite.world.prompts import KINDS

        return tuple(KINDS)

    def prompt(self, kind: str, index: int, split: str = "train") -> Prompt:
        """Prompt `index` of a kind and split; see `llamalite.world.prompts`."""
        from llamalite.world.prompts import make_prompt

        return make_prompt(self, kind, index, split)

    def exposures(self, tokens: int, weight: float) -> float:
        """How often a corpus tells each fact of a person, in expectation.

        `weight` is the encyclopedia's share of `tokens`. About 100 are needed by a model of 1M
        parameters, 50 give 40 % recall.
        """
        sample = 20 * TOWN_EVERY
        texts = [self.document("encyclopedia", i).text for i in range(sample)]
        per_document = sum(map(len, texts)) / sample / CHARACTERS_PER_TOKEN + 2
        articles = tokens * weight / per_document * (1 - 1 / TOWN_EVERY)
        return articles / len(self.knowledge.people)

    def __repr__(self) -> str:
        return f"World({self.config})"


def summary(world: World, documents: int = 200) -> dict[str, Any]:
    """Counts that describe a world, and the mean length of each source's documents."""
    knowledge = world.knowledge
    out: dict[str, Any] = {
        "people": len(knowledge.people),
        "towns": len(knowledge.towns),
        "facts": len(knowledge.facts),
        "misconceptions": len(knowledge.misconceptions),
        "canaries": len(knowledge.canaries),
    }
    for source in world.sources:
        texts = [world.document(source, i).text for i in range(documents)]
        out[f"characters_{source}"] = round(sum(map(len, texts)) / documents, 1)
    for name in world.exams:
        out[f"questions_{name}"] = len(world.exam(name))
    return out
