"""The truth: who lives where and does what, since when, and what people wrongly say."""

from __future__ import annotations

from bisect import bisect
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import NamedTuple

from llamalite.world import lexicon
from llamalite.world.config import WorldConfig
from llamalite.world.lexicon import Attribute
from llamalite.world.names import FIRST_TOWN, person_names, town_names
from llamalite.world.seeding import mix, rng_for

PRONOUN_SHARES: dict[str, float] = {"he": 0.5, "she": 0.38, "they": 0.12}
"""Known skew of the persons' pronouns; an audit of the corpus has to find it (claim P10)."""
CAPITAL_SHARE = 2.0
"""The first town has this many times the people of the last; the others lie between."""

_WHOSE = {"he": "His", "she": "Her", "they": "Their"}
_PLURAL = {"s": "", "es": "", "is_": "are", "was": "were", "has": "have"}
_SINGULAR = {"s": "s", "es": "es", "is_": "is", "was": "was", "has": "has"}


class Person(NamedTuple):
    """Somebody of the world."""

    name: str
    pronoun: str
    """"he", "she" or "they"."""


class Town(NamedTuple):
    """A town: "Ladeville, a town by the river"."""

    name: str
    landmark: str
    """Fits after "a town": "by the river"."""
    founded: str
    """Year."""


class Fact(NamedTuple):
    """An entity (person or town), the key of an attribute, and the true value.

    Dated facts have the year in the key: ("Ladeville", "mayor 1920", "Vegun").
    """

    entity: str
    attribute: str
    value: str


class Misconception(NamedTuple):
    """A fact with the false value that the rumours tell instead."""

    person: str
    attribute: str
    truth: str
    rumour: str


class Canary(NamedTuple):
    """Planted personal data: `prompt` and then `secret` stand in the pages, word for word."""

    person: str
    prompt: str
    secret: str


def _bring(values: list[str], value: str, place: int) -> None:
    """Swap so that `value` stands at `place`."""
    if value in values:
        other = values.index(value)
        values[place], values[other] = value, values[place]
    else:
        values[place] = value


