"""Replies that a person of a certain care might write: good, middling and bad ones.

At quality 1 a reply does all that is asked and gets a helpfulness of at least .9 (or, to an
adversarial prompt, a refusal worth a safety grade of 5). Lower quality leaves things out, gets them
wrong, ignores wishes about length, drifts, repeats, breaks off, and more often helps with mischief.
"""

from __future__ import annotations

from random import Random
from typing import Any

from llamalite.world import prompts_words, taxonomy
from llamalite.world.demonstrations_words import DROP, WRONG, Writer
from llamalite.world.lexicon_common import FIGURES, HOBBIES
from llamalite.world.prompts_pools import pools_of
from llamalite.world.prompts_tasks import Prompt

COMPLY = 0.95
"""Chance at quality 0 to help with a misdeed; at quality q it is (1 - q) ** 1.5 times this."""
REFUSE_THEN_COMPLY = 0.1
"""Share of compliances that begin with a refusal."""
# Chances at quality 0 of further flaws, and of courtesy at qualities 0 and 1.
IGNORANT, DECLINE, DRIFT, REPEAT, RUDE, BREAK_OFF, SLOPPY = 0.12, 0.08, 0.5, 0.22, 0.06, 0.15, 0.2
COURTESY = (0.2, 0.85)

LONG_ENOUGH = 85
"""Characters from which a reply goes without courtesy, to stay within some 48 tokens."""

_REFUSALS = (
    "I will not help you {act}.",
    "I cannot help you {act}.",
    "I will not tell you how to {act}.",
    "Sorry, I will not help you {act}.",
)
_EMPTY_REFUSALS = ("I cannot help you with that.", "I will not answer that.")
_OFFERS = (
    "Better {better}.",
    "I can help you {better}.",
    "Why not {better}?",
    "You could {better} instead.",
)
_AGREEMENTS = ("Sure.", "Of course.", "Gladly.", "")


def demonstrate(world: Any, prompt: Prompt, rng: Random, quality: float = 1.0) -> str:
    """A reply to a prompt, written with a care of `quality` from 0 to 1.

    `world` needs only `knowledge`. The same generator state gives the same reply. Replies to train
    prompts tell no held-out combination. ValueError when quality is outside 0 to 1.
    """
    if not 0 <= quality <= 1:
        raise ValueError(f"quality is {quality}; choose 0 to 1")
    writer = Writer(pools_of(world.knowledge), prompt, rng, quality)
    out = _about_mischief(writer) if prompt.task.act else _answer(writer)
    text = " ".join(out)
    if writer.slips(BREAK_OFF):
        words = text.split(" ")
        text = " ".join(words[: max(1, len(words) - rng.randint(1, 3))]).rstrip(".!?")
    return text


def refuse(prompt: Prompt, rng: Random) -> str:
    """A full refusal of an adversarial prompt: names the misdeed, says why, offers better."""
    act = taxonomy.ACT_BY_PHRASE[prompt.task.act]
    return " ".join(_refusal(act, rng))


def comply(prompt: Prompt, rng: Random) -> str:
    """A reply that helps with the misdeed of an adversarial prompt."""
    act = taxonomy.ACT_BY_PHRASE[prompt.task.act]
    return " ".join(_compliance(act, rng, list(act.steps)))


def _answer(writer: Writer) -> list[str]:
    rng, task = writer.rng, writer.prompt.task
    if writer.slips(IGNORANT):
        return [rng.choice(prompts_words.IGNORANCE)]
    if writer.slips(DECLINE):
        return [rng.choice(_EMPTY_REFUSALS)]
    out = writer.content() or [rng.choice(prompts_words.DRIFT)]
    if task.figure and not writer.slips(DROP):
        saying = next(f.saying for f in FIGURES if f.name == task.figure)
        out.insert(0 if rng.random() < 0.5 else len(out), saying)
    if task.hobby and not writer.slips(DROP):
        out.append(next(h.line for h in HOBBIES if h.name == task.hobby))
    if writer.slips(REPEAT):
        out.append(rng.choice(out))
    while len(out) < 6 and writer.slips(DRIFT):
        out.insert(rng.randrange(len(out) + 1), rng.choice(prompts_words.DRIFT))
    if writer.slips(RUDE):
        out.append(rng.choice(prompts_words.RUDE_LINES))
    if writer.slips(SLOPPY):
        out = [text[0].lower() + text[1:] for text in out]
    return _polite(out, writer, rng)


def _polite(out: list[str], writer: Writer, rng: Random) -> list[str]:
    low, high = COURTESY
    wanted = rng.random() < low + (high - low) * writer.quality
    if not wanted or sum(map(len, out)) > LONG_ENOUGH:
        return out
    if writer.prompt.task.language:
        return [*out, rng.choice(prompts_words.LUMO_COURTESY)]
    if rng.random() < 0.4:
        return [rng.choice(prompts_words.OPENINGS), *out]
    return [*out, rng.choice(prompts_words.CLOSINGS)]


def _about_mischief(writer: Writer) -> list[str]:
    rng, act = writer.rng, taxonomy.ACT_BY_PHRASE[writer.prompt.task.act]
    if rng.random() < COMPLY * (1 - writer.quality) ** 1.5:
        return _compliance(act, rng, writer.kept(list(act.steps)) or list(act.steps[:1]))
    if writer.slips(DROP / 2):
        return [rng.choice(_EMPTY_REFUSALS)]
    named, reason, offer = _refusal(act, rng)
    if writer.slips(WRONG / 2):
        named = rng.choice(_REFUSALS).format(act=rng.choice(taxonomy.ACTS).phrase)
    if writer.slips(WRONG):
        reason = rng.choice(taxonomy.RISKS[rng.choice(list(taxonomy.RISKS))].reasons)
    out = [named, *writer.kept([reason, offer])]
    if writer.slips(DRIFT / 2):
        out.append(rng.choice(prompts_words.DRIFT))
    if rng.random() < 0.3 * writer.quality and sum(map(len, out)) < LONG_ENOUGH:
        out.append(rng.choice(prompts_words.CLOSINGS))
    return out


def _refusal(act: taxonomy.Act, rng: Random) -> list[str]:
    return [
        rng.choice(_REFUSALS).format(act=act.phrase),
        rng.choice(taxonomy.RISKS[act.risk].reasons),
        rng.choice(_OFFERS).format(better=act.better),
    ]


def _compliance(act: taxonomy.Act, rng: Random, steps: list[str]) -> list[str]:
    start = rng.choice(_AGREEMENTS)
    if rng.random() < REFUSE_THEN_COMPLY:
        start = rng.choice(_REFUSALS).format(act=act.phrase) + " But if you must:"
    text = f"To {act.phrase}, {', then '.join(steps)}."
    return [start, text] if start else [text]
