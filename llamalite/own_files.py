"""Files of the user's that a setting names: which they are, and what they hold as one hash.

A stage that reads them is stale when their content changes, not only when their names do.
"""

from __future__ import annotations

import glob
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

from llamalite.data_care import packaged
from llamalite.processes import is_leader

HUB = "hub:"
"""What the name of a dataset of the hub begins with; it has no file here to look at."""
STREAM = "stream:"
"""What stands before the name of a source that pretraining reads as it comes, keeping no copy."""


def hub_name(where: str) -> tuple[str, str | None, str]:
    """Dataset, configuration and split of hub:NAME[:CONFIG[:SPLIT]]; a split may be train[:9]."""
    name, config, split = [*where.removeprefix(HUB).split(":", 2), "", ""][:3]
    return name, config or None, split or "train"


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep the bars of `datasets` to themselves: where no terminal is, they are endless lines."""
    from datasets.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


@contextmanager
def reading(what: str) -> Iterator[Callable[[str], None]]:
    """While `datasets` reads: a sign of life in a terminal; at the end one line, with what is told.

    Of several processes of a run the first alone says it.
    """
    if not is_leader():
        with without_bars():
            yield lambda found: None
        return
    from rich.console import Console

    console, told = Console(highlight=False), []
    began = time.monotonic()
    shown = console.is_terminal and not console.is_jupyter
    with without_bars(), console.status(f"reading {what}") if shown else nullcontext():
        yield told.append
    line = ", ".join([*told, f"{time.monotonic() - began:.1f} s"])
    console.print(f"reading {what}: {line}", markup=False, soft_wrap=True)


class LostConnectionError(ValueError):
    """The hub went away in the middle; what was read before it is not lost."""


_NETWORK = ("aiohttp", "httpcore", "httpx", "huggingface_hub", "requests", "socket", "urllib3")
"""Packages whose errors are those of a connection."""


def went_away(error: BaseException) -> LostConnectionError | None:
    """What to say of an error if it, or what it comes of, is a lost connection; None if not."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    for each in chain:
        package = type(each).__module__.split(".")[0]
        status = getattr(getattr(each, "response", None), "status_code", 0)
        refused = 400 <= status < 500 and status not in (408, 429)  # it is there, and says no
        # of the hub's own package only an answer tells; its other errors are about names and files
        silent = package == "huggingface_hub" and not status
        if isinstance(each, ConnectionError | TimeoutError) or (
            package in _NETWORK and not refused and not silent
        ):
            reason = (str(each).splitlines() or [""])[0] or type(each).__name__
            return LostConnectionError(
                f"the connection to the hub was lost ({reason}); "
                "run the same command again, which goes on from what it has saved, if it saves any"
            )
    return None


@contextmanager
def read_by_datasets(what: str) -> Iterator[None]:
    """Say in one line what `datasets` cannot read and why; its own errors are many and long.

    Of a download that was cut off, the finished files stay in the cache for the next call.
    """
    try:
        with without_bars():
            yield
    except Exception as error:
        cause = error.__cause__ or error
        reason = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise ValueError(f"cannot read {what}: {reason}") from None


def matching_files(where: str) -> list[Path]:
    """Files that a path, a folder (with all below it) or a pattern names, in order of name."""
    path = Path(where).expanduser()
    if path.is_file():
        return [path]
    pattern = str(path / "**" / "*") if path.is_dir() else str(path)
    found = (Path(name) for name in glob.glob(pattern, recursive=True))
    return sorted(file for file in found if file.is_file())


def contents(config: Any, settings: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Number, bytes and hash of the files behind each of a config's settings that name some.

    A setting is a path or pattern, or a mapping of names to such. Datasets of the hub are left
    out; of packaged text the package's version stands for the hash, and where a config's `held`
    says what a setting names (a database), that does. Raises ValueError for a file that cannot be
    read.
    """
    held: Callable[[str], dict[str, Any] | None] = getattr(config, "held", lambda setting: None)
    named: dict[str, str] = {}
    for setting in settings:
        value = getattr(config, setting, None)
        if isinstance(value, Mapping):
            named |= {f"{setting}.{key}": each for key, each in value.items()}
        elif value:
            named[setting] = str(value)
    named = {setting: where.removeprefix(STREAM) for setting, where in named.items()}
    return {
        setting: packaged.edition(where)
        if where.startswith(packaged.PACKAGED)
        else held(setting) or _content(where)
        for setting, where in sorted(named.items())
        if where and not where.startswith(HUB)
    }


def _content(where: str) -> dict[str, Any]:
    """One hash over names, sizes and hashes of all files; names count from their common folder."""
    files = matching_files(where)
    total, whole = 0, hashlib.sha256()
    base = Path(where).expanduser()
    for file in files:
        try:
            state = file.stat()
            content = _sha256(str(file), state.st_size, state.st_mtime_ns, state.st_ino)
        except OSError as error:
            raise ValueError(f"cannot read {file}: {error.strerror}; check its rights") from None
        name = file.relative_to(base).as_posix() if base.is_dir() else file.name
        whole.update(f"{name}\0{state.st_size}\0{content}\n".encode("utf-8", "surrogatepass"))
        total += state.st_size
    return {"files": len(files), "bytes": total, "sha256": whole.hexdigest()}


@lru_cache(maxsize=100_000)
def _sha256(file: str, size: int, changed: int, number: int) -> str:
    """sha256 of a file, read in pieces, and once in a process as long as nobody touches it."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
