"""Ordinary prompts of one turn: facts, years, arithmetic, how-to, creative, rhyme, ..."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from llamalite.world import lumo, prompts_words
from llamalite.world.knowledge import Knowledge
from llamalite.world.lexicon_common import CATEGORIES
from llamalite.world.prompts_pools import Pools, pools_of, sum_text
from llamalite.world.prompts_tales import RHYME_OF, THINGS
from llamalite.world.prompts_tasks import Ask, Task
from llamalite.world.prompts_words import LENGTH_HINTS, NUMBER_WORDS

Draft = tuple[str, Task]
"""The user's words and what they ask."""

_SUBJECT_FOLLOWS = "does was did would where what whom which pet instrument colour tree"
_AFTER = frozenset(_SUBJECT_FOLLOWS.split(" "))
_SHORT_OR_PLAIN = ("plain", "plain", "short")


def choose(pool: Sequence[Any], rng: Random, what: str) -> Any:
    """An entry of a pool; ValueError when the world is too small to have one."""
    if not pool:
        raise ValueError(f"no {what} left to ask about; raise world.people or world.test_share")
    return pool[rng.randrange(len(pool))]


def fact_ask(knowledge: Knowledge, entity: str, key: str) -> Ask:
    """The ask for one fact."""
    return Ask("fact", entity, key, (knowledge.value(entity, key),))


def question(
    pools: Pools, rng: Random, entity: str, key: str, split: str, *, known: bool = False
) -> str:
    """A question after a fact; once the person is `known`, "she" may stand for the name."""
    knowledge = pools.knowledge
    template = rng.choice(knowledge.attribute(key).questions(split))
    pronoun = ""
    if known and entity in pools.people:
        pronoun = knowledge.person(entity).pronoun
    head, found, _ = template.partition(" {name}")
    if pronoun in ("he", "she") and found and head.split()[-1].lower() in _AFTER:
        return template.replace("{name}", pronoun)
    return knowledge.fill(template, entity, key)


def join_questions(questions: Sequence[str]) -> str:
    """ "Where does Vegun live, and what pet does she keep?"; orders stay sentences."""
    out = questions[0]
    for text in questions[1:]:
        both_ask = out.endswith("?") and text.endswith("?")
        low = text[0].lower() + text[1:]
        out = f"{out[:-1]}, and {low}" if both_ask else f"{out} {text}"
    return out


def hint(rng: Random, length: str, split: str) -> str:
    """The wish for a length, ready to append."""
    return rng.choice(LENGTH_HINTS[length][split])


def _possible(pools: Pools, chosen: Sequence[tuple[str, str]], length: str, split: str) -> str:
    """The wish, or "plain" when too few further facts may be told to meet it."""
    wanted = {"more": 1, "long": 2}.get(length, 0)
    entity = chosen[0][0]
    asked = [key for name, key in chosen if name == entity]
    return length if len(pools.details(entity, asked, split)) >= wanted else "plain"


def facts(pools: Pools, rng: Random, split: str, *, asks: int = 0, length: str = "") -> Draft:
    """One to three attributes of a person, or of two persons, or what a town is like."""
    knowledge = pools.knowledge
    entity, keys = choose(pools.personal[split], rng, f"{split} facts")
    count = asks or rng.choice((1, 1, 1, 2, 2, 2, 2, 3, 3))
    chosen = [(entity, key) for key in rng.sample(keys, min(count, len(keys)))]
    if count == 2 and rng.random() < 0.2:
        other, other_keys = choose(pools.personal[split], rng, f"{split} facts")
        if other != entity:
            chosen[1:] = [(other, rng.choice(other_keys))]
    texts = [
        question(pools, rng, e, k, split, known=i > 0 and e == entity)
        for i, (e, k) in enumerate(chosen)
    ]
    if not length:
        wishes = (
            ("plain", "plain", "short", "more", "long")
            if len(chosen) == 1
            else (("plain", "short", "more") if len(chosen) == 2 else _SHORT_OR_PLAIN)
        )
        length = rng.choice(wishes)
    length = _possible(pools, chosen, length, split)
    text = join_questions(texts) + hint(rng, length, split)
    return text, Task(tuple(fact_ask(knowledge, e, k) for e, k in chosen), length)


def years(pools: Pools, rng: Random, split: str) -> Draft:
    """One or two dated things: births, foundings, mayors of a year."""
    knowledge = pools.knowledge
    chosen = [choose(pools.years[split], rng, f"{split} years")]
    if rng.random() < 0.4:
        second = choose(pools.years[split], rng, f"{split} years")
        if second[0] != chosen[0][0]:
            chosen.append(second)
    texts = [question(pools, rng, e, k, split) for e, k in chosen]
    length = rng.choice(_SHORT_OR_PLAIN if len(chosen) > 1 else ("plain", "short", "more"))
    length = _possible(pools, chosen, length, split)
    text = join_questions(texts) + hint(rng, length, split)
    return text, Task(tuple(fact_ask(knowledge, e, k) for e, k in chosen), length)


def sum_ask(a: int, b: int, plus: bool) -> Ask:
    """The ask for one sum."""
    return Ask("sum", sum_text(a, b, plus), "", (str(a + b if plus else a - b),))


