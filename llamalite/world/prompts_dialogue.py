"""Ordinary prompts with a history or a system message: follow-up, persona, hobby, language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from llamalite.world import lumo, prompts_words
from llamalite.world.prompts_ordinary import (
    arithmetic,
    choose,
    fact_ask,
    facts,
    lists,
    lumo_text,
    question,
)
from llamalite.world.prompts_pools import Pools
from llamalite.world.prompts_tasks import Ask, Task

Messages = tuple[Mapping[str, str], ...]
_OBJECT = {"he": "him", "she": "her"}


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def follow_up(pools: Pools, rng: Random, split: str) -> tuple[Messages, Task]:
    """A question, its answer, and a question that leans on them.

    Three forms: another attribute of the same person, the same attribute of another person, or more
    about the person. In the train split nothing held out is asked in any turn.
    """
    knowledge = pools.knowledge
    name, keys = choose(pools.personal[split], rng, f"{split} facts")
    while name not in pools.people:
        name, keys = choose(pools.personal[split], rng, f"{split} facts")
    roll = rng.random()
    first = rng.choice(keys)
    if len(keys) > 1 and roll < 0.45:
        first, key = rng.sample(keys, 2)
        text = question(pools, rng, name, key, split, known=True)
        text = f"And {text[0].lower()}{text[1:]}"
        task = Task((fact_ask(knowledge, name, key),))
    elif roll < 0.75 and (other := _other(pools, rng, split, name, first)):
        text = rng.choice(prompts_words.FOLLOW_PERSON[split]).format(name=other)
        task = Task((fact_ask(knowledge, other, first),))
    else:
        count = min(rng.choice((1, 2)), max(1, len(pools.details(name, [first], split))))
        wanted = ("one more thing", "two more things")[count - 1]
        whom = _OBJECT.get(knowledge.person(name).pronoun, name)
        text = rng.choice(prompts_words.FOLLOW_MORE[split]).format(count=wanted, whom=whom)
        task = Task((Ask("about", name, "", (first,), count),))
    messages = (
        _message("user", question(pools, rng, name, first, split)),
        _message("assistant", knowledge.state(name, first)),
        _message("user", text),
    )
    return messages, task


def _other(pools: Pools, rng: Random, split: str, name: str, key: str) -> str:
    """Another person of whom the attribute may be asked in this split, "" if luck has none."""
    for _ in range(12):
        other = rng.choice(pools.knowledge.people).name
        if other != name and pools.knowledge.split(other, key) == split:
            return other
    return ""


def _question(pools: Pools, rng: Random, split: str) -> tuple[str, Task]:
    """A short question for the kinds whose point is the system message."""
    roll = rng.random()
    if roll < 0.5:
        return facts(pools, rng, split, asks=1, length="plain")
    if roll < 0.75:
        return arithmetic(pools, rng, split, asks=1, length="plain")
    return lists(pools, rng, split, asks=1)


def persona(pools: Pools, rng: Random, split: str) -> tuple[Messages, Task]:
    """A system message to act as a figure; the figure's saying must be heard in the reply."""
    figure = rng.choice(pools.figures[split])
    template = rng.choice(prompts_words.FIGURES[split])
    text, task = _question(pools, rng, split)
    system = template.format(name=figure.name, role=figure.role)
    return (_message("system", system), _message("user", text)), replace(task, figure=figure.name)


def hobby(pools: Pools, rng: Random, split: str) -> tuple[Messages, Task]:
    """A system message that gives a hobby, to be shown in the reply."""
    chosen = rng.choice(pools.hobbies[split])
    text, task = _question(pools, rng, split)
    system = rng.choice(prompts_words.HOBBIES[split]).format(hobby=chosen.name)
    return (_message("system", system), _message("user", text)), replace(task, hobby=chosen.name)


def language(pools: Pools, rng: Random, split: str) -> tuple[Messages, Task]:
    """A system message to speak Lumo, and something to say."""
    english = lumo_text(pools.knowledge, rng, split)
    text = rng.choice(prompts_words.SAY[split]).format(text=english[0].upper() + english[1:])
    system = rng.choice(prompts_words.LANGUAGE[split])
    ask = Ask("sentence", english, "Lumo", (lumo.to_lumo(english),))
    return (_message("system", system), _message("user", text)), Task((ask,), language="Lumo")


BUILDERS = {"follow_up": follow_up, "persona": persona, "hobby": hobby, "language": language}
