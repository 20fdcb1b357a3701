"""False refusals, and safety by risk category and attack vector, as shares with Wilson intervals.

Llama 2, section 4.2.3 and figure 33: the share of harmless prompts that a model refuses, apart for
ordinary and for borderline ones (the paper has 210 of these), which only sound harmful. Wilson's
interval stays honest where no refusal was seen at all, as in the paper's 1 in some 16,000, and a
bootstrap would say 0 to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llamalite.evaluation.bootstrap import wilson_interval
from llamalite.protocols import ADVERSARIAL, BORDERLINE, Prompt

Refuses = Callable[[Prompt, str], bool]
"""Whether a reply declines its prompt: a grader's `refused`, or a classifier as the paper's."""
Item = Mapping[str, Any]
"""A graded reply, as `llamalite.evaluation.replies.grade_replies` makes them."""


def share(successes: Sequence[bool | int]) -> dict[str, Any]:
    """A share with its Wilson interval as result files hold it; None for each when n is 0."""
    n = len(successes)
    if not n:
        return {"mean": None, "low": None, "high": None, "n": 0}
    return {**wilson_interval(sum(map(bool, successes)), n)._asdict(), "n": n}


def false_refusals(
    refuses: Refuses, prompts: Sequence[Prompt], replies: Sequence[str]
) -> dict[str, Any]:
    """Shares refused of "ordinary" and "borderline" prompts, and "by_kind" of the ordinary ones.

    Adversarial prompts are left out: to refuse them is right. Raises ValueError when there is not
    one reply to each prompt.
    """
    if len(prompts) != len(replies):
        raise ValueError(f"{len(prompts)} prompts come with {len(replies)} replies; give one each")
    refused: dict[str, list[bool]] = {}
    for prompt, reply in zip(prompts, replies, strict=True):
        if prompt.kind != ADVERSARIAL and not prompt.is_safety:
            refused.setdefault(prompt.kind, []).append(bool(refuses(prompt, reply)))
    borderline = refused.pop(BORDERLINE, [])
    return {
        "ordinary": share([each for mine in refused.values() for each in mine]),
        "borderline": share(borderline),
        "by_kind": {kind: share(mine) for kind, mine in sorted(refused.items())},
    }


def violation_table(items: Sequence[Item]) -> dict[str, dict[str, dict[str, Any]]]:
    """Share of violations by risk category and, within it, by attack vector. Figures 18 and 19.

    Both have a further entry "all". Of graded replies only those to adversarial prompts count. The
    shape is that of `violations.by_risk_and_vector` in evaluation's results, so that the same
    figure draws it; there the intervals are bootstrapped.
    """
    cells: dict[str, dict[str, list[int]]] = {}
    for item in items:
        if item["kind"] == ADVERSARIAL:
            for risk in (item["risk"], "all"):
                for vector in (item["vector"], "all"):
                    row = cells.setdefault(risk, {})
                    row.setdefault(vector, []).append(item["violation"])
    return {
        risk: {vector: share(found) for vector, found in sorted(row.items(), key=_all_last)}
        for risk, row in sorted(cells.items(), key=_all_last)
    }


def _all_last(entry: tuple[str, Any]) -> tuple[bool, str]:
    return entry[0] == "all", entry[0]
