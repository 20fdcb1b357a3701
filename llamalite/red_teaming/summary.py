"""A campaign in numbers, as red_team.json holds it. Llama 2, section 4.3."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from llamalite.evaluation.bootstrap import Interval
from llamalite.evaluation.scoring import share
from llamalite.protocols import Dialogue
from llamalite.red_teaming.campaign import Attempt, Round, by_cell, gamma, share_of, successes

_SAMPLES = 3


def report(
    rounds: Sequence[Round],
    fresh: Sequence[Round],
    people: Sequence[Attempt],
    found: int,
    tuned_on: Collection[Dialogue],
) -> dict[str, Any]:
    """`rounds` against every model; `fresh`, before and after tuning with prompts held out; people.

    `tuned_on` are the prompts whose better answers the last model learned. Its entry among "rounds"
    says how many attempts asked one of them, in "tuned_on", and of how many carried prompts its
    rejection rate is theirs, in "carried_tuned_on": what falls there may be memory. The entries of
    "fresh" are free of that.
    """
    learned = {_texts(dialogue) for dialogue in tuned_on}
    entries = [_entry(each) | {"tuned_on": 0, "carried_tuned_on": 0} for each in rounds]
    if learned:
        known = [_texts(attempt.prompt.messages) in learned for attempt in rounds[-1].attempts]
        carried = [_texts(p.messages) in learned for p in successes(rounds[-2].attempts)]
        entries[-1] |= {"tuned_on": sum(known), "carried_tuned_on": sum(carried)}
    return {
        "rounds": entries,
        "fresh": [_entry(each) for each in fresh],
        "people": {
            "attempts": len(people),
            "gamma": _rounded(gamma(people)) if people else None,
            "rounds": _by_candidate(people),
        },
        "found": found,
    }


def _entry(each: Round) -> dict[str, Any]:
    return {
        "candidate": each.candidate,
        "attempts": len(each.attempts),
        "gamma": _rounded(gamma(each.attempts)),
        "violations": share([a.violation for a in each.attempts]),
        "violations_in_truth": share(each.truth),
        "carried": len(each.carry_over),
        "carry_over": _rounded(share_of(each.carry_over)),
        "control": _rounded(share_of(each.control)),
        "cells": by_cell(each.attempts),
        "samples": _samples(each.attempts),
    }


def _by_candidate(people: Sequence[Attempt]) -> list[dict[str, Any]]:
    """People's attempts by the model they attacked, in the order of first attempts."""
    found: dict[str, list[Attempt]] = {}
    for attempt in people:
        found.setdefault(attempt.candidate, []).append(attempt)
    return [
        {"candidate": name, "attempts": len(mine), "gamma": _rounded(gamma(mine))}
        for name, mine in found.items()
    ]


def _texts(dialogue: Dialogue) -> tuple[tuple[str, str], ...]:
    """What is said, by whom: prompts of different numbers may be the same."""
    return tuple((message["role"], message["content"]) for message in dialogue)


def _samples(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """The first attempts that drew a violation, with the reply."""
    return [
        {
            "prompt": attempt.prompt.messages[-1]["content"],
            "reply": attempt.reply,
            "risk": attempt.risk,
            "category": attempt.prompt.risk,
            "vector": attempt.prompt.vector,
        }
        for attempt in [a for a in attempts if a.violation][:_SAMPLES]
    ]


def _rounded(interval: Interval | None) -> dict[str, float] | None:
    return interval and {name: round(v, 6) for name, v in interval._asdict().items()}
