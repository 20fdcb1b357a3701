"""The course of PPO: what it climbs, and what that was worth. Llama 2, section 3.2.3.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from llamalite.drawing import BLUE, GREEN, INK, ORANGE, Drawing, canvas, style

CURVES = (
    ("combined", "score, logit", INK, "o"),
    ("kl_k1", "KL, nats a reply", INK, "o"),
    ("gold_helpfulness", "true helpfulness", BLUE, "o"),
    ("gold_violations", "true violations", ORANGE, "s"),
)
"""Key in iterations.csv and evaluations.json, name on the page, colour and marker."""
_PENALTIES = ((ORANGE, "-"), (BLUE, "--"), (GREEN, ":"))
"""Colour and dash of each penalty compared."""


def goodhart_curves(
    iterations: Sequence[Mapping[str, float]],
    looks: Sequence[Mapping[str, Any]],
    kept: float | None = None,
    title: str = "PPO: the score, the distance, the truth",
) -> Drawing:
    """Combined score R_c, KL from the reference and gold grades over iterations.

    `iterations` are rows of iterations.csv; row `step` was sampled by the policy after `step` - 1
    iterations. `looks` are those at held-out prompts, of evaluations.json; `kept` is the iteration
    whose policy was kept. Where the score climbs and the truth falls, the reward model is served
    and not the reader. Raises ValueError when there is neither a row nor a look.
    """
    if not iterations and not looks:
        raise ValueError("no iteration and no look at held-out prompts; PPO did not begin")
    with style():
        figure, panels = canvas(5.6, len(CURVES), sharex=True)
        for axes, (key, name, colour, marker) in zip(panels, CURVES, strict=True):
            points = [(row["step"] - 1, row.get(key)) for row in iterations]
            _line(axes, points, "-", color=colour, alpha=0.45, linewidth=1.1)
            points = [(look["iteration"], look.get(key)) for look in looks]
            _line(axes, points, "-", color=colour, marker=marker, markersize=4)
            if kept is not None:
                axes.axvline(kept, color=INK, linewidth=0.9, linestyle=":")
            if key.startswith("gold"):
                axes.set_ylim(-0.03, 1.03)  # whole markers at both ends
            axes.set_ylabel(name.replace(", ", ",\n").replace("true ", "true\n"))
            axes.grid(axis="y")
        panels[-1].set_xlabel("iterations done")
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].plot([], [], color=INK, alpha=0.45, linewidth=1.1, label="prompts learned from")
        panels[0].plot([], [], "-o", color=INK, markersize=4, label="held-out prompts")
        if kept is not None:
            panels[0].plot([], [], ":", color=INK, linewidth=0.9, label="kept")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, borderpad=0.2)
    return Drawing(figure, title, _said(iterations, looks, kept))


def penalty_curves(
    courses: Mapping[str, Sequence[Mapping[str, Sequence[float]]]],
    iterations: int,
    title: str = "The penalty, and what is sought without it",
) -> Drawing:
    """Combined score R_c, KL from the reference and gold helpfulness over one run, by penalty.

    `courses`: by the penalty's name each seed's means over the iterations' replies, under the keys
    "combined", "kl_k1" and "gold_helpfulness", equally many for all; they span `iterations`. A thin
    line is a seed, a thick one the mean. Raises ValueError unless there are one to three penalties
    of equally many seeds.
    """
    seeds = {len(runs) for runs in courses.values()}
    if not 1 <= len(courses) <= len(_PENALTIES) or len(seeds) > 1 or 0 in seeds:
        raise ValueError(
            f"{len(courses)} penalties of {', '.join(map(str, sorted(seeds))) or 'no'} seeds; give "
            f"one to {len(_PENALTIES)}, of equally many seeds each"
        )
    ends = []
    with style():
        figure, panels = canvas(5.0, 3, sharex=True)
        for axes, (key, name, _, _) in zip(panels, CURVES, strict=False):
            for (penalty, of_seeds), (colour, dash) in zip(
                courses.items(), _PENALTIES, strict=False
            ):
                runs = np.array([seed[key] for seed in of_seeds])
                at = np.linspace(1, iterations, runs.shape[1])
                axes.plot(at, runs.T, color=colour, alpha=0.25, linewidth=0.8)
                axes.plot(at, runs.mean(0), dash, color=colour, label=penalty)
                ends.append(
                    f"{name}, {penalty}: {runs[:, 0].mean():.2f} to {runs[:, -1].mean():.2f}"
                )
            axes.set_ylabel(name.replace(", ", ",\n").replace("true ", "true\n"))
            axes.grid(axis="y")
        panels[-1].set_xlabel("iteration")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return Drawing(figure, title, f"Means of {seeds.pop()} seeds. {'; '.join(ends)}.")


def _line(axes: Axes, points: Sequence[tuple[float, float | None]], fmt: str, **look: Any) -> None:
    """Points that were measured, joined."""
    known = [(x, y) for x, y in points if y is not None]
    if known:
        axes.plot(*zip(*known, strict=True), fmt, **look)


def _said(
    iterations: Sequence[Mapping[str, float]],
    looks: Sequence[Mapping[str, Any]],
    kept: float | None,
) -> str:
    where, rows = ("on held-out prompts", looks) if looks else ("on its own prompts", iterations)
    parts = []
    for key, name, _, _ in CURVES:
        values = [row[key] for row in rows if row.get(key) is not None]
        if values:
            parts.append(f"{name} from {values[0]:.2f} to {values[-1]:.2f}")
    last = "" if kept is None else f"; kept is the policy after {kept:.0f} iterations"
    return f"{where}: {', '.join(parts)}{last}."
