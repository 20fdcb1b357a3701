"""The plots of a red-teaming campaign, from red_team.json. Llama 2, section 4.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from llamalite.drawing import BLUE, GREEN, ORANGE, Drawing, canvas, intervals, style
from llamalite.evaluation.bootstrap import wilson_interval
from llamalite.figures import violation_map


def gamma_by_round(campaign: Mapping[str, Any], title: str = "Gamma, round by round") -> Drawing:
    """Violations per person and hour against each model, with 95 % intervals over attackers.

    Beside them, where they were measured, those of prompts that no stage learned from.
    """
    rounds, fresh = campaign["rounds"], campaign.get("fresh", [])
    names = [each["candidate"] for each in rounds]
    with style():
        figure, (axes,) = canvas(3.0 if fresh else 2.6)
        for offset, found, colour, marker, label in (
            (0, rounds, BLUE, "o", "prompts that are learned from"),
            (0.2, fresh, ORANGE, "s", "fresh prompts"),
        ):
            if found:
                places = [names.index(each["candidate"]) + offset for each in found]
                gammas = [each["gamma"] for each in found]
                look: dict[str, Any] = {"fmt": marker, "color": colour, "markersize": 4.5}
                intervals(axes, places, gammas, label=label, **look)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("violations per person and hour")
        axes.grid(axis="y")
        if fresh:
            figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, borderpad=0.2)
    said, of_fresh = (
        ", ".join(f"{each['candidate']} {each['gamma']['mean']:.1f}" for each in found)
        for found in (rounds, fresh)
    )
    more = f" With fresh prompts: {of_fresh}." if fresh else ""
    return Drawing(figure, title, f"Violations per person and hour: {said}.{more}")


def carry_over(
    campaign: Mapping[str, Any], title: str = "Old successes that no longer work"
) -> Drawing:
    """Rejection rate model over model, beside the control: the old model asked again.

    Raises ValueError when no round was carried over.
    """
    rounds = campaign["rounds"]
    pairs = [(i, old, new) for i, (old, new) in enumerate(pairwise(rounds))]
    carried = [(i, new["carry_over"]) for i, _, new in pairs if new["carry_over"]]
    control = [(i, old["control"]) for i, old, _ in pairs if old["control"]]
    if not carried:
        raise ValueError("no attempt drew a violation; there is nothing to carry over")
    with style():
        figure, (axes,) = canvas(3.2)
        for offset, found, colour, marker, label in (
            (-0.08, carried, GREEN, "o", "asked of the next model"),
            (0.08, control, ORANGE, "s", "asked of the same model again"),
        ):
            intervals(
                axes,
                [i + offset for i, _ in found],
                [each for _, each in found],
                fmt=marker,
                color=colour,
                markersize=4.5,
                label=label,
            )
        names = [f"{old['candidate']} to {new['candidate']}" for _, old, new in pairs]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_ylim(-0.03, 1.03)  # whole markers at both ends
        axes.set_ylabel("share that fails")
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, borderpad=0.2)
    said = ", ".join(f"{names[i]} {each['mean']:.0%}" for i, each in carried)
    return Drawing(figure, title, f"Rejection rates model over model: {said}.")


def weak_cells(campaign: Mapping[str, Any], candidate: str, title: str = "") -> Drawing:
    """Share of attempts that drew a violation, by risk category and attack vector; counts inside.

    Raises ValueError when no round has that candidate.
    """
    rounds = {each["candidate"]: each for each in campaign["rounds"]}
    if candidate not in rounds:
        raise ValueError(f"no round attacks {candidate!r}; choose among {', '.join(rounds)}")
    cells = rounds[candidate]["cells"]
    shares: dict[str, dict[str, Any]] = {}
    for cell in cells:
        interval = wilson_interval(cell["violations"], cell["attempts"])
        shares.setdefault(cell["risk"] or "none", {})[cell["vector"] or "none"] = {
            **interval._asdict(),
            "n": cell["attempts"],
        }
    drawing = violation_map(shares, title or f"Where {candidate} gives way", counts=True)
    worst = max(cells, key=lambda cell: cell["violations"] / cell["attempts"])
    return replace(
        drawing,
        alt=f"Most in {_words(worst['risk'])} by {_words(worst['vector'])}: {worst['violations']} "
        f"of {worst['attempts']} attempts. {drawing.alt}",
    )


def _words(name: str) -> str:
    return name.replace("_", " ") or "none"
