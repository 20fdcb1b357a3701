"""What all benchmarks share: their options, their table, and how they print."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from benchmarks.peers import SHAPES, machine, median_ratio


def make_parser(doc: str | None, repeats: int, sizes: bool = True) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have, or all but the sizes."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    if sizes:
        parser.add_argument("--sizes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def summary(
    seconds: Mapping[str, list[float]], peer: str, amount: float, unit: str
) -> dict[str, dict[str, Any]]:
    """Of each run: `unit` a second (median; a run does `amount` of them) and times as fast as
    `peer` (median of ratios side by side)."""
    return {
        name: {
            f"{unit}_per_second": amount / statistics.median(times),
            "times_as_fast": median_ratio(seconds[peer], times),
            "seconds": times,
        }
        for name, times in seconds.items()
    }


def print_report(
    report: dict[str, Any],
    as_json: bool,
    columns: Mapping[str, Callable[[dict[str, Any]], str]],
    ours: str,
) -> dict[str, Any]:
    """Print the report as JSON, or its results as a table of a row a run; returns it whole.

    `columns` are further ones, by heading; the goal stands in the row of the run `ours`, or each
    goal in the row of its run. The goal is times as fast, by the median; a result's `further_goals`
    are said in words, by run.
    """
    report = {"benchmark": report["benchmark"], "machine": machine(), **report}
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        show(report["benchmark"], report["results"], columns, ours)
    return report


def show(
    name: str,
    results: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Callable[[dict[str, Any]], str]],
    ours: str,
) -> None:
    """Print results as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "program", title=name.capitalize())
    for heading in (*columns, "times as fast", "goal"):
        table.add_column(heading, justify="right")
    for result in results:
        goals = result["goal"] if isinstance(result["goal"], dict) else {ours: result["goal"]}
        further = result.get("further_goals", {})
        for program, run in result["runs"].items():
            table.add_row(
                result["size"],
                program,
                *(made(run) for made in columns.values()),
                f"{run['times_as_fast']:.2f}",
                "; ".join(f"{each[program]}" for each in (goals, further) if each.get(program)),
            )
        table.add_section()
    Console().print(table)