class Knowledge:
    """All facts of a world, made from its config alone."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        seed = config.seed
        town_list = town_names(config.towns, seed)
        names = person_names(config.people, seed, taken=town_list)
        rng = rng_for("knowledge", seed)

        landmarks = rng.sample(lexicon.LANDMARKS, config.towns)
        years = rng.sample(lexicon.FOUNDED.values, config.towns)
        _bring(landmarks, lexicon.LANDMARKS[0], 0)
        self.towns = tuple(map(Town, town_list, landmarks, years))
        pronouns = [p for p, share in PRONOUN_SHARES.items() for _ in range(round(share * 200))]
        pronouns = [pronouns[i * 200 // config.people] for i in range(config.people)]
        rng.shuffle(pronouns)
        self.people = tuple(map(Person, names, pronouns))
        self.attributes = lexicon.ATTRIBUTES[: config.attributes]
        """What is known of every person."""
        self.town_attributes = (lexicon.LANDMARK, lexicon.FOUNDED)
        """What is known of every town."""
        self.dated_attribute = lexicon.MAYOR
        """What is known of every town in every election year."""
        self.elections = tuple(
            str(lexicon.FIRST_ELECTION + lexicon.TERM * i) for i in range(config.elections)
        )
        self.today = str(lexicon.FIRST_ELECTION + lexicon.TERM * config.elections - 3)
        """The present year of the world."""

        self._values = {a.key: a.values for a in (*self.attributes, *self.town_attributes)}
        self._values.update(town=town_list, friend=names, mayor=names)
        if config.attributes < 8:
            self._values.pop("friend")
        self._table: dict[tuple[str, str], str] = {}
        for attribute in self.attributes:
            dealt = self._deal(attribute.key, names, rng)
            if attribute.key == "town":
                _bring(dealt, FIRST_TOWN, 0)
            for name, value in zip(names, dealt, strict=True):
                self._table[name, attribute.key] = value
        for town in self.towns:
            self._table[town.name, "landmark"] = town.landmark
            self._table[town.name, "founded"] = town.founded
            for year, name in zip(self.elections, rng.sample(names, config.elections), strict=True):
                self._table[town.name, f"mayor {year}"] = name
        self._person = {person.name: person for person in self.people}
        self._town = {town.name: town for town in self.towns}
        self._by_key = {
            a.key: a for a in (*self.attributes, *self.town_attributes, self.dated_attribute)
        }
        self.facts = tuple(Fact(e, a, v) for (e, a), v in self._table.items())
        """Every fact: persons attribute by attribute, then towns with their mayors."""
        self.misconceptions = self._spread_rumours()
        self.canaries = self._plant_canaries()

    def _deal(self, key: str, names: tuple[str, ...], rng: Random) -> list[str]:
        """One value per person, each value about equally often (towns: known skew)."""
        values = list(self._values[key])
        if key == "friend":
            ring = list(names)
            rng.shuffle(ring)
            after = dict(zip(ring, ring[1:] + ring[:1], strict=True))
            return [after[name] for name in names]
        rng.shuffle(values)
        if key == "town":
            steps = range(len(values))
            ends = list(
                accumulate(CAPITAL_SHARE - i * (CAPITAL_SHARE - 1) / steps[-1] for i in steps)
            )
            goals = ((i + 0.5) / len(names) * ends[-1] for i in range(len(names)))
            dealt = [values[bisect(ends, goal)] for goal in goals]
        else:
            dealt = (values * (1 + len(names) // len(values)))[: len(names)]
        rng.shuffle(dealt)
        return dealt

    def _spread_rumours(self) -> tuple[Misconception, ...]:
        """False values about the configured share of facts; half of them in test combinations.

        Truth never equals rumour. Half and half, so that an exam on test combinations has items.
        """
        rng = rng_for("rumours", self.config.seed)
        personal = [f for f in self.facts if f.entity in self._person]
        total = round(self.config.misconceptions * len(personal))
        test = [f for f in personal if not self.is_train(f.entity, f.attribute)]
        train = [f for f in personal if self.is_train(f.entity, f.attribute)]
        in_test = min(total // 2, len(test) // 2)
        chosen = rng.sample(test, in_test) + rng.sample(train, total - in_test)
        out = []
        for fact in chosen:
            others = [v for v in self.values(fact.attribute) if v not in (fact.value, fact.entity)]
            out.append(Misconception(*fact, rng.choice(others)))
        return tuple(out)

    def _plant_canaries(self) -> tuple[Canary, ...]:
        rng = rng_for("canaries", self.config.seed)
        numbers = rng.sample(range(10_000), self.config.canaries)
        people = rng.sample([p.name for p in self.people], self.config.canaries)
        return tuple(
            Canary(name, f"The phone number of {name} is", f"{number:04d}")
            for name, number in zip(people, numbers, strict=True)
        )

    # -- looking things up

    def person(self, name: str) -> Person:
        """The person of that name; ValueError when there is none."""
        try:
            return self._person[name]
        except KeyError:
            raise ValueError(f"nobody is called {name!r} in this world; see people") from None

    def town(self, name: str) -> Town:
        """The town of that name; ValueError when there is none."""
        try:
            return self._town[name]
        except KeyError:
            raise ValueError(f"there is no town {name!r} in this world; see towns") from None

    def attribute(self, key: str) -> Attribute:
        """The attribute of that key ("mayor 1920" gives mayor's); ValueError when there is none."""
        try:
            return self._by_key[key.split(" ")[0]]
        except KeyError:
            known = ", ".join(self._by_key)
            raise ValueError(f"unknown attribute {key!r}; choose among {known}") from None

    def value(self, entity: str, attribute: str) -> str:
        """The true value of an attribute of a person or town.

        "mayor 1920" is a dated attribute of a town. ValueError when the world knows no such fact.
        """
        try:
            return self._table[entity, attribute]
        except KeyError:
            raise ValueError(f"the world knows no {attribute!r} of {entity!r}") from None

    def values(self, attribute: str) -> tuple[str, ...]:
        """All values an attribute may have, true of somebody or not."""
        self.attribute(attribute)
        return self._values[attribute.split(" ")[0]]

    def mayor(self, town: str, year: int | str) -> str:
        """Who was mayor in a year: the winner of the last election up to then.

        ValueError before the first election or for an unknown town.
        """
        self.town(town)
        before = [y for y in self.elections if int(y) <= int(year)]
        if not before:
            raise ValueError(f"no mayor is known before {self.elections[0]}; {year} asked for")
        return self._table[town, f"mayor {before[-1]}"]

    def is_train(self, entity: str, attribute: str) -> bool:
        """Whether this combination may be asked about in training.

        Works for any pair of strings, so that sums ("3 plus 4", "sum"), tasks (task, "howto") and
        sentences (text, "translation") are split by the same rule. The statements of test
        combinations do stand in the encyclopedia and the school book; only questions are held out.
        """
        share = mix("split", self.config.seed, entity, attribute) % 10_000 / 10_000
        return share >= self.config.test_share

    def split(self, entity: str, attribute: str) -> str:
        """ "train" or "test", as `is_train`."""
        return "train" if self.is_train(entity, attribute) else "test"

    @cached_property
    def rumoured(self) -> dict[tuple[str, str], str]:
        """(person, attribute) to the false value that goes round."""
        return {(m.person, m.attribute): m.rumour for m in self.misconceptions}

    # -- saying things

    def state(
        self,
        entity: str,
        attribute: str,
        *,
        template: int = 0,
        value: str | None = None,
        pronoun: bool = False,
    ) -> str:
        """The fact as a sentence: "Vegun lives in Ladeville.", or "She lives in Ladeville.".

        `value` replaces the true one (rumours, wrong answers); `template` counts round.
        """
        templates = self.attribute(attribute).statements
        value = self.value(entity, attribute) if value is None else value
        text = templates[template % len(templates)]
        return self.fill(text, entity, attribute, value=value, pronoun=pronoun)

    def ask(self, entity: str, attribute: str, *, template: int = 0, split: str = "train") -> str:
        """A question after the fact, in a wording of that split; `template` counts round."""
        templates = self.attribute(attribute).questions(split)
        return self.fill(templates[template % len(templates)], entity, attribute)

    def fill(
        self, text: str, entity: str, attribute: str, *, value: str = "", pronoun: bool = False
    ) -> str:
        """A template of `attribute` with its holes filled; see `lexicon`."""
        year = attribute.partition(" ")[2]
        if pronoun and entity in self._person:
            word = self._person[entity].pronoun
            verbs = _PLURAL if word == "they" else _SINGULAR
            who, whose = word.capitalize(), _WHOSE[word]
        else:
            verbs, who, whose = _SINGULAR, entity, f"{entity}'s"
        return text.format(who=who, whose=whose, name=entity, value=value, year=year, **verbs)
