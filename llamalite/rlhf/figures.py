"""The plots of versions side by side, from versions.json. Llama 2, figure 11 and section 4.2.1.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from llamalite.drawing import BLUE, GREEN, INK, ORANGE, Drawing, Estimate, canvas, style
from llamalite.figures import violation_map
from llamalite.rlhf.versions import BASELINE

READ_OFF: dict[str, tuple[float, float]] = {
    "SFT": (39, 22),
    "SFT 2": (54, 48),
    "V1": (61, 48),
    "V2": (63, 45),
    "V3": (65, 54),
    "V4": (67, 59),
    "V5 (no PPO)": (70, 67),
    "V5": (78, 76),
}
"""Figure 11 of the paper, read off by eye: % won against ChatGPT, by Meta's own reward models, on
helpfulness and on harmlessness."""
_INCHES = (3.7, 3.0)
"""Roughly what a panel measures, for the places of its labels."""


class Dot(NamedTuple):
    """A model on both axes, % of comparisons won."""

    name: str
    across: Estimate
    """Helpfulness."""
    up: Estimate
    """Harmlessness."""
    colour: str = BLUE
    marker: str = "o"


def both_axes(
    versions: Mapping[str, Mapping[str, Any]],
    judge: str = "raters",
    after: Mapping[str, Mapping[str, Any]] | None = None,
    title: str = "",
) -> Drawing:
    """Helpfulness across, harmlessness up, a dot a version (figure 11), by one judge.

    Win rates over the first version with 95 % intervals, ties as half. A line joins `versions` in
    their order; models `after` them stand apart. Raises ValueError when the judge compared none on
    both axes.
    """
    dots, later = dots_of(versions, judge), dots_of(after or {}, judge, GREEN, "D")
    if not dots:
        raise ValueError(f"no version was compared on both axes by {judge!r}")
    with style():
        figure, (axes,) = canvas(_INCHES[1] + 0.6)
        _panel(axes, [_baseline(), *dots], later)
    said = f"% won against {BASELINE} by {judge}, helpfulness and harmlessness: "
    return Drawing(figure, title or f"Both axes at once, by {judge}", said + _said([*dots, *later]))


def beside_the_paper(versions: Mapping[str, Mapping[str, Any]], judge: str = "raters") -> Drawing:
    """Figure 11: above the paper's versions against ChatGPT, below these against the first one.

    Raises ValueError when the judge compared none on both axes.
    """
    dots = dots_of(versions, judge)
    if not dots:
        raise ValueError(f"no version was compared on both axes by {judge!r}")
    papers = [
        Dot(name, _exact(across), _exact(up), *((ORANGE, "s") if name.startswith("SFT") else ()))
        for name, (across, up) in READ_OFF.items()
    ]
    with style():
        figure, (above, below) = canvas(2 * _INCHES[1] + 1.2, 2)
        _panel(above, papers)
        above.set_title("the paper: wins against ChatGPT, by Meta's reward models")
        _panel(below, [_baseline(), *dots])
        below.set_title(f"here: wins against {BASELINE} by {judge}, ties as half")
    return Drawing(
        figure,
        "Figure 11: above the paper's, below ours, with 95 % intervals.",
        f"The paper's versions climb from lower left to upper right. Ours: {_said(dots)}.",
    )


def dots_of(
    versions: Mapping[str, Mapping[str, Any]], judge: str, colour: str = BLUE, marker: str = "o"
) -> list[Dot]:
    """Versions that a judge compared on both axes, in %; the baseline has no comparison."""
    found = []
    for name, version in versions.items():
        wins = version.get("wins", {})
        rates = [
            wins.get(axis, {}).get(judge, {}).get("half_ties") for axis in ("helpfulness", "safety")
        ]
        if all(rates):
            across, up = (
                {key: 100 * rate[key] for key in ("mean", "low", "high")} for rate in rates
            )
            found.append(Dot(name, across, up, colour, marker))
    return found


def violations_by_version(versions: Mapping[str, Mapping[str, Any]], risk: str) -> Drawing:
    """Share of violating replies in one risk category: a column per version, a row per vector.

    Raises ValueError when no version was asked in that category.
    """
    cells = {
        name: version["gold"]["violations"]["by_risk_and_vector"].get(risk, {})
        for name, version in versions.items()
    }
    if not any(cells.values()):
        raise ValueError(f"no version was asked in the risk category {risk!r}")
    drawing = violation_map(cells, f"Unsafe replies, by version: {risk.replace('_', ' ')}")
    names = [name.replace("_", " ") for name in cells]
    drawing.figure.axes[0].set_xticks(range(len(names)), names, rotation=45, ha="left")
    return replace(drawing, alt=f"Risk category {risk.replace('_', ' ')}. {drawing.alt}")


def _panel(axes: Axes, dots: Sequence[Dot], later: Sequence[Dot] = ()) -> None:
    """Dots with their intervals and names; a line through `dots` in their order."""
    every = [*dots, *later]
    ends = [each[end] for d in every for each in (d.across, d.up) for end in ("low", "high")]
    low, high = min(45, *ends) - 4, max(55, *ends) + 4
    for setter in (axes.set_xlim, axes.set_ylim):
        setter(low, high)
    axes.axhline(50, color=INK, linewidth=0.7, linestyle=":")
    axes.axvline(50, color=INK, linewidth=0.7, linestyle=":")
    path = [(dot.across["mean"], dot.up["mean"]) for dot in dots]
    axes.plot(*zip(*path, strict=True), color=BLUE, alpha=0.3)
    for dot in every:
        x, y = dot.across["mean"], dot.up["mean"]
        axes.hlines(y, dot.across["low"], dot.across["high"], color=dot.colour, alpha=0.35)
        axes.vlines(x, dot.up["low"], dot.up["high"], color=dot.colour, alpha=0.35)
        axes.plot(x, y, dot.marker, color=dot.colour, markersize=5)
    for dot, (x, y) in zip(every, label_places(every, low, high), strict=True):
        axes.text(x, y, dot.name, fontsize=8, color=INK, ha="center", va="center")
    axes.set_xlabel("helpfulness, % won")
    axes.set_ylabel("harmlessness, % won")


def label_places(dots: Sequence[Dot], low: float, high: float) -> list[tuple[float, float]]:
    """Where the middle of each name stands: beside its dot, where it covers least of the others.

    Both axes of the panel go from `low` to `high`, in %; what lies outside counts as covered.
    """
    span, middle = high - low, (low + high) / 2
    point_x, point_y = span / (72 * _INCHES[0]), span / (72 * _INCHES[1])
    tall = 9 * point_y
    taken = [
        (dot.across["mean"], dot.up["mean"], 8 * point_x, 8 * point_y) for dot in dots
    ]  # middle, width and height
    for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        taken.append((middle + x * 2 * span, middle + y * 2 * span, 3 * span, 3 * span))
    found = []
    for dot in dots:
        x, y, wide = dot.across["mean"], dot.up["mean"], 4.6 * len(dot.name) * point_x
        aside, off = wide / 2 + 6 * point_x, 9 * point_y
        places = [
            (x + right * aside, y + higher * off)
            for right, higher in ((1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
        ]
        places += [(x, y + higher * off) for higher in (1.3, -1.3, 2.4, -2.4)]
        best = min(places, key=lambda p: sum(_covered((*p, wide, tall), each) for each in taken))
        taken.append((*best, wide, tall))
        found.append(best)
    return found


def _covered(one: Sequence[float], other: Sequence[float]) -> float:
    """Area that two boxes (middle x and y, width, height) have in common."""
    sides = [
        min(a + wide / 2, b + broad / 2) - max(a - wide / 2, b - broad / 2)
        for a, b, wide, broad in ((one[i], other[i], one[i + 2], other[i + 2]) for i in (0, 1))
    ]
    return max(0.0, sides[0]) * max(0.0, sides[1])


def _baseline() -> Dot:
    return Dot(BASELINE, _exact(50), _exact(50), ORANGE, "s")


def _exact(value: float) -> Estimate:
    return {"mean": value, "low": value, "high": value}


def _said(dots: Sequence[Dot]) -> str:
    return "; ".join(f"{d.name} {d.across['mean']:.0f}, {d.up['mean']:.0f}" for d in dots)
