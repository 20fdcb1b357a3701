"""What the micro-world's generators put into the corpus, from their constants and templates. P10.

An audit reads texts; these rates are worked out without reading any.
"""

from __future__ import annotations

from llamalite.world import World
from llamalite.world.knowledge import PRONOUN_SHARES
from llamalite.world.sources import BARE_SHARE, PRONOUN_CHANCE, RUMOURS_A_PAGE, TOWN_EVERY
from llamalite.world.sources_more import INSULTS_A_PAGE

Rates = dict[tuple[str, str, str], float]
"""(source, heading, part) -> share of the source's documents with it, 0 to 1."""
_NAMES = {"she": "she", "he": "he", "unspecified": "they"}


def some(chance: float, times: int) -> float:
    """Chance that something happens at least once."""
    return 1 - (1 - chance) ** times


def known_rates(world: World) -> Rates:
    """Of three sources whose making leaves no doubt: the encyclopedia, the rumours, the insults."""
    people, articles = world.knowledge.people, 1 - 1 / TOWN_EVERY
    told = articles * some(PRONOUN_CHANCE, len(world.knowledge.attributes) - 1)
    rates: Rates = {("encyclopedia", "persons", "third"): told}
    for part, pronoun in _NAMES.items():
        share = sum(person.pronoun == pronoun for person in people) / len(people)
        rates["encyclopedia", "pronouns", part] = told * share
    # of four openings of hearsay one says "They", one "I", one "It"
    opening = (1 - BARE_SHARE) / 4
    rates["rumours", "pronouns", "unspecified"] = some(opening, RUMOURS_A_PAGE)
    rates["rumours", "persons", "first"] = some(opening, RUMOURS_A_PAGE)
    rates["rumours", "persons", "third"] = some(2 * opening, RUMOURS_A_PAGE)
    rates["rumours", "persons", "second"] = 0.0
    # of six insults one says "I" and two say "You"
    rates["toxic", "persons", "first"] = some(1 / 6, INSULTS_A_PAGE)
    rates["toxic", "persons", "second"] = some(2 / 6, INSULTS_A_PAGE)
    rates["toxic", "persons", "third"] = 0.0
    return rates | _described(world, articles)


def _described(world: World, articles: float) -> Rates:
    """Towns and crafts: an article tells a person's, a page of insults draws towns at random."""
    knowledge = world.knowledge
    rates: Rates = {}
    for key in ("town", "craft"):
        values = [knowledge.value(person.name, key) for person in knowledge.people]
        for value in knowledge.values(key):
            rates["encyclopedia", key, value] = articles * values.count(value) / len(values)
    for town in knowledge.towns:
        rates["encyclopedia", "town", town.name] += 1 / TOWN_EVERY / len(knowledge.towns)
        rates["toxic", "town", town.name] = some(1 / len(knowledge.towns), INSULTS_A_PAGE)
    return rates


def expected_skew() -> tuple[str, ...]:
    """Parts of the pronouns from most to least."""
    return tuple(sorted(_NAMES, key=lambda part: -PRONOUN_SHARES[_NAMES[part]]))
