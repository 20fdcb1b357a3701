"""What a run looks like in a terminal: the plan of stages, a line as each ends, and the totals."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llamalite.artifacts import Artifact, peak_memory_bytes
from llamalite.pipeline import Events
from llamalite.progress import Parts
from llamalite.progress_bar import ProgressShown, clock
from llamalite.stages import Stage

_COLOURS = {"done": "green", "stale": "yellow", "resume": "cyan", "to do": "white"}

HEADLINES: dict[str, tuple[str, ...]] = {
    "world": ("people", "towns", "facts", "misconceptions"),
    "pretrain": ("parameters", "tokens", "tokens_per_second", "held_out_loss"),
    "sft": ("examples", "held_out_loss_before", "held_out_loss"),
    "reward": (
        "pairs",
        "helpfulness_significantly",
        "helpfulness_slightly",
        "safety_significantly",
        "safety_slightly",
    ),
    "rejection_sampling": (
        "selected",
        "prompts_without_usable_reply",
        "selected_score",
        "held_out_loss",
    ),
    "ppo": (
        "iterations",
        "kept_iteration",
        "held_out_score_helpfulness",
        "held_out_score_safety",
        "held_out_kl_k3",
    ),
    "general_reward": ("pairs", "accuracy"),
    "ghost_attention": (
        "dialogues",
        "kept_trained_before",
        "kept_trained_after",
        "kept_held_out_after",
        "spurious_after",
    ),
    "safety": ("prompts", "kept", "median_original", "median_again"),
    "red_team": ("found", "feedback_examples"),
}
"""Kind of stage to the metrics shown when one ends, in this order; of other kinds all that are a
number or a word. The manifest has every one."""

LEFT_OUT = (
    *("rejected", "rejected_rows", "unusable_comparisons", "dropped_unusable"),
    *("dropped_identical", "too_long_to_learn"),
)
"""Metrics that count what a stage could not learn from, of any kind: shown when above 0, so that
nobody trains on less than was given without being told."""


class TerminalEvents(Events):
    """Prints a run's progress as tables and lines; plain text where the output is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.began = time.time()
        self.progress = ProgressShown(self.console)

    def planned(self, folder: Path, rows: list[tuple[Stage, str]]) -> None:
        table = self._table_of(f"run folder {folder}")
        _stage_column(table, [stage.name for stage, _ in rows])
        for heading in ("paper", "state", "what it does"):
            table.add_column(heading)
        for stage, state in rows:
            colour = _COLOURS[state]
            table.add_row(
                stage.name, stage.section, f"[{colour}]{state}[/]", f"[dim]{stage.summary}[/]"
            )
        self.console.print(table)

    def started(self, stage: Stage) -> None:
        self.console.rule(f"[bold]{stage.name}[/]  [dim]{stage.summary}[/]", align="left")

    def progressed(self, stage: Stage, parts: Parts) -> None:
        self.progress.show(stage.name, parts)

    def finished(self, stage: Stage, artifact: Artifact) -> None:
        seconds = artifact.manifest["seconds"]
        metrics = artifact.metrics
        numbers = "  ".join(
            f"{name} {_short(metrics[name])}"
            for name in HEADLINES.get(stage.kind, metrics)
            if isinstance(metrics.get(name), int | float | str) and name not in LEFT_OUT
        )
        lost = "  ".join(f"{name} {metrics[name]}" for name in LEFT_OUT if metrics.get(name))
        self.console.print(
            f"[green]done[/] {stage.name} in {clock(seconds)}  [dim]{numbers}[/]"
            + f"  [yellow]{lost}[/]" * bool(lost)
        )
        if lost and "rejected.jsonl" in artifact.files:
            self.noticed(
                f"rows that could not be used: {escape(str(artifact.path))}/rejected.jsonl"
            )

    def noticed(self, message: str) -> None:
        self.console.print(f"[yellow]note[/] {message}", soft_wrap=True)

    def ended(self, artifacts: dict[str, Artifact]) -> None:
        """The table of stages with their time, each in the folder of its name; the run's totals."""
        [folder] = {artifact.path.parent for artifact in artifacts.values()}
        table = self._table_of(f"the run in {folder}")
        _stage_column(table, list(artifacts))
        for heading in ("time", "CPU time", "peak memory"):
            table.add_column(heading, justify="right")
        for name, artifact in artifacts.items():
            made = artifact.manifest
            table.add_row(
                name,
                clock(made["seconds"]),
                clock(made["cpu_seconds"]),
                gigabytes(made["peak_memory_bytes"]),
            )
        self.console.print(table)
        self.console.print(
            f"this run took {clock(time.time() - self.began)}, "
            f"peak memory {gigabytes(peak_memory_bytes())}"
        )

    def _table_of(self, what: str) -> Table:
        """A table under a line that is never broken: paths are copied from it."""
        self.console.print(f"[italic]{escape(what)}[/]", soft_wrap=True)
        return Table(box=None, padding=(0, 2))


def _stage_column(table: Table, names: list[str]) -> None:
    """A column whose names are never cut: --until and --force take them whole."""
    table.add_column("stage", min_width=max(map(len, names), default=0))


def gigabytes(count: float) -> str:
    """Bytes in GB (10^9) with two decimals."""
    return f"{count / 1e9:.2f} GB"


def _short(value: float | str) -> str:
    if isinstance(value, str):
        return value if len(value) <= 32 else f"{value[:12]}..."  # a fingerprint
    return f"{value:.4g}" if isinstance(value, float) else str(value)
