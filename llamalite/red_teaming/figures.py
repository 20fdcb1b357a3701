"""The plots of a red-teaming campaign, from red_team.json. Llama 2, section 4.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from llamalite.drawing import BLUE, GREEN, HEAT, ORANGE, Drawing, canvas, style

Estimate = Mapping[str, float]


def gamma_by_round(campaign: Mapping[str, Any], title: str = "Gamma, round by round") -> Drawing:
    """Violations per person and hour against each model, with 95 % intervals over attackers."""
    rounds = campaign["rounds"]
    names = [each["candidate"] for each in rounds]
    with style():
        figure, (axes,) = canvas(2.6)
        _points(axes, range(len(names)), [each["gamma"] for each in rounds], BLUE, "o")
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("violations per person and hour")
        axes.grid(axis="y")
    said = ", ".join(f"{each['candidate']} {each['gamma']['mean']:.1f}" for each in rounds)
    return Drawing(figure, title, f"Violations per person and hour: {said}.")


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
        figure, (axes,) = canvas(2.7)
        for offset, found, colour, marker, label in (
            (-0.08, carried, GREEN, "o", "asked of the next model"),
            (0.08, control, ORANGE, "s", "asked of the same model again"),
        ):
            places = [i + offset for i, _ in found]
            _points(axes, places, [each for _, each in found], colour, marker, label)
        names = [f"{old['candidate']} to {new['candidate']}" for _, old, new in pairs]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_ylim(0, 1)
        axes.set_ylabel("share that draws no violation")
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
    risks = sorted({cell["risk"] for cell in cells})
    vectors = sorted({cell["vector"] for cell in cells})
    shares = np.full((len(vectors), len(risks)), np.nan)
    with style():
        figure, (axes,) = canvas(3.2)
        for cell in cells:
            place = vectors.index(cell["vector"]), risks.index(cell["risk"])
            shares[place] = cell["violations"] / cell["attempts"]
            axes.text(
                place[1],
                place[0],
                f"{cell['violations']}/{cell['attempts']}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if shares[place] > 0.5 else "#333333",
            )
        axes.imshow(shares, cmap=HEAT, vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(risks)), [_words(risk) for risk in risks], rotation=15)
        axes.set_yticks(range(len(vectors)), [_words(vector) for vector in vectors])
        for spine in axes.spines.values():
            spine.set_visible(False)
    worst = max(cells, key=lambda cell: cell["violations"] / cell["attempts"])
    return Drawing(
        figure,
        title or f"Where {candidate} gives way",
        f"Violations by risk category and attack vector; most in {_words(worst['risk'])} by "
        f"{_words(worst['vector'])}: {worst['violations']} of {worst['attempts']} attempts.",
    )


def _points(
    axes: Any,
    places: Sequence[float],
    found: Sequence[Estimate],
    colour: str,
    marker: str,
    label: str | None = None,
) -> None:
    mean = np.array([each["mean"] for each in found])
    low = mean - [each["low"] for each in found]
    high = np.array([each["high"] for each in found]) - mean
    axes.errorbar(
        list(places),
        mean,
        np.maximum(0, [low, high]),  # rounding may put a mean a hair outside
        fmt=marker,
        color=colour,
        markersize=4.5,
        label=label,
    )


def _words(name: str) -> str:
    return name.replace("_", " ") or "none"
