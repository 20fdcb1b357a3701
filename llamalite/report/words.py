"""Sentences of the report that follow from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def result(gain: Mapping[str, Any] | None) -> str:
    """What tuning came to, in a sentence that follows from the numbers; empty without any."""
    if gain is None:
        return ""
    if gain["low"] > 0:
        words = "The chat model is more helpful than the base model"
    elif gain["high"] < 0:
        words = "The chat model is less helpful than the base model"
    else:
        words = "The chat model is not shown to be more helpful than the base model"
    prompts = f"{gain['n']} prompt" + ("s" if gain["n"] > 1 else "")
    return (
        f"{words}: by gold score, from 0 to 1, its replies to the same {prompts} differ by "
        f"{gain['mean']:+.2f} in the mean (95 % interval {gain['low']:+.2f} to "
        f"{gain['high']:+.2f})."
    )


def versions(rounds: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """How the last version, and the last model after it, stand against the versions before.

    A sentence each from differences of gold grades, prompt by prompt; none where there are none.
    """
    names = {"helpfulness": "helpfulness", "violations": "unsafe replies"}
    names["borderline_refusals"] = "refusals of borderline prompts"
    for found, form in ((rounds, "{}"), (after, "The last model ({})")):
        for name, version in list(found.items())[-1:]:
            for reference, parts in version.get("differences", {}).items():
                said = ", ".join(
                    f"{names[key]} {each['mean']:+.2f} ({each['low']:+.2f} to {each['high']:+.2f})"
                    for key, each in parts.items()
                    if each["n"]
                )
                if said:
                    yield (
                        f"{form.format(name)} against {reference}, in the mean over the same "
                        f"prompts with 95 % intervals: {said}."
                    )


def beside_ngrams(found: Mapping[str, Any]) -> str:
    """How the base model of real text stands against its baselines; empty where none was measured.

    Better or worse is said of a source only where the whole interval is; better only against all.
    """
    if not found:
        return ""
    by_source: dict[str, list[Mapping[str, Any]]] = {}
    for differences in found["differences"].values():
        for source, difference in differences.items():
            by_source.setdefault(source, []).append(difference)
    groups: dict[str, list[str]] = {"fewer": [], "more": [], "undecided": []}
    for source, each in by_source.items():
        if all(difference["high"] < 0 for difference in each):
            groups["fewer"].append(source)
        elif any(difference["low"] > 0 for difference in each):
            groups["more"].append(source)
        else:
            groups["undecided"].append(source)
    words = {
        "fewer": "it needs fewer bits a byte than every n-gram here",
        "more": "an n-gram needs fewer bits a byte than it",
        "undecided": "no difference from the best n-gram is shown",
    }
    said = [f"on {', '.join(some)} {words[name]}" for name, some in groups.items() if some]
    return f"The base model on text it never read: {'; '.join(said)}."
