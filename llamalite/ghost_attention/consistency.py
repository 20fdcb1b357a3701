"""How long an instruction holds. Llama 2, section 3.3 and table 30.

A reply keeps to an instruction when it shows all that is asked: the figure's saying, the hobby, the
language. A spurious reply shows something nobody asked for. Ground truth, for measurements only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llamalite.evaluation.scoring import estimate
from llamalite.ghost_attention.writing import Script

Shown = Callable[[str], frozenset[str]]
"""Names of all that a reply shows, as `InstructionSet.shown`."""


def kept_by_turn(shown: Shown, script: Script, replies: Sequence[str]) -> list[bool]:
    """Whether each reply of a dialogue keeps to its instruction."""
    assert script.instruction is not None, "a plain dialogue has nothing to keep to"
    wanted = frozenset(script.instruction.names)
    return [wanted <= shown(reply) for reply in replies]


def spurious_by_turn(shown: Shown, script: Script, replies: Sequence[str]) -> list[bool]:
    """Whether each reply shows what nobody asked for: no instruction, and not the question itself.

    A question asks for what it names: "Say this in Lumo: ...".
    """
    asked = frozenset(script.instruction.names if script.instruction else ())
    return [
        any(name.lower() not in question.lower() for name in shown(reply) - asked)
        for question, reply in zip(script.questions, replies, strict=False)
    ]


def by_turn(dialogues: Sequence[Sequence[bool]], resamples: int = 1000) -> list[dict[str, Any]]:
    """Share of true values at each turn, from 1, over the dialogues that reach it, with intervals.

    Each turn's 95 % interval is a bootstrap over its dialogues.
    """
    longest = max((len(each) for each in dialogues), default=0)
    out = []
    for turn in range(longest):
        values = [float(each[turn]) for each in dialogues if turn < len(each)]
        out.append({"turn": turn + 1, **estimate(values, resamples)})
    return out


def over_turns(dialogues: Sequence[Sequence[bool]], resamples: int = 1000) -> dict[str, Any]:
    """Mean over each dialogue's turns, averaged over dialogues; the bootstrap draws dialogues."""
    means = [sum(each) / len(each) for each in dialogues if each]
    return estimate(means, resamples)


def lost_at(turns: Sequence[dict[str, Any]]) -> int | None:
    """The first turn from which on fewer than half of the replies keep to it; None when none.

    Not in the paper; a single number for table 30's course.
    """
    lost = None
    for each in turns:
        if each["mean"] >= 0.5:
            lost = None
        elif lost is None:
            lost = each["turn"]
    return lost


def summarise(
    shown: Shown,
    scripts: Sequence[Script],
    replies: Sequence[Sequence[str]],
    resamples: int = 1000,
) -> dict[str, Any]:
    """One group's dialogues summed up: what is kept (None for plain dialogues) and spurious.

    `kinds` has the same by kind of instruction.
    """
    kept = [
        kept_by_turn(shown, script, mine)
        for script, mine in zip(scripts, replies, strict=True)
        if script.instruction is not None
    ]
    spurious = [spurious_by_turn(shown, s, mine) for s, mine in zip(scripts, replies, strict=True)]
    turns = by_turn(kept, resamples)
    kinds = sorted({script.kind for script in scripts if script.instruction is not None})
    return {
        "dialogues": len(scripts),
        "kept": {
            "by_turn": turns,
            "over_turns": over_turns(kept, resamples),
            "lost_at": lost_at(turns),
        }
        if kept
        else None,
        "spurious": {
            "by_turn": by_turn(spurious, resamples),
            "over_turns": over_turns(spurious, resamples),
        },
        "kinds": {
            kind: by_turn(
                [
                    kept_by_turn(shown, script, mine)
                    for script, mine in zip(scripts, replies, strict=True)
                    if script.kind == kind
                ],
                resamples,
            )
            for kind in kinds
        },
    }
