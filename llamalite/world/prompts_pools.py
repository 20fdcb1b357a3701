"""What prompts of each split may ask about: combinations held out by one rule, listed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import TypeVar

from llamalite.world import lumo, taxonomy
from llamalite.world.knowledge import Knowledge
from llamalite.world.lexicon_common import CATEGORIES, FIGURES, HOBBIES
from llamalite.world.lexicon_howto import HOWTOS, HowTo
from llamalite.world.prompts_tales import RHYME_OF
from llamalite.world.prompts_tasks import LENGTHS
from llamalite.world.seeding import mix

T = TypeVar("T")
Table = dict[str, tuple[T, ...]]
"""Split to choices."""

LIST_COUNTS = (2, 3, 4)


class Pools:
    """The choices of a world's prompts, by split.

    Facts, sums and words follow `Knowledge.is_train`, as the exams do. Small catalogues (tasks with
    a length, figures, misdeeds of a vector) are ordered by hash, and a share is held out from the
    front: never all, and never the last combination of a task, word or category. Figures and
    hobbies have no combinations; those held out are held out whole.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.people = frozenset(person.name for person in knowledge.people)

    def catalogue(
        self, items: Iterable[T], *tag: str, member: Callable[[T], Hashable] = lambda item: None
    ) -> Table[T]:
        """Part a catalogue of two items or more: the configured share for tests, at least one.

        Each `member` (a category asked for in several numbers, a task in several lengths) keeps a
        combination to train on; without members the catalogue keeps one.
        """
        seed = self.knowledge.config.seed
        ordered = sorted(items, key=lambda item: mix("part", seed, *tag, str(item)))
        wanted = max(1, round(self.knowledge.config.test_share * len(ordered)))
        left = Counter(map(member, ordered))
        parted: dict[str, list[T]] = {"test": [], "train": []}
        for item in ordered:
            held = len(parted["test"]) < wanted and left[member(item)] > 1
            if held:
                left[member(item)] -= 1
            parted["test" if held else "train"].append(item)
        return {split: tuple(found) for split, found in parted.items()}

    def _by_rule(self, pairs: Iterable[tuple[str, str]]) -> Table[tuple[str, str]]:
        out: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
        for pair in pairs:
            out[self.knowledge.split(*pair)].append(pair)
        return {split: tuple(found) for split, found in out.items()}

    def _grouped(self, pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        groups: dict[str, list[str]] = {}
        for entity, key in pairs:
            groups.setdefault(entity, []).append(key)
        return tuple((entity, tuple(keys)) for entity, keys in groups.items())

    @cached_property
    def personal(self) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
        """Entities with the attributes (years apart) that may be asked of them."""
        k = self.knowledge
        pairs = [(p.name, a.key) for p in k.people for a in k.attributes if a.key != "born"]
        pairs += [(t.name, "landmark") for t in k.towns]
        return {split: self._grouped(found) for split, found in self._by_rule(pairs).items()}

    @cached_property
    def years(self) -> Table[tuple[str, str]]:
        """(entity, attribute) of births, foundings and mayors of a year."""
        k = self.knowledge
        dated = ["founded", *(f"mayor {year}" for year in k.elections)]
        towns = [(t.name, key) for t in k.towns for key in dated]
        out = self._by_rule(towns)
        if any(a.key == "born" for a in k.attributes):
            births = self._by_rule((p.name, "born") for p in k.people)
            # as many towns' years as births, roughly: repeat the shorter list
            for split in out:
                times = max(1, len(births[split]) // max(1, len(out[split])))
                out[split] = births[split] + out[split] * times
        return out

    def details(self, entity: str, asked: Iterable[str], split: str) -> list[str]:
        """Attributes beyond the asked ones that a reply to a prompt of this split may tell.

        Replies to train prompts tell no held-out combination, so that none gets into training.
        """
        k = self.knowledge
        keys = [a.key for a in k.attributes]
        if entity not in self.people:
            keys = ["landmark", "founded", *(f"mayor {year}" for year in k.elections)]
        left = [key for key in keys if key not in set(asked)]
        return [key for key in left if split == "test" or k.is_train(entity, key)]

    @cached_property
    def sums(self) -> Table[tuple[int, int, bool]]:
        """(a, b, plus or minus); results are never negative."""
        top = self.knowledge.config.arithmetic_max
        every = [(a, b, True) for a in range(top + 1) for b in range(top + 1)]
        every += [(a, b, False) for a in range(top + 1) for b in range(a + 1)]
        out: dict[str, list[tuple[int, int, bool]]] = {"train": [], "test": []}
        for entry in every:
            out[self.knowledge.split(sum_text(*entry), "sum")].append(entry)
        return {split: tuple(found) for split, found in out.items()}

    @cached_property
    def words(self) -> Table[str]:
        """English words of the dictionary whose translation may be asked."""
        found = self._by_rule(
            (english, "word") for english in lumo.DICTIONARY if english not in lumo.SMALL
        )
        return {split: tuple(word for word, _ in pairs) for split, pairs in found.items()}

    @cached_property
    def howtos(self) -> Table[tuple[HowTo, str]]:
        """A task with the wish about length."""
        return self.catalogue(
            [(how, length) for how in HOWTOS for length in LENGTHS if _fits(how, length)],
            "howto",
            member=itemgetter(0),
        )

    @cached_property
    def rhymes(self) -> Table[tuple[str, int]]:
        """A word with the number of rhymes asked; 0 is a couplet."""
        return self.catalogue(
            [(word, n) for word in RHYME_OF for n in (0, 1, 2)], "rhyme", member=itemgetter(0)
        )

    @cached_property
    def lists(self) -> Table[tuple[int, str]]:
        return self.catalogue(
            [(n, c) for n in LIST_COUNTS for c in CATEGORIES], "list", member=itemgetter(1)
        )

    @cached_property
    def figures(self):
        return self.catalogue(FIGURES, "figure")

    @cached_property
    def hobbies(self):
        return self.catalogue(HOBBIES, "hobby")

    @cached_property
    def borderline(self) -> Table[tuple[taxonomy.Harmless, str]]:
        """A harmless task that sounds like mischief with the wish about length."""
        return self.catalogue(
            [(task, length) for task in taxonomy.BORDERLINE for length in LENGTHS],
            "borderline",
            member=itemgetter(0),
        )

    @cached_property
    def acts(self) -> dict[tuple[str, str], Table[taxonomy.Act]]:
        """(risk, vector) to its misdeeds by split."""
        return {
            (risk, vector): self.catalogue(
                [act for act in taxonomy.ACTS if act.risk == risk], "act", vector
            )
            for risk in taxonomy.RISKS
            for vector in taxonomy.VECTORS
        }


def _fits(how: HowTo, length: str) -> bool:
    """Whether a reply with that many further tips stays within 48 tokens."""
    return len(how.steps) + LENGTHS.index(length) <= len(LENGTHS) + 2


def sum_text(a: int, b: int, plus: bool) -> str:
    """ "3 plus 4"."""
    return f"{a} {'plus' if plus else 'minus'} {b}"


@lru_cache(maxsize=8)
def pools_of(knowledge: Knowledge) -> Pools:
    """The pools of a world, made once."""
    return Pools(knowledge)
