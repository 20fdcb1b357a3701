"""The plots of context distillation, from distillation.json. Llama 2, figure 16."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from llamalite.drawing import (
    COLOURS,
    INK,
    MARKERS,
    Drawing,
    canvas,
    intervals,
    measured,
    pair,
    style,
)

_NAMES = {
    "original": "original",
    "again": "second original",
    "generic": "generic preprompt",
    "template": "answer template",
}
_GAINS = {"ungated": "distilled", "gated": "gated", "again": "second original"}


def answer_scores(
    distillation: Mapping[str, Any], title: str = "Safety scores by kind of answer"
) -> Drawing:
    """Figure 16a: shares of answers up to each score, a line for each kind; dots mark medians."""
    answers = {
        _NAMES[kind]: each
        for kind, each in distillation["answers"].items()
        if each["median"] is not None
    }
    with style():
        figure, (axes,) = canvas(2.7)
        for number, (name, each) in enumerate(answers.items()):
            scores = np.sort([score for score in each["scores"] if score is not None])
            shares = np.arange(1, len(scores) + 1) / len(scores)
            colour = COLOURS[number % len(COLOURS)]
            axes.step(scores, shares, where="post", color=colour, label=name)
            marker = MARKERS[number % len(MARKERS)]
            axes.plot([each["median"]], [0.5], marker, color=colour, markersize=5)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("score of the safety reward model")
        axes.set_ylabel("share of answers up to it")
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, borderpad=0.2)
    alt = "; ".join(f"{name} {each['median']:.2f}" for name, each in answers.items())
    return Drawing(figure, title, f"Medians of the safety scores: {alt}.")


def gain_by_original(
    distillation: Mapping[str, Any], title: str = "What distillation changes, by the original"
) -> Drawing:
    """Figure 16b: mean change of the score in bins of the original's, with 95 % intervals.

    Bins without prompts are left out. Raises ValueError when all are.
    """
    bins = [each for each in distillation["by_original"] if measured(each["ungated"])]
    if not bins:
        raise ValueError("no prompt was measured; distil at least one")
    with style():
        figure, (axes,) = canvas(2.7)
        for number, (kind, name) in enumerate(_GAINS.items()):
            place = [(each["from"] + each["to"]) / 2 + 0.03 * (number - 1) for each in bins]
            intervals(
                axes,
                place,
                [each[kind] for each in bins],
                fmt=MARKERS[number],
                color=COLOURS[number],
                markersize=4,
                label=name,
            )
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xlim(0, 1)
        axes.set_xlabel("safety score of the original answer")
        axes.set_ylabel("mean change of the score")
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, borderpad=0.2)
    alt = "; ".join(
        f"original {each['from']:.2f} to {each['to']:.2f}: "
        + ", ".join(f"{name} {pair(each[kind])}" for kind, name in _GAINS.items())
        for each in bins
    )
    return Drawing(figure, title, f"Changes of the safety score. {alt}.")
