"""The plots of Ghost Attention, from consistency.json and attention.json. Table 30, figure 10."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from llamalite.drawing import (
    COLOURS,
    HEAT,
    INK,
    MARKERS,
    Drawing,
    canvas,
    measured,
    pair,
    style,
)

_NAMES: dict[str, str] = {"before": "without Ghost Attention", "after": "with Ghost Attention"}


def turn_curves(
    curves: Mapping[str, Sequence[Mapping[str, Any]]], title: str, label: str
) -> Drawing:
    """Shares by turn with their 95 % intervals, a line for each name.

    A curve is a `by_turn` of the result files: {"turn", "mean", "low", "high", "n"} each. Raises
    ValueError when there is none with a measured turn.
    """
    drawn = {
        name: [each for each in turns if measured(each)] for name, turns in curves.items() if turns
    }
    drawn = {name: turns for name, turns in drawn.items() if turns}
    if not drawn:
        raise ValueError("no curve has a measured turn; measure at least one dialogue")
    with style():
        figure, (axes,) = canvas(2.7)
        for number, (name, turns) in enumerate(drawn.items()):
            colour = COLOURS[number % len(COLOURS)]
            x = [each["turn"] for each in turns]
            axes.plot(
                x,
                [each["mean"] for each in turns],
                color=colour,
                marker=MARKERS[number % len(MARKERS)],
                markersize=3.5,
                label=name,
            )
            low, high = [e["low"] for e in turns], [e["high"] for e in turns]
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("turn of the dialogue")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, borderpad=0.2)
    alt = "; ".join(
        f"{name}: {pair(turns[0])} at turn {turns[0]['turn']}, "
        f"{pair(turns[-1])} at turn {turns[-1]['turn']}"
        for name, turns in drawn.items()
    )
    return Drawing(figure, title, f"{label}, with 95 % intervals. {alt}.")


def consistency_curves(
    consistency: Mapping[str, Any],
    group: str = "trained",
    title: str = "Replies that keep to the instruction",
) -> Drawing:
    """Table 30 as curves, from consistency.json: the chat model before and after the tuning.

    `group` is "trained" or "held_out". Raises ValueError when it was not measured.
    """
    curves = {
        _NAMES[model]: groups[group]["kept"]["by_turn"]
        for model, groups in consistency["models"].items()
        if groups.get(group, {}).get("kept")
    }
    if not curves:
        raise ValueError(f"no dialogues of the group {group!r} were measured; choose trained")
    return turn_curves(curves, title, "share of replies")


def attention_maps(
    attention: Mapping[str, Any],
    title: str = "Strongest attention, all layers and heads",
) -> Drawing:
    """Figure 10 from attention.json: who looks where, a map for each model.

    Rows are the tokens that look, columns those that are looked at, several to a bin; both begin
    with the instruction, whose end the dotted line marks.
    """
    shown = attention["map"]
    width, tokens = shown["bin"], shown["tokens"]
    with style():
        figure, panels = canvas(3.0 * len(shown["models"]), len(shown["models"]))
        for axes, (model, rows) in zip(panels, shown["models"].items(), strict=True):
            values = np.asarray(rows)
            edges = np.minimum(np.arange(len(values) + 1) * width, tokens)
            # a mesh, not an image: the SVG stays free of embedded pictures
            mesh = axes.pcolormesh(edges, edges, values, cmap=HEAT, vmin=0, vmax=1)
            axes.set_ylim(tokens, 0)
            axes.axvline(shown["instruction_tokens"], color=INK, linewidth=0.8, linestyle=":")
            starts = shown["turn_starts"]
            step = 4 if len(starts) > 8 else 1
            named = range(0, len(starts), step)
            axes.set_yticks(starts[::step], [str(turn + 1) for turn in named])
            axes.set_ylabel("turn that looks")
            axes.set_xlabel("token looked at")
            axes.set_title(str(_NAMES.get(model, model)))
            bar = figure.colorbar(mesh, ax=axes, shrink=0.8)
            assert bar.solids is not None, "it has just been drawn"
            bar.solids.set_rasterized(False)
    late = {
        _NAMES.get(model, model): turns[-1]
        for model, turns in attention["by_turn"].items()
        if turns
    }
    alt = "; ".join(
        f"{name}: {pair(last)} on the instruction at turn {last['turn']}"
        for name, last in late.items()
    )
    return Drawing(figure, title, f'Attention to "{shown["instruction"]}" and what follows. {alt}.')
