"""The claim of section 3.3 about how long an instruction holds: G1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from llamalite.claims.budgets import ghost_dialogues
from llamalite.claims.reward_runs import some
from llamalite.claims.rules import Above, Below, Greater, Rule
from llamalite.claims.stages import GHOST_ATTENTION
from llamalite.claims.studies_pretraining import load_trained
from llamalite.claims.study import Finished, claim, own_arm

EARLY = 4
"""The turn at which the paper's model without Ghost Attention keeps to 10 % (table 30)."""
LATE = 20
"""The last turn of table 30."""
HALF = 0.5
"""An instruction is lost when fewer than half of the replies keep to it."""
WELL = 0.3
"""How much more the tuned model must keep from turn 20 on; the paper's table has 100 % to 0. Ours,
set when development figures of seed 0 were known (LOG.md)."""
WITH, WITHOUT = "with", "without"


@claim(
    "G1",
    Rule(
        "The SFT model tuned by Ghost Attention, and the same SFT model with its context stretched "
        "as far, hold dialogues whose instruction stands at the start only (names trained on, test "
        "wordings, the same questions). From turn "
        f"{EARLY} on the tuned model keeps to it more often. Without the tuning it is lost: from "
        f"turn {EARLY} on fewer than half of the replies keep to it, and fewer than at the first "
        f"turn. With it, it holds: from turn {LATE} on more than half do, and by more than "
        f"{WELL:g} more than without. All must hold. Dialogues for which either model's context "
        "runs out before a turn are left out of what is said of it; where none is left nothing is "
        "decided.",
        (
            Greater(f"kept from turn {EARLY}, {WITH}", f"kept from turn {EARLY}, {WITHOUT}"),
            Greater(f"kept at turn 1, {WITHOUT}", f"kept from turn {EARLY}, {WITHOUT}"),
            Below(f"kept from turn {EARLY}, {WITHOUT}", HALF),
            Above(f"kept from turn {LATE}, {WITH}", HALF),
            Above(f"more kept from turn {LATE}", WELL),
        ),
    ),
    arms=own_arm,
    until=GHOST_ATTENTION,
)
def instructions_hold(finished: Finished) -> dict[str, Any]:
    """Shares of each dialogue's replies that keep to its instruction; both models by turn."""
    from llamalite.ghost_attention.consistency import by_turn, kept_by_turn
    from llamalite.ghost_attention.data import measured_scripts
    from llamalite.ghost_attention.recipe import CONSISTENCY, longer, open_world
    from llamalite.ghost_attention.sample import write_replies
    from llamalite.model.checkpoint import read_json

    stages = finished.arms["own"]
    tuned = stages[GHOST_ATTENTION]
    config = replace(
        finished.preset.ghost_attention, measured_dialogues=ghost_dialogues(finished.preset)
    )
    instructions, prompts = open_world(stages["world"])
    recorded = read_json(tuned.file(CONSISTENCY))
    scripts = measured_scripts(instructions, prompts, recorded["names"]["trained"], config)
    _, chat, tokenizer = load_trained(stages, "sft")
    _, model, _ = load_trained(stages, GHOST_ATTENTION)
    models = {WITH: model, WITHOUT: longer(chat, config.sequence_length).eval()}
    kept: dict[str, list[list[bool]]] = {}
    found: dict[str, Any] = {}
    for name, one in models.items():
        replies = write_replies(one, tokenizer, scripts, config, finished.seed)
        kept[name] = [
            kept_by_turn(instructions.shown, script, mine)
            for script, mine in zip(scripts, replies, strict=True)
        ]
        turns = by_turn(kept[name], config.resamples)
        found[f"curve turn, {name}"] = [each["turn"] for each in turns]
        found[f"curve kept, {name}"] = [each["mean"] for each in turns]
        found[f"curve dialogues, {name}"] = [each["n"] for each in turns]
    for label, name in (("after", WITH), ("before", WITHOUT)):
        plain = recorded["models"][label]["plain"]["spurious"]
        found[f"shown unasked, {name}"] = plain["over_turns"]["mean"]
    return kept_by_both(kept[WITH], kept[WITHOUT]) | found


def kept_by_both(
    tuned: Sequence[Sequence[bool]], untuned: Sequence[Sequence[bool]]
) -> dict[str, list[float]]:
    """What the rule is about, from whether each reply of the same dialogues is kept, by turn.

    A dialogue counts from a turn on when both models reach that turn; at turn 1 those count that
    do from `EARLY` on.
    """
    early, late = (
        [(a, b) for a, b in zip(tuned, untuned, strict=True) if min(len(a), len(b)) >= first]
        for first in (EARLY, LATE)
    )
    found: dict[str, list[float]] = {}
    for place, name in enumerate((WITH, WITHOUT)):
        found[f"kept at turn 1, {name}"] = some([float(pair[place][0]) for pair in early], HALF)
        for first, pairs in ((EARLY, early), (LATE, late)):
            shares = [float(np.mean(pair[place][first - 1 :])) for pair in pairs]
            found[f"kept from turn {first}, {name}"] = some(shares, HALF)
    more = [float(np.mean(a[LATE - 1 :]) - np.mean(b[LATE - 1 :])) for a, b in late]
    return found | {f"more kept from turn {LATE}": some(more, WELL)}
