"""The annotation screen for people with a browser and nothing else: `serve`. Section 3.2.1.

Voila runs one kernel for each open page and lets pages only press buttons, not run code. Nobody
gets in without the token.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from llamalite.jsonl import write_rejected
from llamalite.preferences.config import AnnotateConfig
from llamalite.preferences.protocol import GUIDELINES, Guideline
from llamalite.preferences.reading import read_items
from llamalite.preferences.store import LEASE_SECONDS, PreferenceStore
from llamalite.preferences.writing import write_jsonl, write_parquet

SETTINGS = "LLAMALITE_ANNOTATE"
"""Environment variable by which the server tells its kernels what to show."""
SHORTEST_TOKEN = 12
_IDLE_SECONDS = 900
"""How long a kernel outlives its page."""


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
    behind a proxy that is, which `base_url` is for. ValueError for a short token or a taken port.
    """
    token = secrets.token_urlsafe(24) if token is None else token
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise ValueError(
            f"token has {len(token)} characters; give at least {SHORTEST_TOKEN}, plain ones"
        )
    if guideline is not None and guideline not in GUIDELINES:
        raise ValueError(f"guideline is {guideline!r}; choose among {', '.join(GUIDELINES)}")
    where = str(store) if "://" in str(store) else str(Path(store).resolve())
    PreferenceStore(where, lease_seconds=lease_seconds).close()  # say now what is wrong with it
    _check_free(ip, port)
    shown = {
        "store": where,
        "guideline": guideline,
        "batch": batch,
        "annotators": list(annotators),
        "lease_seconds": lease_seconds,
    }
    with tempfile.TemporaryDirectory(prefix="llamalite-annotate-") as folder:
        notebook = Path(folder) / "annotate.ipynb"
        notebook.write_text(json.dumps(_notebook()), encoding="utf-8")
        app = _voila(notebook, port, token, ip, base_url)
        os.environ[SETTINGS] = json.dumps(shown)
        tell(f"http://{ip}:{port}{base_url}?token={token}")
        app.start()


def annotate(config: AnnotateConfig) -> None:
    """What `llamalite annotate` does: put pairs up, then write what was judged, or serve."""
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


def _check_free(ip: str, port: int) -> None:
    """ValueError when nothing can listen there; Voila would end without naming the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(
                f"cannot listen on {ip}:{port}: {reason}; choose another with --port"
            ) from None


def screen_of_this_kernel() -> Any:
    """The screen a kernel of `serve` shows; ?annotator=CODE in the address spares typing it."""
    from llamalite.preferences.screen import AnnotationScreen

    shown = json.loads(os.environ[SETTINGS])
    given = parse_qs(os.environ.get("QUERY_STRING", "")).get("annotator", [""])
    return AnnotationScreen(
        PreferenceStore(shown["store"], lease_seconds=shown["lease_seconds"]),
        given[0],
        guideline=shown["guideline"],
        batch=shown["batch"],
        allowed=shown["annotators"],
    )


def _voila(notebook: Path, port: int, token: str, ip: str, base_url: str) -> Any:
    """A server that is set up and not started."""
    try:
        from traitlets.config import Config
        from voila.app import Voila
    except ImportError as error:  # pragma: no cover
        raise ValueError(
            f"annotating in a browser needs {error.name}; pip install 'llamalite[annotate]'"
        ) from error
    config = Config()
    config.Voila.update(
        notebook_path=str(notebook),
        root_dir=str(notebook.parent),
        port=port,
        port_retries=0,
        ip=ip,
        base_url=base_url,
        token=token,
        cookie_secret=secrets.token_bytes(32),
        open_browser=False,
        log_level="WARN",
        # nothing is fetched from elsewhere or sent there, and the page stands in no frame
        tornado_settings={"headers": {"Content-Security-Policy": _POLICY, **_HEADERS}},
    )
    config.VoilaConfiguration.update(
        file_allowlist=[], strip_sources=True, show_tracebacks=False, theme="light"
    )
    config.MappingKernelManager.update(
        cull_idle_timeout=_IDLE_SECONDS, cull_interval=60, cull_connected=False
    )
    app = Voila.instance(config=config)
    app.initialize([])
    return app


_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def _notebook() -> dict[str, Any]:
    source = (
        "from llamalite.preferences.annotate import screen_of_this_kernel\n"
        "screen_of_this_kernel().show()"
    )
    cell = {
        **{"cell_type": "code", "id": "screen", "metadata": {}, "source": source},
        **{"outputs": [], "execution_count": None},
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        **{"nbformat": 4, "nbformat_minor": 5, "cells": [cell]},
        "metadata": {"kernelspec": kernel, "title": "Preferences"},
    }


if __name__ == "__main__":  # for trying it out: python -m llamalite.preferences.annotate STORE
    serve(sys.argv[1])
