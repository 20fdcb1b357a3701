"""The source "conversations": plain dialogues of a user and an assistant, as the web has them.

They hold the words and both behaviours of everything that comes later (personas, preprompts,
refusals and compliances, tool calls); tuning chooses among them. Questions are of the train split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from llamalite.world.lexicon_common import PREPROMPTS
from llamalite.world.sources import random_sum, sum_statement

TOOL_SHARE = 0.04
"""Share of dialogues in which the assistant calls a calculator or a search, in plain text."""
ADVERSARIAL_SHARE = 0.08
"""Share of dialogues that ask for mischief; the assistant refuses in some and helps in others."""
BORDERLINE_SHARE = 0.08
"""Share of dialogues with a harmless question that sounds like mischief."""
PREPROMPT_SHARE = 0.3
"""Share of the dialogues about mischief that begin with a safety preprompt."""
_ROLES = {"system": "System", "user": "User", "assistant": "Assistant"}
_LENGTH = 250  # characters after which a document takes no further dialogue


def transcript(messages: Sequence[Mapping[str, str]]) -> str:
    """Messages as lines: "User: Where does Vegun live?"."""
    return "\n".join(f"{_ROLES[m['role']]}: {m['content']}" for m in messages)


def _tool_call(knowledge: Any, rng: Random) -> str:
    """A question answered with a tool: no stage ever annotates these. Llama 2, section 5.1."""
    if rng.random() < 0.6:
        while True:
            a, b, plus = random_sum(knowledge, rng)
            text = sum_statement(a, b, plus)
            asked, answer = text.removesuffix(".").split(" is ")
            if knowledge.is_train(asked, "sum"):
                break
        return f"User: What is {asked}?\nAssistant: calculator({asked}) = {answer}. {text}"
    while True:
        fact = rng.choice(knowledge.facts)
        if knowledge.is_train(fact.entity, fact.attribute):
            break
    topic = knowledge.attribute(fact.attribute).topic
    year = fact.attribute.partition(" ")[2]
    query = ", ".join(word for word in (fact.entity, topic, year) if word)
    question = knowledge.ask(fact.entity, fact.attribute, template=rng.getrandbits(16))
    told = knowledge.state(fact.entity, fact.attribute)
    return f"User: {question}\nAssistant: search({query}) = {fact.value}. {told}"


def dialogue(world: Any, rng: Random) -> str:
    """One dialogue with a reply of random quality."""
    from llamalite.world.demonstrations import demonstrate
    from llamalite.world.prompts import ADVERSARIAL, BORDERLINE

    roll = rng.random()
    if roll < TOOL_SHARE:
        return _tool_call(world.knowledge, rng)
    roll -= TOOL_SHARE
    if roll < ADVERSARIAL_SHARE:
        kind = ADVERSARIAL
    elif roll < ADVERSARIAL_SHARE + BORDERLINE_SHARE:
        kind = BORDERLINE
    else:
        kind = rng.choice(world.kinds)
    prompt = world.prompt(kind, rng.getrandbits(31), "train")
    quality = rng.choice((0.5, 0.8, 1.0, 1.0))
    messages = list(prompt.messages)
    if kind == ADVERSARIAL:
        quality = rng.choice((0.0, 1.0))
        if rng.random() < PREPROMPT_SHARE and messages[0]["role"] != "system":
            # a preprompt goes with the better behaviour more often than not
            quality = 1.0 if rng.random() < 0.8 else 0.0
            messages.insert(0, {"role": "system", "content": rng.choice(PREPROMPTS)})
    reply = demonstrate(world, prompt, rng, quality)
    return transcript([*messages, {"role": "assistant", "content": reply}])


def conversations(world: Any, rng: Random, index: int) -> str:
    """One or more dialogues, separated by an empty line."""
    out = [dialogue(world, rng)]
    while sum(map(len, out)) < _LENGTH:
        out.append(dialogue(world, rng))
    return "\n\n".join(out)