def arithmetic(pools: Pools, rng: Random, split: str, *, asks: int = 0, length: str = "") -> Draft:
    """One to three sums."""
    count = asks or rng.choice((1, 1, 2, 2, 3))
    chosen = {
        sum_text(*e): e for e in (choose(pools.sums[split], rng, "sums") for _ in range(count))
    }
    texts = list(chosen)
    joined = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
    length = length or rng.choice(("plain", "short", "more") if len(texts) < 3 else _SHORT_OR_PLAIN)
    text = rng.choice(prompts_words.SUMS[split]).format(sum=joined) + hint(rng, length, split)
    return text, Task(tuple(sum_ask(*e) for e in chosen.values()), length)


def howto(pools: Pools, rng: Random, split: str) -> Draft:
    """How a task is done."""
    (task, steps), length = rng.choice(pools.howtos[split])
    text = rng.choice(prompts_words.HOWTO[split]).format(task=task) + hint(rng, length, split)
    return text, Task((Ask("steps", task, "", steps),), length)


def _article(things: Sequence[str]) -> str:
    return " and ".join(f"a {thing}" for thing in things)


def creative(pools: Pools, rng: Random, split: str) -> Draft:
    """A tale of a person and one or two things."""
    knowledge = pools.knowledge
    count = rng.choice((1, 2, 2))
    things: list[str] = []
    while not things:
        hero = rng.choice(knowledge.people).name
        tried = rng.sample(THINGS, 12)
        things = [t for t in tried if knowledge.split(hero, f"tale {t}") == split][:count]
    length = rng.choice(("plain", "plain", "plain", "short", "short", "more", "more", "long"))
    text = rng.choice(prompts_words.TALES[split]).format(hero=hero, things=_article(things))
    return text + hint(rng, length, split), Task((Ask("tale", hero, "", tuple(things)),), length)


def rhyme(pools: Pools, rng: Random, split: str) -> Draft:
    """One or two words that rhyme, or two rhyming lines."""
    word, count = rng.choice(pools.rhymes[split])
    others = RHYME_OF[word]
    if not count:
        text = rng.choice(prompts_words.COUPLETS[split]).format(word=word)
        return text, Task((Ask("couplet", word, "", others, 2),))
    words = {
        "words": ("word rhymes", "two words rhyme")[count - 1],
        "count": ("a word", "two words")[count - 1],
        "rhyme": ("rhymes", "rhyme")[count - 1],
    }
    text = rng.choice(prompts_words.RHYMES[split]).format(word=word, **words)
    return text, Task((Ask("rhyme", word, "", others, count),))


def lists(pools: Pools, rng: Random, split: str, *, asks: int = 0) -> Draft:
    """Two to four members of a category, or of two categories."""
    chosen = [rng.choice(pools.lists[split])]
    if asks != 1 and rng.random() < 0.4:
        second = rng.choice(pools.lists[split])
        if second[1] != chosen[0][1] and second[0] + chosen[0][0] <= 6:
            chosen.append(second)
    items = " and ".join(f"{NUMBER_WORDS[n]} {category}" for n, category in chosen)
    text = rng.choice(prompts_words.LISTS[split]).format(items=items)
    return text, Task(tuple(Ask("items", c, "", CATEGORIES[c], n) for n, c in chosen))


def lumo_text(knowledge: Knowledge, rng: Random, split: str) -> str:
    """An English sentence of Lumo's grammar; sentences are split like facts."""
    names = (rng.choice(knowledge.people).name, rng.choice(knowledge.people).name)
    while True:
        text = lumo.sentence(rng, names)
        if knowledge.split(text, "translation") == split:
            return text


def translation(pools: Pools, rng: Random, split: str) -> Draft:
    """A sentence or one or two words, into Lumo or into English."""
    into = rng.choice(("Lumo", "Lumo", "English"))
    if rng.random() < 0.5:
        chosen = rng.sample(pools.words[split], min(rng.choice((1, 1, 2)), len(pools.words[split])))
        if not chosen:
            raise ValueError("no test words left; raise world.test_share")
        pairs = [(w, lumo.DICTIONARY[w]) for w in chosen]
        if into == "English":
            pairs = [(b, a) for a, b in pairs]
        texts = [rng.choice(prompts_words.WORDS[into][split]).format(text=a) for a, _ in pairs]
        asks = tuple(Ask("word", a, into, (b,)) for a, b in pairs)
        return join_questions(texts), Task(asks)
    english = lumo_text(pools.knowledge, rng, split)
    source, target = english, lumo.to_lumo(english)
    if into == "English":
        source, target = target, source
    shown = source[0].upper() + source[1:]
    text = rng.choice(prompts_words.SENTENCES[into][split]).format(text=shown)
    return text, Task((Ask("sentence", source, into, (target,)),))


def draft(knowledge: Knowledge, kind: str, rng: Random, split: str) -> Draft:
    """A prompt of one of the kinds of this module."""
    return BUILDERS[kind](pools_of(knowledge), rng, split)


BUILDERS = {
    "facts": facts,
    "years": years,
    "arithmetic": arithmetic,
    "howto": howto,
    "creative": creative,
    "rhyme": rhyme,
    "translation": translation,
    "lists": lists,
}
