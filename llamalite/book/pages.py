"""Pieces of a chapter that are not pictures: source listings, run folders, tables of scale."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import Code, Markdown

    from llamalite.artifacts import Artifact

SECTIONS = "https://arxiv.org/pdf/2307.09288#"


def show_source(thing: Any, docstring: bool = True) -> Code:
    """The source of a function, class or module of the package, as it runs."""
    from IPython.display import Code

    source = inspect.getsource(thing)
    if not docstring and thing.__doc__:
        for quote in ('"""', "'''"):
            start = source.find(quote)
            if start >= 0:
                end = source.find(quote, start + 3) + 3
                source = source[:start].rstrip() + source[end:]
                break
    return Code(textwrap.dedent(source), language="python")


def paper(section: str) -> str:
    """Address of a section of the Llama 2 paper, such as "2.2" or "A.2.1"."""
    depth = section.count(".")
    kind = "sub" * depth + "section"
    return f"{SECTIONS}{kind}.{section}"


def chapter_folder() -> Path:
    """Where chapters keep runs: `runs` at the repository's root, or here when there is none."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "pyproject.toml").is_file() and (folder / "llamalite").is_dir():
            return folder / "runs"
    return Path("runs")


def chapter_run(until: str = "sft", preset: str = "ci", seed: int = 0) -> dict[str, Artifact]:
    """The pipeline's artifacts by stage name; whatever is missing is made, once for all chapters.

    It is made in a process of its own, which keeps progress bars out of the chapter. Two chapters
    that run at the same time wait for each other. Raises ValueError when a stage fails.
    """
    from filelock import FileLock

    from llamalite.pipeline import plan_states, run_folder, run_stages
    from llamalite.presets import get_preset

    out = chapter_folder()
    out.mkdir(parents=True, exist_ok=True)
    folder = run_folder(out, preset, seed)
    with FileLock(out / f".chapters-{preset}-{seed}.lock"):
        states = plan_states(get_preset(preset), seed, folder, until, ())
        if any(state != "done" for _, state in states):
            order = "from llamalite.pipeline import run_stages\n"
            order += f"run_stages({preset!r}, {seed}, {str(out)!r}, until={until!r})"
            done = subprocess.run([sys.executable, "-c", order], capture_output=True, text=True)
            if done.returncode:
                raise ValueError(f"the run failed: {done.stderr.strip().splitlines()[-1]}")
        artifacts = run_stages(preset, seed, out, until=until)
    print(f"{os.path.relpath(folder)}: {', '.join(artifacts)}")
    return artifacts


def scale_table(rows: Sequence[tuple[Any, Any, Any, Any]], here: str = "here") -> Markdown:
    """The table "the paper / here / at full size" every chapter has.

    A row is (what, in the paper, here, with the command that runs it at full size). A `|` in a
    cell is shown, not taken for the cell's end.
    """
    from IPython.display import Markdown

    lines = [f"| | the paper | {here} | at full size |", "|---|---|---|---|"]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows
    ]
    return Markdown("\n".join(lines))
