"""Screens for people with a browser and nothing else: a server that a token opens. Section 3.2.1.

Voila runs one kernel for each open page and lets pages only press buttons, not run code. Nobody
gets in without the token.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

SETTINGS = "LLAMALITE_PAGE"
"""Environment variable by which the server tells its kernels what to show."""
SHORTEST_TOKEN = 12
KERNEL = "python3"
"""The Jupyter kernel that a page runs."""
_PACKAGES = ("voila", "ipywidgets", "ipykernel")
_IDLE_SECONDS = 900
"""How long a kernel outlives its page."""


def serve_page(
    module: str,
    title: str,
    shown: Mapping[str, Any],
    port: int,
    token: str,
    ip: str,
    base_url: str,
    tell: Callable[[str], None],
) -> None:
    """Serve the `screen_of_this_kernel()` of a module until interrupted; `tell` the address.

    `shown` is what the kernels read by `settings`; it must fit JSON. Connections are not encrypted:
    for other machines than this one put it behind a proxy that is, which `base_url` is for.
    """
    with tempfile.TemporaryDirectory(prefix="llamalite-page-") as folder:
        notebook = Path(folder) / "page.ipynb"
        notebook.write_text(json.dumps(_notebook(module, title)), encoding="utf-8")
        app = _voila(notebook, port, token, ip, base_url)
        os.environ[SETTINGS] = json.dumps(shown)
        tell(f"http://{ip}:{port}{base_url}?token={token}")
        app.start()


def settings() -> dict[str, Any]:
    """What the server of this kernel shows."""
    return json.loads(os.environ[SETTINGS])


def asked_for(name: str) -> str:
    """A value in the address of this kernel's page, as ?name=value; empty where there is none."""
    return parse_qs(os.environ.get("QUERY_STRING", "")).get(name, [""])[0]


def ready_to_serve(token: str | None, ip: str, port: int) -> str:
    """The token of a page that can be served, looked at before there is a store.

    ValueError for a short token, a package that is not installed, or a taken port.
    """
    token = entry_token(token)
    check_installed()
    check_free(ip, port)
    return token


def entry_token(given: str | None) -> str:
    """The token, a new one when none is given; ValueError for one that is short or not plain."""
    token = secrets.token_urlsafe(24) if given is None else given
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise ValueError(
            f"token has {len(token)} characters; give at least {SHORTEST_TOKEN}, plain ones"
        )
    return token


def check_installed() -> None:
    """ValueError for what a page needs and this machine lacks, so that nothing is made before."""
    remedy = "pip install 'llamalite[annotate]'"
    absent = [package for package in _PACKAGES if find_spec(package) is None]
    if absent:
        raise ValueError(f"a page in the browser needs {', '.join(absent)}; {remedy}")
    from jupyter_client.kernelspec import KernelSpecManager

    known = KernelSpecManager().find_kernel_specs()
    if KERNEL not in known:
        raise ValueError(
            f"a page in the browser needs the Jupyter kernel {KERNEL}, and there is "
            f"{', '.join(sorted(known)) or 'none'}; python -m ipykernel install --sys-prefix adds "
            "it"
        )


def check_free(ip: str, port: int) -> None:
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


def _voila(notebook: Path, port: int, token: str, ip: str, base_url: str) -> Any:
    """A server that is set up and not started."""
    from traitlets.config import Config
    from voila.app import Voila

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


def _notebook(module: str, title: str) -> dict[str, Any]:
    source = f"from {module} import screen_of_this_kernel\nscreen_of_this_kernel().show()"
    cell = {
        **{"cell_type": "code", "id": "screen", "metadata": {}, "source": source},
        **{"outputs": [], "execution_count": None},
    }
    kernel = {"name": KERNEL, "display_name": "Python 3", "language": "python"}
    return {
        **{"nbformat": 4, "nbformat_minor": 5, "cells": [cell]},
        "metadata": {"kernelspec": kernel, "title": title},
    }
