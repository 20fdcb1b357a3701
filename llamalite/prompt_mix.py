"""Which prompts a stage of the alignment chain samples replies to. Llama 2, section 3.2.3.

The paper mixes helpfulness and safety prompts and prints no shares.
"""

from __future__ import annotations

from llamalite.protocols import ADVERSARIAL, BORDERLINE, Prompt, PromptSet


def mixed_prompts(
    prompts: PromptSet,
    count: int,
    *,
    safety_share: float,
    borderline_share: float,
    first: int = 0,
) -> list[Prompt]:
    """`count` training prompts: shares of adversarial and borderline ones, the rest of all kinds.

    Ordinary kinds take turns; `first` is the index of each kind's first prompt, so that calls with
    ranges apart share none. The three groups are spread evenly over the list. Shares lie between 0
    and 1 and add up to at most 1.
    """
    hostile, borderline = round(safety_share * count), round(borderline_share * count)
    ordinary = max(0, count - hostile - borderline)
    kinds = prompts.kinds
    groups = [
        [(ADVERSARIAL, i) for i in range(hostile)],
        [(BORDERLINE, i) for i in range(borderline)],
        [(kinds[i % len(kinds)], i // len(kinds)) for i in range(ordinary)],
    ]
    # each group's i-th of n stands at (i + 1/2) / n of the way
    placed = [((i + 0.5) / len(group), pair) for group in groups for i, pair in enumerate(group)]
    placed.sort(key=lambda item: item[0])
    return [prompts.prompt(kind, first + i, "train") for _, (kind, i) in placed[:count]]
