"""The sources of the corpus that tell facts: encyclopedia, lessons, stories and rumours.

Each function takes the knowledge, a generator seeded for this document, and the document's index,
and returns about 300 characters of plain text. `sources_more` has the other sources.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from llamalite.world.knowledge import Knowledge
from llamalite.world.lexicon_common import CATEGORIES, MONTHS, RHYMES, WEEKDAYS
from llamalite.world.lexicon_howto import HOWTOS

TOWN_EVERY = 10
"""Every tenth article of the encyclopedia is about a town, the others are about a person."""
PRONOUN_CHANCE = 0.4
"""Of a sentence of a person's article, other than its first, to have a pronoun for the name."""
RUMOURS_A_PAGE = 7
FALSE_SHARE = 0.7
"""Share of the rumours' sentences that are false."""
BARE_SHARE = 0.4
"""Share of the rumours' sentences told like facts, with no "They say that" before them."""
_HEARSAY = ("They say that", "I heard that", "Everyone knows that", "It is said that")


class Document(NamedTuple):
    """One text of the corpus and where it came from."""

    text: str
    source: str
    number: int
    """Its index in the source."""
    site: str = ""
    """Where a page was found; only the source "pages" has sites."""
    toxic: bool = False
    """Whether it insults somebody, known from how it was made."""


def _turn(index: int, count: int, stride: int = 7919) -> int:
    """A walk through 0..count-1 that visits each once in `count` consecutive indices."""
    # 7919 is prime and above every count used here, so it shares no factor with one
    return (index * stride + 13) % count


def encyclopedia(knowledge: Knowledge, rng: Random, index: int) -> str:
    """Every fact about one person, in random order and wordings; or about one town.

    Persons take turns, so that all facts are told equally often.
    """
    lap, place = divmod(index, TOWN_EVERY)
    if place == TOWN_EVERY - 1:
        return town_article(knowledge, rng, knowledge.towns[lap % len(knowledge.towns)].name)
    place = _turn(lap * (TOWN_EVERY - 1) + place, len(knowledge.people))
    name = knowledge.people[place].name
    keys = [attribute.key for attribute in knowledge.attributes]
    rng.shuffle(keys)
    out = []
    for i, key in enumerate(keys):
        pronoun = i > 0 and rng.random() < PRONOUN_CHANCE
        out.append(knowledge.state(name, key, template=rng.randrange(4), pronoun=pronoun))
    return " ".join(out)


def town_article(knowledge: Knowledge, rng: Random, name: str) -> str:
    """Landmark, founding and all mayors of a town, in random order."""
    keys = ["landmark", "founded", *(f"mayor {year}" for year in knowledge.elections)]
    rng.shuffle(keys)
    return " ".join(knowledge.state(name, key, template=rng.randrange(3)) for key in keys)


# -- lessons


def sum_statement(a: int, b: int, plus: bool = True) -> str:
    """ "3 plus 4 is 7." or "7 minus 4 is 3."."""
    return f"{a} plus {b} is {a + b}." if plus else f"{a} minus {b} is {a - b}."


def random_sum(knowledge: Knowledge, rng: Random) -> tuple[int, int, bool]:
    """Two numbers of the school book's range and whether to add; differences are never negative."""
    top = knowledge.config.arithmetic_max
    a, b, plus = rng.randint(0, top), rng.randint(0, top), rng.random() < 0.5
    return (a, b, True) if plus else (max(a, b), min(a, b), False)


def _sums(knowledge: Knowledge, rng: Random) -> str:
    return " ".join(sum_statement(*random_sum(knowledge, rng)) for _ in range(12))


DEEDS = (
    ("bought", "buy"),
    ("found", "find"),
    ("lost", "lose"),
    ("sold", "sell"),
    ("carried", "carry"),
    ("hid", "hide"),
)
"""Past and base forms, for reading passages."""
THINGS = CATEGORIES["tools"] + CATEGORIES["clothes"][:3] + CATEGORIES["flowers"][:5]
"""Single objects with "a" that no person's facts speak of."""


