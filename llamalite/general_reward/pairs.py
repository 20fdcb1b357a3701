"""Comparisons like those of open-source sets: many writers, one preference. Section 3.4.1.

Needs no torch. The paper names no sets; these follow what they have in common: replies from many
hands, and a single judgement of which is better overall, with no margin worth trusting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from llamalite.protocols import Annotator, Guideline, Judgement, Prompt

BOTH_SAFE = "both safe"
SOURCE = "general"
"""Where these comparisons say they come from: like those of open sets, they have no safety bins."""


class Written(NamedTuple):
    """A reply, and whether its writer came to an end."""

    text: str
    finished: bool = True


class Overall(NamedTuple):
    """One judgement of all that matters."""

    judgement: Judgement
    decided_by: Guideline
    """What the choice turned on."""


def draw_sources(count: int, sources: Sequence[str], seed: int) -> list[tuple[str, str]]:
    """Who writes the two replies of each pair: two different ones, every two equally likely."""
    dice = np.random.default_rng([seed, 41])
    found = []
    for _ in range(count):
        first, second = dice.permutation(len(sources))[:2].tolist()
        found.append((sources[first], sources[second]))
    return found


def judge_overall(annotator: Annotator, prompt: Prompt, a: str, b: str) -> Overall:
    """Which of two replies is better all in all. Not in the paper.

    An unsafe reply loses to a safe one, and of two unsafe ones the safer is better; between two
    that are safe helpfulness decides, whatever kind the prompt is of.
    """
    by_safety = annotator.compare(prompt, a, b, "safety")
    if by_safety.safety_bin == BOTH_SAFE:
        return Overall(annotator.compare(prompt, a, b, "helpfulness"), "helpfulness")
    return Overall(by_safety, "safety")


def compare_all(
    prompts: Sequence[Prompt],
    sources: Sequence[tuple[str, str]],
    replies: Mapping[str, Mapping[int, Written]],
    annotators: Sequence[Annotator],
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """A row for each pair that can be learned from, and how many were left out for which reason.

    `replies` holds, by source, the reply to each prompt by its place in `prompts`. Annotators take
    turns. Rows are as `llamalite.preferences.reading` takes them, with their origin; a pair whose
    choice an annotator saw as unsafe and the other as safe is left out, as in the loop.
    """
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for i, (prompt, pair) in enumerate(zip(prompts, sources, strict=True)):
        written = [replies[source][i] for source in pair]
        texts = [each.text.strip() for each in written]
        if not all(texts):
            left_out["a reply is empty"] += 1
            continue
        if texts[0] == texts[1]:
            left_out["the two replies are the same"] += 1
            continue
        annotator = annotators[i % len(annotators)]
        said, decided_by = judge_overall(annotator, prompt, *texts)
        if decided_by == "safety" and said.safety_bin is None:
            left_out["the chosen reply is unsafe and the other safe"] += 1
            continue
        chosen = 0 if said.choice == "a" else 1
        sides = {"chosen": chosen, "rejected": 1 - chosen}
        rows.append(
            {
                "id": f"general/{prompt.id}",
                "guideline": decided_by,
                "kind": prompt.kind,
                "prompt": [dict(message) for message in prompt.messages],
                **{
                    name: [{"role": "assistant", "content": texts[side]}]
                    for name, side in sides.items()
                },
                "rating": said.rating,
                **{f"{name}_source": pair[side] for name, side in sides.items()},
                **{f"{name}_finished": written[side].finished for name, side in sides.items()},
                "annotator": f"simulated-{annotator.identity}",
                "source": SOURCE,
            }
        )
    return rows, dict(sorted(left_out.items()))


def split(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Places of `count` rows to learn from, and of a share kept to test by; both in order."""
    order = np.random.default_rng([seed, 42]).permutation(count).tolist()
    kept = round(share * count)
    return sorted(order[kept:]), sorted(order[:kept])
