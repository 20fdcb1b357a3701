"""The chapters' interactives, as a reader's browser runs them: no network, no kernel."""

import html
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from chromium import BROWSER, FLAGS, MISSING
from deadly import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (BROWSER, *FLAGS, "--virtual-time-budget=8000", "--dump-dom")

pytestmark = pytest.mark.skipif(BROWSER is None, reason=MISSING)

# Every control is worked; what the page tells a reader must change, and nothing may throw.
DRIVER = "<script>" + (Path(__file__).parent / "driver.js").read_text() + "</script>"


def fragments(notebook):
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            text = "".join(output.get("data", {}).get("text/html", ""))
            if "ll-interactive" in text:
                yield text


@pytest.mark.parametrize(
    "notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda file: file.stem
)
def test_every_control_of_every_interactive_answers(notebook, tmp_path):
    body = "".join(fragments(notebook))
    assert body
    page = tmp_path / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><body style="width:360px">{body}{DRIVER}',
        encoding="utf-8",
    )
    done = subprocess.run(
        [*COMMAND, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    found = re.search(r'data-results="([^"]*)" data-faults="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    assert html.unescape(found[2]) == ""
    for result in html.unescape(found[1]).split("|"):
        name, controls, states, dead, fits = result.split(":")
        assert int(controls) >= 1, name
        assert int(states) > int(controls) // 2, f"{name} hardly reacts"
        assert dead == "0", f"{name} has a control that changes nothing"
        assert fits == "true", f"{name} is wider than a phone"