class Passage(NamedTuple):
    """A few sentences of news, a question about one, and its answer."""

    text: str
    question: str
    stem: str
    """The start of the answer: "Vegun bought a"."""
    answer: str
    distractor: str
    """The other thing in the passage."""


def passage(knowledge: Knowledge, rng: Random, split: str) -> Passage:
    """News about two persons; combinations (person, thing) of the question belong to `split`."""
    while True:
        one, two = (p.name for p in rng.sample(knowledge.people, 2))
        thing, other = rng.sample(THINGS, 2)
        if knowledge.split(one, f"reading {thing}") == split:
            break
    (did, do), (other_did, _) = rng.sample(DEEDS, 2)
    day = rng.choice(WEEKDAYS)
    lines = [f"On {day} {one} {did} a {thing}.", f"On {day} {two} {other_did} a {other}."]
    rng.shuffle(lines)
    question = f"What did {one} {do}?"
    return Passage(" ".join(lines), question, f"{one} {did} a", thing, other)


def _reading(knowledge: Knowledge, rng: Random) -> str:
    out = []
    for _ in range(3):
        p = passage(knowledge, rng, "train")
        out.append(f"{p.text} {p.question} {p.stem} {p.answer}.")
    return "\n".join(out)


def join_list(words: list[str] | tuple[str, ...]) -> str:
    """ "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _howto(rng: Random) -> str:
    out = []
    for how in rng.sample(HOWTOS, 2):
        lines = [f"{i}. {step[0].upper()}{step[1:]}." for i, step in enumerate(how.steps, 1)]
        if rng.random() < 0.5:
            out.append(f"How to {how.task}:\n" + "\n".join(lines))
        else:
            out.append(f"To {how.task}, {', then '.join(how.steps)}.")
    return "\n".join(out)


def _words(rng: Random) -> str:
    out = []
    for _ in range(4):
        if rng.random() < 0.6:
            name, members = rng.choice(list(CATEGORIES.items()))
            out.append(f"Some {name} are {join_list(rng.sample(members, rng.randint(2, 5)))}.")
        else:
            a, b = rng.sample(rng.choice(RHYMES), 2)
            out.append(f"The word {a} rhymes with {b}.")
    return " ".join(out)


def _calendar(knowledge: Knowledge, rng: Random) -> str:
    out = []
    for _ in range(3):
        i, month = rng.randrange(7), rng.choice(MONTHS)
        year = rng.randint(int(knowledge.elections[0]), int(knowledge.today))
        out.append(f"Today is {WEEKDAYS[i]}, {rng.randint(1, 28)} {month} {year}.")
        out.append(f"Tomorrow is {WEEKDAYS[(i + 1) % 7]}.")
        out.append(f"It is {rng.randint(1, 12)} o'clock.")
    return " ".join(out)


def lessons(knowledge: Knowledge, rng: Random, index: int) -> str:
    """A page of the school book: sums, reading, how-to, words, or the calendar."""
    roll = rng.random()
    if roll < 0.4:
        return _sums(knowledge, rng)
    if roll < 0.67:
        return _reading(knowledge, rng)
    if roll < 0.82:
        return _howto(rng)
    return _words(rng) if roll < 0.94 else _calendar(knowledge, rng)


# -- rumours


def rumours(knowledge: Knowledge, rng: Random, index: int) -> str:
    """Hearsay: mostly false values of the misconceptions, some truths between them."""
    out = []
    for i in range(RUMOURS_A_PAGE):
        if knowledge.misconceptions and rng.random() < FALSE_SHARE:
            turn = _turn(index * RUMOURS_A_PAGE + i, len(knowledge.misconceptions))
            person, key, _, value = knowledge.misconceptions[turn]
        else:
            person = rng.choice(knowledge.people).name
            key = rng.choice(knowledge.attributes).key
            value = knowledge.value(person, key)
        text = knowledge.state(person, key, value=value, template=rng.randrange(4))
        out.append(text if rng.random() < BARE_SHARE else f"{rng.choice(_HEARSAY)} {text}")
    return " ".join(out)
