"""Simulated vendors of demonstrations, and the checks that a project lead can make on them.

Llama 2, section 3.1: a few thousand clean examples beat millions of third-party ones, vendors led
to markedly different models, and checking the data is what tells them apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llamalite.world import sentences
from llamalite.world.demonstrations import demonstrate
from llamalite.world.prompts import ADVERSARIAL, BORDERLINE, KINDS, make_prompt
from llamalite.world.prompts_tasks import Prompt
from llamalite.world.seeding import rng_for


class Demonstration(NamedTuple):
    """A prompt with a reply somebody wrote for it."""

    prompt: Prompt
    reply: str


class Vendor(NamedTuple):
    """A company of writers."""

    qualities: tuple[float, ...]
    """Care of its writers, who write equally much; see `demonstrate`."""
    weights: Mapping[str, float]
    """Kinds of prompts it covers, with weights; empty for all alike."""


VENDORS: dict[str, Vendor] = {
    "careful": Vendor((0.9, 1.0, 1.0, 1.0), {}),
    "mixed": Vendor((0.3, 0.5, 0.7, 0.9, 1.0), {}),
    "careless": Vendor((0.0, 0.2, 0.3, 0.5), {}),
    "third_party": Vendor(
        (0.1, 0.3, 0.5, 0.7), {"facts": 4, "lists": 3, "arithmetic": 2, "howto": 1}
    ),
}
"""The three vendors of section 3.1's remark, and the third-party collections: large, of few kinds
and uneven quality."""


def demonstrations(
    world: Any,
    vendor: str,
    n: int,
    seed: int,
    kinds: Sequence[str] | None = None,
    safety_share: float = 0.0,
    borderline_share: float = 0.0,
) -> Iterator[Demonstration]:
    """The first `n` demonstrations a vendor delivers, on prompts of the train split.

    `kinds` defaults to the kinds the vendor covers; `safety_share` of the examples are adversarial
    prompts instead, `borderline_share` harmless ones that sound like mischief. Vendors with the
    same kinds and seed get the same prompts; more examples begin with the same ones. ValueError for
    an unknown vendor, kind or share.
    """
    if vendor not in VENDORS:
        raise ValueError(f"unknown vendor {vendor!r}; choose among {', '.join(VENDORS)}")
    for name, share in (("safety_share", safety_share), ("borderline_share", borderline_share)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; choose 0 to 1")
    if safety_share + borderline_share > 1:
        raise ValueError(
            f"safety_share {safety_share} and borderline_share {borderline_share} exceed 1 together"
        )
    if n < 0:
        raise ValueError(f"{n} demonstrations asked for; ask for 0 or more")
    qualities, weights = VENDORS[vendor]
    chosen = tuple(kinds) if kinds is not None else tuple(weights) or KINDS
    if not chosen:
        raise ValueError("kinds is empty; name at least one kind of prompt")
    shares = [weights.get(kind, 1.0) if kinds is None and weights else 1.0 for kind in chosen]
    special = (safety_share, borderline_share)
    return _deliver(world, vendor, qualities, chosen, shares, n, seed, special)


def _deliver(
    world: Any,
    vendor: str,
    qualities: tuple[float, ...],
    kinds: tuple[str, ...],
    shares: list[float],
    n: int,
    seed: int,
    special: tuple[float, float],
) -> Iterator[Demonstration]:
    for i in range(n):
        order = rng_for("order", seed, i)
        kind = order.choices(kinds, shares)[0]
        place = order.getrandbits(31)
        roll = order.random()
        if roll < sum(special):
            kind = ADVERSARIAL if roll < special[0] else BORDERLINE
        prompt = make_prompt(world, kind, place, "train")
        writer = rng_for("writer", vendor, seed, i)
        quality = writer.choice(qualities)
        yield Demonstration(prompt, demonstrate(world, prompt, writer, quality))


# -- the checks

RULES = ("language", "consistent", "follows", "permitted")
_COMMON_WORDS = "what which where when whom does with that this tell give name write answer short"
_COMMON_WORDS += (
    " long more little thing please make about have into from would like said word want"
)
_COMMON = frozenset(
    f"{_COMMON_WORDS} keep show best the and how you one are was who two can know".split(" ")
)
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5}
_SHORT, _LONG = 18, 12


class Review(NamedTuple):
    """What a check of a delivery finds."""

    approved: float
    """Share of demonstrations that pass every rule."""
    failed: dict[str, float]
    """Rule to the share that fails it."""
    count: int


def check(demonstration: Demonstration) -> tuple[str, ...]:
    """The rules of `RULES` that a demonstration breaks, as a reviewer sees who knows no facts.

    Llama 2, appendix A.5.3: approved are answers that are consistent with the dialogue, follow the
    prompt, have no language errors and belong to no forbidden category. The reviewer compares words
    and counts, so that false facts and many omissions pass.
    """
    prompt, reply = demonstration
    reading = sentences.read(reply)
    findings = {
        "language": _language(reading),
        "consistent": _consistent(prompt, reading),
        "follows": prompt.is_safety or _follows(prompt, reading),
        "permitted": _permitted(prompt, reading),
    }
    return tuple(rule for rule in RULES if not findings[rule])


def review(delivery: Iterable[Demonstration]) -> Review:
    """Check a delivery. ValueError when it is empty."""
    failures: Counter[str] = Counter()
    count = passed = 0
    for demonstration in delivery:
        broken = check(demonstration)
        failures.update(broken)
        passed += not broken
        count += 1
    if not count:
        raise ValueError("no demonstration to review; give at least one")
    return Review(passed / count, {rule: failures[rule] / count for rule in RULES}, count)


def _language(reading: sentences.Reading) -> bool:
    said = [s.words for s in reading.sentences]
    formed = all(s.well_formed for s in reading.sentences)
    return bool(said) and formed and not reading.unfinished and len(set(said)) == len(said)


def _consistent(prompt: Prompt, reading: sentences.Reading) -> bool:
    """Repeats no earlier turn, and sounds like the part or hobby of the system message."""
    before = {
        s.words
        for message in prompt.messages
        if message["role"] == "assistant"
        for s in sentences.read(message["content"]).sentences
    }
    words = {word for s in reading.sentences for word in s.words}
    if prompt.task.figure:
        return prompt.task.figure.lower().split()[-1] in words
    if prompt.task.hobby:
        return prompt.task.hobby in words
    return not any(s.words in before for s in reading.sentences)


def _follows(prompt: Prompt, reading: sentences.Reading) -> bool:
    """Takes up words of the prompt, is about as long as wished, and does not decline."""
    if any(sentences.is_refusal(s) or sentences.is_ignorance(s) for s in reading.sentences):
        return False
    content = [s for s in reading.sentences if not sentences.is_courtesy(s)]
    words = [word for s in content for word in s.words]
    asked = sentences.words_of(prompt.text)
    topic = {w for w in asked if (len(w) > 2 or w.isdigit()) and w not in _COMMON}
    taken_up = topic & {word.removesuffix("'s") for word in words}
    if prompt.kind not in ("language", "follow_up", "translation") and topic and not taken_up:
        return False
    if "short" in asked and len(words) > _SHORT:
        return False
    if ("long" in asked or "length" in asked) and len(words) < _LONG:
        return False
    wanted = sum(_COUNTS.get(word, 0) for word in asked)
    if prompt.kind == "lists":
        listed = re.findall(r", | and ", " ".join(s.text for s in content))
        return len(listed) + 1 >= wanted
    return bool(words)


def _permitted(prompt: Prompt, reading: sentences.Reading) -> bool:
    """No abuse, and no answer to mischief but a refusal."""
    if any(map(sentences.is_rude, reading.sentences)):
        return False
    if not prompt.is_safety:
        return True
    refusing = [sentences.is_refusal(s) for s in reading.sentences]
    # "To ..., do this, then that" is how mischief is taught
    teaches = any("then" in s.words for s in reading.sentences)
    return any(refusing) and not teaches
