"""The grouped table of several checkpoints, and its plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from llamalite.drawing import Drawing


class Row(NamedTuple):
    """A line of the table: one metric of a task or a group."""

    name: str
    depth: int
    """How many groups it stands in."""
    group: bool
    metric: str
    scores: Mapping[str, Mapping[str, float | None]]
    """Label of the model -> {"value", "stderr"}."""
    chance: float | None
    n: int | None


def rows(result: Mapping[str, Any]) -> Iterator[Row]:
    """The lines of a benchmark's result, each group before what stands in it."""
    members = result["members"]
    below = {name for names in members.values() for name in names}
    first = next(iter(result["tasks"].values()))
    for name in [*members, *first]:
        if name not in below:
            yield from _below(result, name, 0)


def _below(result: Mapping[str, Any], name: str, depth: int) -> Iterator[Row]:
    if name in result["members"]:
        scored = {label: groups[name] for label, groups in result["groups"].items()}
        title = result["aliases"][name]
        metrics = next(iter(scored.values()))
        for metric in metrics or [""]:
            scores = {label: each[metric] for label, each in scored.items() if metric}
            yield Row(title, depth, True, metric, scores, None, None)
        for member in result["members"][name]:
            yield from _below(result, member, depth + 1)
        return
    found = {label: tasks[name] for label, tasks in result["tasks"].items()}
    one = next(iter(found.values()))
    for metric in one["metrics"]:
        scores = {label: each["metrics"][metric] for label, each in found.items()}
        yield Row(name, depth, False, metric, scores, one["chance"], one["n"])


def print_table(result: Mapping[str, Any]) -> None:
    """Every metric of every group and task, a column a model; after +- the standard error."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("task", overflow="fold")
    table.add_column("metric", overflow="fold")
    for label in result["models"]:
        table.add_column(label, justify="right", overflow="fold")
    table.add_column("chance", justify="right")
    table.add_column("n", justify="right")
    last = ""
    for row in rows(result):
        title = "  " * row.depth + row.name if row.name != last else ""
        last = row.name
        table.add_row(
            title,
            row.metric,
            *(score_text(row.scores.get(label)) for label in result["models"]),
            "" if row.chance is None else f"{row.chance:.3f}",
            "" if row.n is None else str(row.n),
            style="bold" if row.group else None,
        )
    console = Console(highlight=False)
    wide = None if console.is_terminal else 60 + 20 * len(result["models"])
    console.print(table, width=wide, crop=False)


def score_text(score: Mapping[str, float | None] | None) -> str:
    """A score as people read it: 0.895 +- 0.041."""
    if score is None or score["value"] is None:
        return ""
    text = f"{score['value']:.3f}"
    return text if score["stderr"] is None else f"{text} ± {score['stderr']:.3f}"


def score_plot(result: Mapping[str, Any], metric: str = "") -> Drawing | None:
    """Each model's score on every group, or on every task where there are none, with intervals.

    `metric` is the first each has, unless named. Of scores that are no share of right answers (as a
    perplexity) nothing is drawn; None when there is nothing to draw. Intervals are 1.96 standard
    errors either way.
    """
    from llamalite.figures import scores_by_kind

    found = [row for row in rows(result) if row.metric and row.scores]
    found = [row for row in found if row.group] or found
    drawn: dict[str, dict[str, Any]] = {label: {} for label in result["models"]}
    metrics = []
    for row in found:
        values = [score["value"] for score in row.scores.values()]
        taken = row.name in next(iter(drawn.values()))
        if taken or (metric and row.metric != metric):
            continue
        if not all(value is not None and 0 <= value <= 1 for value in values):
            continue
        metrics.append(row.metric)
        for label, score in row.scores.items():
            drawn[label][row.name] = _estimate(score, row.n or 1)
    if not metrics:
        return None
    return scores_by_kind(drawn, "Benchmarks", " or ".join(dict.fromkeys(metrics)))


def _estimate(score: Mapping[str, Any], n: int) -> dict[str, Any]:
    half = 1.96 * (score["stderr"] or 0.0)
    value = score["value"]
    return {"mean": value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n}
