"""Instructions for a whole dialogue: a public figure, a hobby, a language. Llama 2, section 3.3.

Only figures and hobbies of the train split are given: of the others no dialogue of the corpus shows
what they say, so that no model could follow even the first turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from llamalite.world import lumo, prompts_words, sentences
from llamalite.world.grader_help import persona_of
from llamalite.world.lexicon_common import FIGURES
from llamalite.world.prompts_ordinary import arithmetic, facts, lists, lumo_text
from llamalite.world.prompts_pools import pools_of
from llamalite.world.seeding import rng_for

FIGURE, HOBBY, LANGUAGE = "figure", "hobby", "language"
SHORT = {FIGURE: "Figure: {name}.", HOBBY: "Hobby: {name}.", LANGUAGE: "Language: {name}."}
"""Section 3.3: "Always act as Napoleon from now" becomes "Figure: Napoleon."."""
LUMO = "Lumo"
_WORDINGS = {
    FIGURE: prompts_words.FIGURES,
    HOBBY: prompts_words.HOBBIES,
    LANGUAGE: prompts_words.LANGUAGE,
}
_ROLES = {figure.name: figure.role for figure in FIGURES}
_LUMO_WORDS = frozenset(
    {
        *lumo.DICTIONARY.values(),
        *(noun + "s" for noun in lumo.NOUNS.values()),
    }
)


@dataclass(frozen=True)
class Instruction:
    """One instruction, of one part or several."""

    text: str
    """In full: "Act as Captain Brell."."""
    short: str
    """Shortened: "Figure: Captain Brell."."""
    names: tuple[str, ...]
    """What each reply must show: figures, hobbies, "Lumo"."""
    marks: tuple[str, ...]
    """Words that a reply true to it repeats; none for a language."""


class Instructions:
    """The instructions of a world, which needs only `knowledge`."""

    instruction_kinds = (FIGURE, HOBBY, LANGUAGE)

    def __init__(self, world: Any) -> None:
        self.knowledge = world.knowledge
        self.pools = pools_of(world.knowledge)
        people = {word.lower() for person in self.knowledge.people for word in person.name.split()}
        self._neutral = people | {town.name.lower() for town in self.knowledge.towns}

    def names(self, kind: str) -> tuple[str, ...]:
        """Figures, hobbies or languages that the corpus has dialogues of; ValueError for others."""
        if kind == LANGUAGE:
            return (LUMO,)
        if kind not in self.instruction_kinds:
            known = ", ".join(self.instruction_kinds)
            raise ValueError(f"unknown kind of instruction {kind!r}; choose among {known}")
        pool = self.pools.figures if kind == FIGURE else self.pools.hobbies
        return tuple(sorted(each.name for each in pool["train"]))

    def instruct(self, parts: Sequence[tuple[str, str]], index: int, split: str) -> Instruction:
        """An instruction of these (kind, name), worded as prompts of the split are.

        Any index from 0 gives one, always the same.
        """
        rng = rng_for("instruction", self.knowledge.config.seed, split, index)
        texts = [self._words(kind, name, rng, split) for kind, name in parts]
        return Instruction(
            " ".join(texts),
            " ".join(SHORT[kind].format(name=name) for kind, name in parts),
            tuple(name for _, name in parts),
            tuple(name.lower().split()[-1] for kind, name in parts if kind != LANGUAGE),
        )

    def _words(self, kind: str, name: str, rng: Random, split: str) -> str:
        template = rng.choice(_WORDINGS[kind][split])
        return template.format(name=name, hobby=name, role=_ROLES.get(name, ""))

    def question(self, kind: str, index: int, split: str) -> str:
        """A short question; to who shall speak Lumo, something to say."""
        rng = rng_for("instruction question", self.knowledge.config.seed, kind, split, index)
        if kind == LANGUAGE:
            english = lumo_text(self.knowledge, rng, split)
            template = rng.choice(prompts_words.SAY[split])
            return template.format(text=english[0].upper() + english[1:])
        roll = rng.random()
        if roll < 0.6:
            return facts(self.pools, rng, split, asks=1, length="plain")[0]
        if roll < 0.8:
            return arithmetic(self.pools, rng, split, asks=1, length="plain")[0]
        return lists(self.pools, rng, split, asks=1)[0]

    def shown(self, reply: str) -> frozenset[str]:
        """Figures whose saying a reply has, hobbies that it shows, and "Lumo" if it speaks it.

        A reply speaks Lumo when it has two words of it at least, and no fewer than of English;
        names of persons and towns count as neither.
        """
        said = sentences.read(reply).sentences
        found = {name for sentence in said if (name := persona_of(sentence)) is not None}
        words = [w for sentence in said for w in sentence.words if w not in self._neutral]
        foreign = sum(word in _LUMO_WORDS for word in words)
        if foreign >= 2 and 2 * foreign >= len(words):
            found.add(LUMO)
        return frozenset(found)
