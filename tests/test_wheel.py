"""The wheel carries what it needs: it runs from elsewhere, with the checkout out of sight."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*build, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def ask(site: Path, cwd: Path, *arguments: str) -> str:
    """Standard output of the wheel's command line."""
    code = (
        "import sys, llamalite, llamalite.cli; "
        "assert llamalite.__file__.startswith(sys.argv[1]), llamalite.__file__; "
        "sys.exit(llamalite.cli.main(sys.argv[2:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(site), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_chain_begins_and_reports_outside_the_checkout(unpacked, tmp_path):
    ask(unpacked, tmp_path, "run", "--preset", "ci", "--until", "tokenizer")
    page = (tmp_path / "runs" / "ci-seed0" / "report.html").read_text(encoding="utf-8")
    assert "tokenizer" in page


def test_it_carries_the_recorded_results(unpacked, tmp_path):
    recorded = {file.stem for file in (ROOT / "data/results/laptop").glob("*.json")}
    ledger = json.loads(ask(unpacked, tmp_path, "ledger", "--json"))
    measured = {name for name, verdict in ledger["claims"].items() if verdict != "unmeasured"}
    assert measured == recorded


def test_every_file_of_the_package_is_in_it(unpacked):
    for file in (ROOT / "llamalite").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            assert (unpacked / file.relative_to(ROOT)).is_file(), file
