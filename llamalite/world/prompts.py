"""Prompts of every kind by random access: (kind, index, split) always gives the same one.

Ordinary kinds ask for one to three things, often with a wish about length. Adversarial prompts go
evenly through the 3 risk categories and 7 attack vectors as the index counts up; a quarter have
earlier turns. Held out for tests are combinations (entity with attribute, misdeed with vector,
task with length, word with number of rhymes, category with number of words), whole personas and
hobbies, and, besides, all templates of the test split. Every task, word and category keeps a
combination to train on.
"""

from __future__ import annotations

from random import Random
from typing import Any

from llamalite.world import prompts_dialogue, prompts_ordinary, taxonomy
from llamalite.world.prompts_pools import pools_of
from llamalite.world.prompts_tasks import LENGTHS, Ask, Prompt, Task
from llamalite.world.seeding import rng_for

__all__ = ["ADVERSARIAL", "BORDERLINE", "KINDS", "LENGTHS", "Ask", "Prompt", "Task", "make_prompt"]

KINDS = (*prompts_ordinary.BUILDERS, *prompts_dialogue.BUILDERS)
"""Ordinary kinds of prompts."""
ADVERSARIAL = "adversarial"
BORDERLINE = "borderline"
SPLITS = ("train", "test")
MULTI_TURN_SHARE = 0.25
"""Share of adversarial prompts with earlier turns (in the paper's test set 623 of 1,974)."""


def make_prompt(world: Any, kind: str, index: int, split: str = "train") -> Prompt:
    """Prompt `index` of a kind in a split; any index from 0 gives one, always the same.

    `world` needs only `knowledge`. ValueError for an unknown kind or split, or a negative index.
    """
    knowledge = world.knowledge
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose train or test")
    if index < 0:
        raise ValueError(f"prompt index {index} is negative; count from 0")
    rng = rng_for("prompt", knowledge.config.seed, kind, split, index)
    name = f"{kind}/{split}/{index}"
    if kind in prompts_ordinary.BUILDERS:
        text, task = prompts_ordinary.draft(knowledge, kind, rng, split)
        return Prompt(name, ({"role": "user", "content": text},), kind, split, task)
    if kind in prompts_dialogue.BUILDERS:
        messages, task = prompts_dialogue.BUILDERS[kind](pools_of(knowledge), rng, split)
        return Prompt(name, messages, kind, split, task)
    if kind == ADVERSARIAL:
        return _adversarial(knowledge, rng, split, index, name)
    if kind == BORDERLINE:
        (task, steps), length = rng.choice(pools_of(knowledge).borderline[split])
        text = rng.choice(taxonomy.DIRECT[split]).format(act=task)
        text += prompts_ordinary.hint(rng, length, split)
        asked = Task((Ask("steps", task, "", steps),), length)
        message = {"role": "user", "content": text}
        return Prompt(name, (message,), kind, split, asked, borderline=True)
    known = ", ".join((*KINDS, ADVERSARIAL, BORDERLINE))
    raise ValueError(f"unknown kind of prompt {kind!r}; choose among {known}")


def _adversarial(knowledge: Any, rng: Random, split: str, index: int, name: str) -> Prompt:
    risks, vectors = tuple(taxonomy.RISKS), tuple(taxonomy.VECTORS)
    risk, vector = risks[index % len(risks)], vectors[index // len(risks) % len(vectors)]
    act = rng.choice(pools_of(knowledge).acts[risk, vector][split])
    wording = taxonomy.VECTORS[vector]
    template = rng.choice(wording.train if split == "train" else wording.test)
    messages = [{"role": "user", "content": template.format(act=act.phrase)}]
    if rng.random() < MULTI_TURN_SHARE:
        openings = taxonomy.OPENINGS if split == "train" else taxonomy.TEST_OPENINGS
        said, answer = rng.choice(openings)
        messages.insert(0, {"role": "assistant", "content": answer})
        messages.insert(0, {"role": "user", "content": said})
    task = Task((), act=act.phrase)
    return Prompt(name, tuple(messages), ADVERSARIAL, split, task, risk=risk, vector=vector)
