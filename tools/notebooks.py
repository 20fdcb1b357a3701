"""Keep every notebook and its text source one thing.

The source is `notebooks/NAME.md` (MyST); `NAME.ipynb` beside it carries the same cells and their
outputs, for Colab and for the book.

    python tools/notebooks.py --execute [NAME ...]   format, run, write both files
    python tools/notebooks.py --redraw               templates changed: same data, nothing is run
    python tools/notebooks.py --check                pairs equal, outputs there, sizes kept
    python tools/notebooks.py --nbval                run every cell again; none may fail
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
MAX_BYTES = 1_000_000
FORMATS = "ipynb,md:myst"
SKIP_OUTPUT = "no-output"
"""Tag of a code cell that is allowed to print and show nothing."""


def sources(names: list[str]) -> list[Path]:
    """The text notebooks, or those named (with or without ending)."""
    files = [FOLDER / f"{Path(name).stem}.md" for name in names] or sorted(FOLDER.glob("*.md"))
    for file in files:
        if not file.is_file():
            raise SystemExit(f"{file} does not exist; choose among {sources([])}")
    return files


def read_source(file: Path) -> NotebookNode:
    """A text notebook as cells, with ids that do not churn."""
    notebook = jupytext.read(file)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["jupytext"] = {
        "formats": FORMATS,
        "notebook_metadata_filter": "-jupytext.text_representation.jupytext_version",
    }
    return notebook


def write_ipynb(notebook: NotebookNode, file: Path) -> None:
    """Write without what changes from run to run."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.validate(notebook)
    nbformat.write(notebook, file)


def execute(file: Path) -> None:
    """Format the source, run it, write the pair."""
    notebook = read_source(file)
    target = file.with_suffix(".ipynb")
    write_ipynb(notebook, target)
    ruff = str(Path(sys.executable).parent / "ruff")
    subprocess.run([ruff, "format", "--quiet", str(target)], check=True)
    subprocess.run([ruff, "check", "--quiet", "--fix", str(target)])  # faults show, and go on
    for cell, formatted in zip(
        notebook.cells, nbformat.read(target, as_version=4).cells, strict=True
    ):
        cell.source = formatted.source
    jupytext.write(notebook, file, fmt="md:myst")
    started = time.time()
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute()
    write_ipynb(notebook, target)
    size = target.stat().st_size / 1000
    print(f"{target.name}: {time.time() - started:.0f} s, {size:.0f} kB")


def redraw(file: Path) -> None:
    """Draw the stored interactives anew by the templates as they are now."""
    from llamalite.book.widgets import redrawn

    target = file.with_suffix(".ipynb")
    notebook = nbformat.read(target, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            page = "".join(output.get("data", {}).get("text/html", ""))
            if 'class="ll-interactive"' in page:
                output["data"]["text/html"] = redrawn(page)
    write_ipynb(notebook, target)


def faults(file: Path) -> list[str]:
    """What is wrong with one pair, as sentences."""
    target = file.with_suffix(".ipynb")
    if not target.is_file():
        return [f"{target.name} is missing"]
    found = []
    if target.stat().st_size > MAX_BYTES:
        found.append(f"{target.name} has {target.stat().st_size} bytes, {MAX_BYTES} are allowed")
    text, pair = read_source(file), nbformat.read(target, as_version=4)
    left = [(cell.cell_type, cell.source, tags(cell)) for cell in text.cells]
    right = [(cell.cell_type, cell.source, tags(cell)) for cell in pair.cells]
    if left != right:
        where = next(
            (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
            min(len(left), len(right)),
        )
        found.append(f"{file.name} and {target.name} differ from cell {where} on")
    for number, cell in enumerate(pair.cells):
        if cell.cell_type == "code" and cell.source.strip():
            errors = [out for out in cell.outputs if out.output_type == "error"]
            if errors or cell.execution_count is None:
                found.append(f"{target.name}: cell {number} was not run to its end")
            elif not cell.outputs and not may_be_silent(cell):
                found.append(f"{target.name}: cell {number} has no output to check")
    return found


def may_be_silent(cell: NotebookNode) -> bool:
    """Cells of assertions are their own check; others say so with a tag."""
    return SKIP_OUTPUT in tags(cell) or "assert" in cell.source


def tags(cell: NotebookNode) -> list[str]:
    """The cell's tags."""
    return list(cell.metadata.get("tags", []))


def check() -> int:
    """Print every fault; 1 when there is one."""
    files = sources([])
    found = [fault for file in files for fault in faults(file)]
    found += [
        f"{extra.name} has no text source"
        for extra in FOLDER.glob("*.ipynb")
        if not extra.with_suffix(".md").is_file()
    ]
    for fault in found:
        print(f"notebooks: {fault}; mend with `make notebooks`", file=sys.stderr)
    if not found:
        print(f"{len(files)} notebook pairs in sync")
    return int(bool(found))


def nbval(arguments: list[str]) -> int:
    """Run every notebook through nbval, two at a time.

    A cell that fails is an error; stored outputs are compared only where a cell has the tag
    nbval-check-output, for losses and times differ from machine to machine.
    """
    files = [str(file.with_suffix(".ipynb")) for file in sources(arguments)]
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=900", "-p", "no:cacheprovider", "-o", "addopts="]
    command += ["-n", os.environ.get("WORKERS", "2"), "--dist", "loadscope", *files]
    return subprocess.run(command, cwd=ROOT).returncode


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--execute", action="store_true", help="run and write the pairs")
    parser.add_argument("--redraw", action="store_true", help="stored interactives, new templates")
    parser.add_argument("--check", action="store_true", help="pairs in sync, outputs there")
    parser.add_argument("--nbval", action="store_true", help="run every cell; none may fail")
    parser.add_argument("names", nargs="*", help="notebooks; all when none is named")
    arguments = parser.parse_args()
    if arguments.execute:
        for file in sources(arguments.names):
            execute(file)
    if arguments.redraw:
        for file in sources(arguments.names):
            redraw(file)
    if arguments.nbval:
        return nbval(arguments.names)
    return check() if arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
