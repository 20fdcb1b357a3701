"""Databases to test the store on: SQLite, and PostgreSQL where the machine has it."""

import os
import shutil
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from deadly import PATIENCE

KINDS = ("sqlite", "postgresql")
_server: dict = {}


def fresh(kind, folder):
    """Yields where an empty database is."""
    if kind == "sqlite":
        yield folder / "store.sqlite"
        return
    server = _start()
    name = f"db{next(server['names'])}"
    _as_user(["createdb", "-h", "127.0.0.1", "-p", str(server["port"]), name])
    yield f"postgresql://{server['user']}@127.0.0.1:{server['port']}/{name}"


def stop():
    """Stop the server, if one was started."""
    if _server.get("folder"):
        _as_user([_program("pg_ctl"), "-D", f"{_server['folder']}/data", "-m", "fast", "stop"])
        shutil.rmtree(_server["folder"], ignore_errors=True)
        _server.clear()


def _start():
    if _server:
        if "why" in _server:
            pytest.skip(_server["why"])
        return _server
    for needed in ("initdb", "pg_ctl", "createdb"):
        if not _program(needed):
            _server["why"] = f"no PostgreSQL server found ({needed} is missing)"
            pytest.skip(_server["why"])
    if not find_spec("psycopg"):
        _server["why"] = "psycopg is not installed"
        pytest.skip(_server["why"])
    folder = Path(tempfile.mkdtemp(prefix="llamalite-pg-"))
    user = "postgres" if os.getuid() == 0 else os.environ.get("USER", "postgres")
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = f"{folder}/data"
    _as_user([_program("initdb"), "-D", data, "-U", user, "-A", "trust", "--no-sync"])
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
    log = f"{folder}/log"
    _as_user([_program("pg_ctl"), "-D", data, "-o", options, "-l", log, "-w", "start"])
    _server.update(folder=folder, user=user, port=port, names=iter(range(10**6)))
    return _server


def _program(name):
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name) or next((str(p / name) for p in places if (p / name).exists()), "")


def _as_user(command):
    command = [_program(command[0]) or command[0], *command[1:]]
    if os.getuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, cwd="/")
