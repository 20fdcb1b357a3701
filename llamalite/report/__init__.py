"""One page that shows a whole run: what was done, what the models learned, how they talk.

`write_report` needs no network and no training code; the page is one file that opens anywhere.
"""

from __future__ import annotations

from pathlib import Path

from llamalite.artifacts import write_json
from llamalite.report.data import collect

__all__ = ["collect", "write_report"]


def write_report(run_folder: str | Path) -> Path:
    """Write report.html and report.json into a run folder; returns the page's path.

    Shows the stages that are finished, so that a run can be looked at half-way. Raises ValueError
    when the folder holds no finished stage.
    """
    from llamalite.report.page import render

    folder = Path(run_folder)
    data = collect(folder)
    page = folder / "report.html"
    temporary = page.with_name(page.name + ".tmp")
    temporary.write_text(render(data), encoding="utf-8", errors="replace")
    write_json(folder / "report.json", data)
    temporary.replace(page)
    return page
