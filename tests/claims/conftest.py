"""The studies that train, run for real once: all claims share the jobs they have in common."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_once import made_once

IDS = (
    *("P1", "P2", "P5", "P9", "P11", "P12", "P13", "S1", "S2"),
    *("R1", "R2", "R3", "R5", "R8", "E2", "L1", "L7", "L10"),
    *("G1", "F1", "F2", "F3", "F4"),
)


@pytest.fixture(scope="session")
def claims_run(tmp_path_factory) -> Path:
    """Results, runs and what was printed, in one folder."""

    def make(folder: Path) -> None:
        script = Path(__file__).with_name("tiny_claims.py")
        shown = subprocess.run(
            [sys.executable, script, ",".join(IDS), folder / "results", folder / "runs"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, shown.stderr[-3000:]
        (folder / "shown.txt").write_text(shown.stdout)

    return made_once(tmp_path_factory, "claims", make)


@pytest.fixture(scope="session")
def measured(claims_run):
    """Every result by its claim."""
    return {
        name: json.loads((claims_run / "results" / "ci" / f"{name}.json").read_text())
        for name in IDS
    }
