"""Build the book into _build/html. A warning is an error; so is a notebook that fails.

    python tools/book.py             runs the notebooks whose outputs may be stale
    python tools/book.py --stored    shows the outputs committed with them, and runs none

The execution cache knows a notebook by its own cells only. When the package, the data or the pins
change, its outputs may be stale, so the whole build folder goes. `--stored` is for a build beside
a run of the same notebooks (nbval).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
STAMP = BUILD / "inputs.sha256"
INPUTS = (
    "llamalite/**/*.py",
    "llamalite/**/templates/*",
    "data/**/*",
    "tools/*.py",
    "requirements*.txt",
    "_config.yml",
)


def inputs_hash() -> str:
    """sha256 over everything but the pages that decides what the book shows."""
    total = hashlib.sha256()
    for pattern in INPUTS:
        for file in sorted(ROOT.glob(pattern)):
            if file.is_file():
                total.update(file.relative_to(ROOT).as_posix().encode() + b"\0")
                total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def stored_outputs_config() -> Path:
    """The book's configuration with execution turned off, written beside the build."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["execute"]["execute_notebooks"] = "off"
    local = config["sphinx"]["local_extensions"]  # relative to the file that names them
    config["sphinx"]["local_extensions"] = {name: str(ROOT / path) for name, path in local.items()}
    file = BUILD / "stored_outputs.yml"
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return file


def main() -> int:
    """Drop a stale build, build, and say where the first page is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stored", action="store_true", help="show committed outputs, run nothing")
    arguments, others = parser.parse_known_args()
    current = inputs_hash()
    if BUILD.exists() and (not STAMP.is_file() or STAMP.read_text() != current):
        shutil.rmtree(BUILD)
    BUILD.mkdir(exist_ok=True)
    STAMP.write_text(current)
    scripts = str(Path(sys.executable).parent)
    environment = dict(os.environ, PATH=scripts + os.pathsep + os.environ["PATH"])
    environment.setdefault("PYTHONWARNINGS", "ignore")
    subprocess.run([sys.executable, "tools/book_pages.py"], cwd=ROOT, check=True)
    command = [f"{scripts}/jupyter-book", "build", ".", "-n", "-W", "--keep-going", *others]
    if arguments.stored:
        command += ["--all", "--config", str(stored_outputs_config())]
    code = subprocess.run(command, cwd=ROOT, env=environment).returncode
    if code:
        print("book: the build has warnings or errors (above)", file=sys.stderr)
        return code
    print(f"book: {(BUILD / 'html' / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
