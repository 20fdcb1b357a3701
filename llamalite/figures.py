"""Every plot the report and the book draw, from result files and metrics tables.

Each function takes plain numbers as the files hold them and returns a `Drawing`: a matplotlib
figure with a title and a text that says what it shows to those who cannot see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from llamalite.drawing import (
    BLUE,
    COLOURS,
    HEAT,
    INK,
    MARKERS,
    ORANGE,
    RAMP,
    Drawing,
    Estimate,
    canvas,
    measured,
    pair,
    short,
    style,
)

__all__ = [
    "Drawing",
    "exam_scores",
    "grade_distribution",
    "loss_curves",
    "perplexity_by_source",
    "rumour_shares",
    "scores_by_kind",
    "short",
    "tokens_by_source",
    "violation_map",
]


# --- training ----------------------------------------------------------------------------------


def loss_curves(
    rows: Sequence[Mapping[str, float]],
    title: str = "Training loss",
    log_tokens: bool = False,
) -> Drawing:
    """Loss (nats per token) and learning rate against tokens, from the rows of a metrics.csv.

    Rows of the training loss need `tokens`; `lr` and any column `held_out*` are drawn where
    present, in rows of their own too, which then need `tokens` or `step`.
    Raises ValueError when there is no row with a loss.
    """
    train = [row for row in rows if "loss" in row]
    if not train:
        raise ValueError("no row of the metrics has a loss; train for at least one step")
    with style():
        figure, (top, bottom) = canvas(3.3, 2, sharex=True, height_ratios=(3.4, 1))
        top.plot(
            [r["tokens"] for r in train], [r["loss"] for r in train], color=BLUE, label="train"
        )
        held = sorted({key for row in rows for key in row if key.startswith("held_out")})
        for number, key in enumerate(held[:4]):
            points = [(_tokens_at(r, train), r[key]) for r in rows if key in r]
            label = key.replace("_", " ").removesuffix(" loss")
            top.plot(
                *zip(*points, strict=True),
                color=COLOURS[1 + number],
                marker=MARKERS[number],
                markersize=3.5,
                linewidth=1,
                label=label,
            )
        top.set_ylabel("loss, nats per token")
        top.grid(axis="y")
        top.legend(loc="upper right")
        rates = [(r["tokens"], r["lr"]) for r in train if "lr" in r]
        if rates:
            tokens, values = zip(*rates, strict=True)
            bottom.fill_between(tokens, values, color=BLUE, alpha=0.25, linewidth=0)
            bottom.plot(tokens, values, color=BLUE, linewidth=1)
        bottom.set_ylim(bottom=0)
        bottom.set_ylabel("rate")
        bottom.set_xlabel("tokens")
        bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=False)
        bottom.xaxis.set_major_formatter(lambda value, _: short(value))
        if log_tokens:
            bottom.set_xscale("log")
            bottom.xaxis.set_major_formatter(lambda value, _: short(value))
    first, last = train[0], train[-1]
    alt = (
        f"{title}: from {first['loss']:.2f} to {last['loss']:.2f} nats per token "
        f"over {short(last['tokens'])} tokens"
    )
    for key in held[:4]:
        final = next(row[key] for row in reversed(rows) if key in row)
        alt += f"; {key.replace('_', ' ')} ends at {final:.2f}"
    return Drawing(figure, title, alt + ".")


def tokens_by_source(
    tokens: Mapping[str, float], title: str = "What the model read, by source"
) -> Drawing:
    """Tokens of each source in the training mixture, as bars with their share."""
    ordered = sorted(tokens.items(), key=lambda item: item[1])
    total = sum(tokens.values()) or 1
    with style():
        figure, (axes,) = canvas(0.5 + 0.3 * max(3, len(ordered)))
        bars = axes.barh([name for name, _ in ordered], [n for _, n in ordered], color=BLUE)
        labels = [f" {short(n)}, {n / total:.0%}" for _, n in ordered]
        axes.bar_label(bars, labels, fontsize=8)
        _only_bars(axes, room=1.28)
    parts = ", ".join(f"{name} {n / total:.0%}" for name, n in reversed(ordered))
    return Drawing(figure, title, f"Of {short(total)} tokens: {parts}.")


# --- the base model ----------------------------------------------------------------------------


def exam_scores(
    exams: Mapping[str, Mapping[str, Any]], title: str = "Exams of the base model"
) -> Drawing:
    """Share of right answers per exam with intervals, written freely and chosen, against chance."""
    measures = [("greedy", "writes the answer"), ("choice", "picks it among choices")]
    with style():
        figure, (axes,) = canvas(0.9 + 0.46 * len(exams))
        for place, (_, exam) in enumerate(exams.items()):
            for number, (key, label) in enumerate(measures):
                if measured(exam.get(key)):
                    _bar(axes, place + (number - 0.5) * 0.36, exam[key], number, label, 0.33)
            if exam.get("chance"):
                axes.vlines(exam["chance"], place - 0.02, place + 0.38, color=INK, linewidth=1.6)
        axes.plot([], [], color=INK, linewidth=1.6, label="chance")
        _unit_axis(axes, list(exams), "share of questions answered right")
        _legend_above(axes, 3)
    alt = "; ".join(
        f"{name}: writes {pair(exam.get('greedy'))}, picks {pair(exam.get('choice'))} "
        f"(chance {exam.get('chance', 0):.2f})"
        for name, exam in exams.items()
    )
    return Drawing(figure, title, f"Shares of right answers with 95 % intervals. {alt}.")


def rumour_shares(
    models: Mapping[str, Mapping[str, Estimate]],
    title: str = "Asked where a rumour contradicts the truth",
) -> Drawing:
    """Per model the share of answers that are true, repeat the rumour, or are neither."""
    parts = (("true", "the truth", BLUE), ("rumour", "the rumour", ORANGE), ("neither", "", None))
    with style():
        figure, (axes,) = canvas(0.85 + 0.42 * len(models))
        for place, shares in enumerate(models.values()):
            left = 0.0
            for key, label, colour in parts:
                width = shares[key]["mean"]
                axes.barh(
                    place,
                    width,
                    left=left,
                    height=0.55,
                    color=colour or INK,
                    alpha=1 if colour else 0.35,
                    label=(label or "neither") if place == 0 else None,
                )
                if width > 0.09:
                    ink = "white" if colour else INK
                    axes.text(left + width / 2, place, f"{width:.0%}", color=ink, **_CENTRED)
                left += width
        _unit_axis(axes, list(models), "share of answers")
        _legend_above(axes, 3)
    alt = "; ".join(
        f"{name}: truth {pair(s['true'])}, rumour {pair(s['rumour'])}, neither {pair(s['neither'])}"
        for name, s in models.items()
    )
    return Drawing(figure, title, alt + ".")


def perplexity_by_source(
    models: Mapping[str, Mapping[str, Mapping[str, Any]]],
    title: str = "Surprise on held-out text, by source",
) -> Drawing:
    """Bits per byte of held-out documents per source and model, with intervals; lower is better."""
    sources = list(dict.fromkeys(name for scores in models.values() for name in scores))
    with style():
        figure, (axes,) = canvas(0.8 + 0.18 * max(2, len(models)) * len(sources))
        apart = min(0.28, 0.7 / len(models))  # a source's marks stand nearer to it than to the next
        for number, (label, scores) in enumerate(models.items()):
            for place, source in enumerate(sources):
                if source in scores:
                    offset = (number - (len(models) - 1) / 2) * apart
                    estimate = scores[source]["bits_per_byte"]
                    _dot(axes, place + offset, estimate, number, label if place == 0 else None)
        _rows(axes, sources)
        axes.set_xlim(left=0)
        axes.set_xlabel("bits per byte (lower is better)")
        axes.grid(axis="x")
        _legend_above(axes, len(models))
    alt = "; ".join(
        f"{label}: "
        + ", ".join(f"{source} {pair(score['bits_per_byte'])}" for source, score in scores.items())
        for label, scores in models.items()
    )
    return Drawing(figure, title, f"Bits per byte. {alt}.")


# --- chat models -------------------------------------------------------------------------------


def scores_by_kind(
    models: Mapping[str, Mapping[str, Estimate]],
    title: str,
    label: str,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Drawing:
    """A score of each model for every kind of prompt, as dots with intervals."""
    kinds = list(dict.fromkeys(kind for scores in models.values() for kind in scores))
    with style():
        figure, (axes,) = canvas(0.8 + 0.3 * len(kinds))
        for number, (name, scores) in enumerate(models.items()):
            offset = (number - (len(models) - 1) / 2) * 0.26
            for place, kind in enumerate(kinds):
                if kind in scores:
                    _dot(axes, place + offset, scores[kind], number, name if place == 0 else None)
        _rows(axes, kinds)
        axes.set_xlim(limits[0] - 0.02, limits[1] + 0.02)  # whole markers at both ends
        axes.set_xlabel(label)
        axes.grid(axis="x")
        _legend_above(axes, len(models))
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{kind} {pair(score)}" for kind, score in scores.items())
        for name, scores in models.items()
    )
    return Drawing(figure, title, f"{label}. {alt}.")


def violation_map(
    cells: Mapping[str, Mapping[str, Estimate]],
    title: str = "Unsafe replies, by risk category and attack vector",
    counts: bool = False,
) -> Drawing:
    """Share of violating replies, or with `counts` how many of how many: a column per risk
    category, a row per attack vector."""
    categories = list(cells)
    vectors = list(dict.fromkeys(vector for row in cells.values() for vector in row))
    with style():
        figure, (axes,) = canvas(1.0 + 0.36 * len(vectors))
        for column, category in enumerate(categories):
            for place, vector in enumerate(vectors):
                cell = cells[category].get(vector)
                if not cell or not measured(cell):
                    axes.text(column, place, "-", **_CENTRED)
                    continue
                share = cell["mean"]
                axes.add_patch(
                    Rectangle(
                        (column - 0.47, place - 0.45), 0.94, 0.9, facecolor=HEAT(share), linewidth=0
                    )
                )
                ink = "white" if share > 0.45 else "#2a2a2a"
                said = f"{round(share * cell['n'])}/{cell['n']}" if counts else f"{share:.0%}"
                axes.text(column, place, said, color=ink, **_CENTRED)
        axes.set_xlim(-0.5, len(categories) - 0.5)
        _rows(axes, [vector.replace("_", " ") for vector in vectors])
        axes.set_xticks(range(len(categories)), [_wrapped(name) for name in categories])
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    alt = "; ".join(
        f"{category}: " + ", ".join(f"{v} {pair(cell)}" for v, cell in row.items())
        for category, row in cells.items()
    )
    return Drawing(figure, title, f"Shares of unsafe replies. {alt}.")


def grade_distribution(
    models: Mapping[str, Sequence[int]], title: str, worst: str, best: str
) -> Drawing:
    """How replies spread over the grades 1, 2, ... (counts per grade), a stacked bar per model."""
    with style():
        figure, (axes,) = canvas(1.0 + 0.42 * len(models))
        for place, counts in enumerate(models.values()):
            total, left = sum(counts) or 1, 0.0
            for grade, count in enumerate(counts):
                colour = RAMP[round(grade * (len(RAMP) - 1) / max(1, len(counts) - 1))]
                width = count / total
                label = str(grade + 1) if place == 0 else None
                axes.barh(place, width, left=left, height=0.6, color=colour, label=label)
                if width > 0.07:
                    ink = "#2a2a2a" if colour in RAMP[2:5] else "white"
                    axes.text(left + width / 2, place, f"{width:.0%}", color=ink, **_CENTRED)
                left += width
        _unit_axis(
            axes, list(models), f"share of replies, from 1 ({worst}) to {grade + 1} ({best})"
        )
        _legend_above(axes, len(counts))
    alt = "; ".join(
        f"{name}: "
        + ", ".join(f"{n / (sum(counts) or 1):.0%} grade {g + 1}" for g, n in enumerate(counts))
        for name, counts in models.items()
    )
    return Drawing(figure, title, alt + ".")


# --- words and pieces --------------------------------------------------------------------------


_CENTRED = {"ha": "center", "va": "center", "fontsize": 8}


def _tokens_at(row: Mapping[str, float], train: Sequence[Mapping[str, float]]) -> float:
    """Tokens read at a row that may tell only its step."""
    if "tokens" in row:
        return row["tokens"]
    steps, tokens = [0.0, *(r["step"] for r in train)], [0.0, *(r["tokens"] for r in train)]
    return float(np.interp(row["step"], steps, tokens))


def _bar(axes: Axes, place: float, e: Estimate, number: int, label: str, height: float) -> None:
    seen = label in axes.get_legend_handles_labels()[1]
    axes.barh(
        place, e["mean"], height, color=COLOURS[number], alpha=0.9, label=None if seen else label
    )
    axes.hlines(place, e["low"], e["high"], color=INK, linewidth=1.1)


def _dot(axes: Axes, place: float, e: Estimate, number: int, label: str | None) -> None:
    if not measured(e):
        axes.plot([], [], MARKERS[number], color=COLOURS[number], markersize=5, label=label)
        return
    axes.hlines(place, e["low"], e["high"], color=COLOURS[number], linewidth=1.6)
    axes.plot(e["mean"], place, MARKERS[number], color=COLOURS[number], markersize=5, label=label)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """One row per name, the first on top."""
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.45, -0.55)


def _unit_axis(axes: Axes, names: Sequence[str], label: str) -> None:
    _rows(axes, names)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel(label)
    axes.grid(axis="x")


def _only_bars(axes: Axes, room: float) -> None:
    axes.set_xlim(0, axes.get_xlim()[1] / 1.05 * room)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(False)


def _legend_above(axes: Axes, columns: int) -> None:
    axes.figure.legend(
        loc="outside upper left", ncols=columns, columnspacing=1.2, borderpad=0.2, borderaxespad=0.3
    )


def _wrapped(name: str, width: int = 13) -> str:
    """A name over several lines, none much longer than `width`."""
    lines = [""]
    for word in name.replace("_", " ").split():
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
