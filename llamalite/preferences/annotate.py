"""The annotation screen for people with a browser and nothing else: `serve`. Section 3.2.1."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llamalite.jsonl import write_rejected
from llamalite.preferences.config import AnnotateConfig
from llamalite.preferences.pages import (
    asked_for,
    check_installed,
    ready_to_serve,
    serve_page,
    settings,
)
from llamalite.preferences.protocol import GUIDELINES, Guideline
from llamalite.preferences.reading import read_items
from llamalite.preferences.store import LEASE_SECONDS, PreferenceStore
from llamalite.preferences.writing import write_jsonl, write_parquet


def serve(
    store: str | Path,
    port: int = 8866,
    token: str | None = None,
    *,
    ip: str = "127.0.0.1",
    guideline: Guideline | None = None,
    batch: int | None = None,
    annotators: Sequence[str] = (),
    lease_seconds: float = LEASE_SECONDS,
    base_url: str = "/",
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the screen at http://ip:port until interrupted; `tell` is given the address.

    `store` is a path or URL of a `PreferenceStore`; `token` is needed to enter (a new one unless
    given); `guideline`, `batch` narrow down what is shown; `annotators` are the only codes let in,
    when there are any. Connections are not encrypted: for other machines than this one put it
    behind a proxy that is, which `base_url` is for. ValueError, before there is a store, for a
    short token, a taken port, or a package that is not installed.
    """
    if guideline is not None and guideline not in GUIDELINES:
        raise ValueError(f"guideline is {guideline!r}; choose among {', '.join(GUIDELINES)}")
    token = ready_to_serve(token, ip, port)
    where = str(store) if "://" in str(store) else str(Path(store).resolve())
    PreferenceStore(where, lease_seconds=lease_seconds).close()  # say now what is wrong with it
    shown = {
        "store": where,
        "guideline": guideline,
        "batch": batch,
        "annotators": list(annotators),
        "lease_seconds": lease_seconds,
    }
    module = "llamalite.preferences.annotate"
    serve_page(module, "Preferences", shown, port, token, ip, base_url, tell)


def annotate(config: AnnotateConfig) -> None:
    """What `llamalite annotate` does: put pairs up, then write what was judged, or serve."""
    if not config.export:
        check_installed()  # before pairs are put up
    if config.pairs:
        print(put_up(config.store, config.pairs, config.judgements_each))
    if config.export:
        print(export(config.store, config.export))
        return
    guideline: Any = config.guideline or None  # which it may be, `serve` says
    serve(
        config.store,
        config.port,
        config.token or None,
        ip=config.ip,
        guideline=guideline,
        annotators=config.annotators,
    )


def put_up(store: str | Path, items: str | Path, judgements_each: int = 1) -> str:
    """Put the pairs of a file up for judgement; a line that says how many.

    Rows that are no pairs go to a file beside it, named after it, with line and reason. ValueError
    when no row is good or another pair has an id.
    """
    good, rejected = read_items(items)
    with PreferenceStore(store) as opened:
        added = opened.add_items(good, judgements_each)
    line = f"{items}: {len(good)} pairs, {added} of them new"
    if rejected:
        aside = Path(items).with_name(Path(items).name + ".rejected.jsonl")
        write_rejected(aside, rejected)
        line += f"; {len(rejected)} rows set aside in {aside}"
    return line


def export(store: str | Path, path: str | Path) -> str:
    """Write all judgements of a store as JSONL or Parquet, by the ending; a line that says so.

    ValueError for another ending, and for a store that does not exist.
    """
    path = Path(path)
    writers = {".jsonl": write_jsonl, ".parquet": write_parquet}
    if path.suffix not in writers:
        raise ValueError(f"cannot export to {path.name!r}; end the name in .jsonl or .parquet")
    if "://" not in str(store) and not Path(store).is_file():
        raise ValueError(f"there is no store {store}; put pairs up with --pairs first")
    with PreferenceStore(store) as opened:
        written = writers[path.suffix](path, opened.export())
        counts = opened.counts()
    return f"{path}: {written} judgements; {counts.open} still to be made"


def screen_of_this_kernel() -> Any:
    """The screen a kernel of `serve` shows; ?annotator=CODE in the address spares typing it."""
    from llamalite.preferences.screen import AnnotationScreen

    shown = settings()
    return AnnotationScreen(
        PreferenceStore(shown["store"], lease_seconds=shown["lease_seconds"]),
        asked_for("annotator"),
        guideline=shown["guideline"],
        batch=shown["batch"],
        allowed=shown["annotators"],
    )


if __name__ == "__main__":  # for trying it out: python -m llamalite.preferences.annotate STORE
    serve(sys.argv[1])
