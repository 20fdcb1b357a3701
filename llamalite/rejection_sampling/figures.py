"""The plot of rejection sampling, from curves.json. Llama 2, figure 7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamalite.drawing import BLUE, INK, ORANGE, Drawing, canvas, style

_LOOKS: dict[str, dict[str, Any]] = {
    "maximum": {"color": ORANGE, "marker": "o"},
    "median": {"color": BLUE, "marker": "s"},
    "mean": {"color": INK, "marker": "D"},
}


def best_of_n(
    curves: Sequence[Mapping[str, Any]], title: str = "The best, the middle and the mean of N"
) -> Drawing:
    """Reward of the maximum, median and mean over N replies with 95 % bands over prompts.

    `curves` are rows of `curves_by_temperature`; the first temperature's are drawn. Raises
    ValueError when there are none.
    """
    if not curves:
        raise ValueError("no curve was given; draw at least one reply")
    rows = [row for row in curves if row["temperature"] == curves[0]["temperature"]]
    ns = [row["n"] for row in rows]
    with style():
        figure, (axes,) = canvas(2.7)
        for name, look in _LOOKS.items():
            found = [row[name] for row in rows]
            axes.plot(ns, [each["mean"] for each in found], label=name, markersize=4, **look)
            low, high = ([each[end] for each in found] for end in ("low", "high"))
            axes.fill_between(ns, low, high, color=look["color"], alpha=0.12, linewidth=0)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("replies to a prompt, N")
        axes.set_ylabel("score by the reward models")
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, borderpad=0.2)
    first, last = rows[0]["maximum"]["mean"], rows[-1]["maximum"]["mean"]
    middle = rows[-1]["median"]["mean"]
    return Drawing(
        figure,
        title,
        f"From 1 to {ns[-1]} replies the maximum goes from {first:.2f} to {last:.2f}; the median "
        f"of {ns[-1]} is {middle:.2f}.",
    )
