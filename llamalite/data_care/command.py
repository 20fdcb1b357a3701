"""`llamalite clean`: the work of `recipe`, told in tables and drawn. Llama 2, section 2.1."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamalite.data_care.epochs import CountTokens
from llamalite.data_care.recipe import CleanConfig, clean_into
from llamalite.data_care.store import REJECTED


def clean(config: CleanConfig, count: CountTokens | None = None) -> dict[str, Any]:
    """Clean a corpus, write the files, tell the counts; returns what clean.json holds.

    Keys: `documents` and `characters` (before and after), `stages` (the same by source and stage),
    `reasons`, `languages`, `rich_sites`, `epochs`, `characters_per_token` and `tokens_counted` (if
    not, they are estimated by it), `emptied` (sources of which nothing is left, and the weight the
    mixture gives them), and `corpus`, as `--pretrain.corpus` takes it. `count` counts the tokens.
    Cut short, the same command goes on. Raises ValueError for a corpus that cannot be read.
    """
    from llamalite.data_care.figures import cleaning
    from llamalite.progress_bar import progress_shown

    folder = Path(config.out)
    with progress_shown("clean"):
        result = clean_into(folder, config, count)
    cleaning(result).save(folder / "clean.svg")
    _tell(result, folder)
    return result


def _tell(result: Mapping[str, Any], folder: Path) -> None:
    """Counts by stage, effective epochs by source, and the command that goes on."""
    from rich.console import Console
    from rich.table import Table

    def table(*headings: str) -> Table:
        made = Table(box=None, padding=(0, 2))
        for number, heading in enumerate(headings):
            made.add_column(heading, justify="right" if number else "left")
        return made

    console = Console(highlight=False)
    stages = table("stage", "documents before", "after", "characters before", "after")
    for row in by_stage(result):
        stages.add_row(row["stage"], *(f"{n:,}" for each in _SIDES for n in (row[each])))
    console.print(stages, "\n", sep="", end="")
    tokens = "tokens" if result["tokens_counted"] else "about tokens"
    sources = table("source", "read", "left", tokens, "share", "read as", "epochs")
    for row in result["epochs"]:
        own = [each for each in result["stages"] if each["source"] == row["source"]]
        sources.add_row(
            row["source"],
            f"{own[0]['before']['documents']:,}",
            f"{own[-1]['after']['documents']:,}",
            f"{row['size']:,}",
            f"{row['share']:.1%}",
            f"{row['tokens']:,}",
            f"{row['epochs']:.2f}",
        )
    console.print(sources)
    rate = f"{result['characters_per_token']:.3g} characters a token"
    console.print(
        f"tokens counted: {rate}"
        if result["tokens_counted"]
        else f"tokens estimated by {rate}; --tokenizer counts them"
    )
    for source, weight in result["emptied"].items():
        others = f"; its weight of {weight:g} goes to the others" * (weight > 0)
        console.print(f"nothing of {source} is left{others}: {folder / REJECTED} says why")
    if result["rich_sites"]:
        console.print(f"sites rich in personal data: {', '.join(result['rich_sites'])}")
    console.print(f"written: {folder}", soft_wrap=True)
    console.print(
        f"to train on it: {command_to_train(result, folder)}", soft_wrap=True, markup=False
    )


def command_to_train(result: Mapping[str, Any], folder: Path) -> str:
    """The command that trains a tokenizer and a base model on what is left, as one line of a shell.

    Sources have their shares of the table of epochs, written so that none comes to 0. The run lies
    in the cleaned folder, where no other run is made stale by it.
    """
    shares = {row["source"]: row["share"] for row in result["epochs"] if row["share"]}
    mixture = {source: float(f"{share:.4g}") for source, share in shares.items()}
    words = ["llamalite", "run", "--until", "pretrain", "--out", str(folder / "run")]
    for stage in ("tokenizer", "pretrain"):
        words += [f"--{stage}.corpus", json.dumps(result["corpus"])]
        words += [f"--{stage}.mixture", json.dumps(mixture)]
    return shlex.join(words)


_SIDES = ("documents", "characters")


def by_stage(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The counts of all sources together: a row a stage, each count as (before, after)."""
    rows = []
    for stage in result["order"]:
        own = [row for row in result["stages"] if row["stage"] == stage]
        counts = {
            unit: tuple(sum(row[side][unit] for row in own) for side in ("before", "after"))
            for unit in _SIDES
        }
        rows.append({"stage": stage, **counts})
    return rows
