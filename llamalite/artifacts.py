"""Where a stage's outputs live: atomic, hashed, resumable, self-describing.

A stage writes into `<run>/<stage>.partial` and the folder is renamed to `<run>/<stage>` when all of
it is there, with a `manifest.json` that says how it was made. Whatever kills the process, a folder
without the `.partial` ending is whole. Weights are safetensors, anything else JSON, CSV or Parquet,
so that opening a stranger's artifact cannot run code.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FORMAT = 1
"""Raised when older artifacts can no longer be read; part of every fingerprint."""

PARTIAL = ".partial"
MANIFEST = "manifest.json"
_REPLACED = ".replaced"
_NOTE = "draft.json"
_LOGS = ("metrics.csv", "logs/")
_RECORDED_PACKAGES = ("llamalite", "torch", "lightning", "numpy", "sentencepiece", "datasets")


@dataclass(frozen=True)
class Artifact:
    """The finished output folder of one stage."""

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Artifact:
        """Read and verify a finished folder.

        Raises ValueError when it is missing, unfinished, or a file differs from its recorded hash.
        """
        path = Path(path)
        if not path.is_dir():
            raise ValueError(f"{path} does not exist; run the stage {path.name!r} first")
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            files = manifest["files"].items()
        except FileNotFoundError:
            raise ValueError(f"{path} has no {MANIFEST}; it is not the output of a stage") from None
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
            raise ValueError(f"{path / MANIFEST} is damaged; delete {path} and run again") from None
        for name, recorded in files:
            file = path / name
            if not file.is_file() or file.stat().st_size != recorded["bytes"]:
                found = file.stat().st_size if file.is_file() else "missing"
                raise ValueError(
                    f"{file} is damaged: {found} instead of {recorded['bytes']} bytes; "
                    f"delete {path} and run again"
                )
            if sha256_of(file) != recorded["sha256"]:
                raise ValueError(f"{file} differs from its hash; delete {path} and run again")
        return cls(path, manifest)

    def file(self, name: str) -> Path:
        """Path of one of the artifact's files; ValueError when it has no such file."""
        path = self.path / name
        if not path.exists():
            raise ValueError(f"{self.path} has no file {name!r}; it holds {sorted(self.files)}")
        return path

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Each file's bytes and sha256, by its name relative to the folder."""
        return self.manifest["files"]

    @property
    def metrics(self) -> dict[str, Any]:
        """The numbers the stage reported."""
        return self.manifest["metrics"]

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the content: config, seed and the inputs' content."""
        return self.manifest["fingerprint"]

    @property
    def content_hash(self) -> str:
        """Hash of the files themselves; what a later stage's fingerprint is made of.

        Logs carry times of day and do not count.
        """
        return digest(
            {
                name: entry["sha256"]
                for name, entry in self.files.items()
                if not name.startswith(_LOGS)
            }
        )


@dataclass
class Draft:
    """The folder a running stage writes into."""

    path: Path
    """Final files go here."""
    work: Path
    """Resume checkpoints and scratch files; gone when the stage is done."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Numbers for the manifest."""


def fingerprint(stage: str, config: Any, inputs: Mapping[str, Artifact], seed: int) -> str:
    """All that a stage's output depends on, as one hash: a stage is stale when it changes."""
    return digest(
        {
            "format": FORMAT,
            "stage": stage,
            "config": to_plain(config),
            "inputs": {name: artifact.content_hash for name, artifact in inputs.items()},
            "seed": seed,
        }
    )


@contextmanager
def drafting(
    path: Path, stage: str, config: Any, inputs: Mapping[str, Artifact], seed: int
) -> Iterator[Draft]:
    """Write a stage's folder atomically: a Draft inside, a finished artifact after.

    A draft left by an interrupted run of the same fingerprint is handed on for resuming; one of
    another fingerprint is discarded. An exception leaves the draft for the next run.
    """
    mark = fingerprint(stage, config, inputs, seed)
    partial = path.with_name(path.name + PARTIAL)
    attempts = _open_draft(partial, mark)
    draft = Draft(partial, partial / "work")
    draft.work.mkdir(parents=True, exist_ok=True)
    started, cpu_started = time.time(), time.process_time()
    yield draft
    manifest = {
        "stage": stage,
        "config": to_plain(config),
        "config_hash": digest(to_plain(config)),
        "inputs": {name: artifact.content_hash for name, artifact in inputs.items()},
        "seed": seed,
        "fingerprint": mark,
        "metrics": draft.metrics,
        "seconds": round(time.time() - started, 3),
        "cpu_seconds": round(time.process_time() - cpu_started, 3),
        "peak_memory_bytes": peak_memory_bytes(),
        "resumed": attempts,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": versions(),
        "code_hash": code_hash(),
        "files": {
            file.relative_to(partial).as_posix(): {
                "bytes": file.stat().st_size,
                "sha256": sha256_of(file),
            }
            for file in sorted(partial.rglob("*"))
            if file.is_file() and draft.work not in file.parents and file.name != _NOTE
        },
    }
    write_json(partial / MANIFEST, manifest)
    _finish(partial, path)


def _open_draft(partial: Path, mark: str) -> int:
    """Make or take over the draft folder; returns how often it was taken over."""
    note = partial / _NOTE
    attempts = 0
    if partial.exists():
        try:
            left = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            left = {}
        if left.get("fingerprint") == mark:
            attempts = left["resumed"] + 1
            # a whole draft that is made anew all the same: half-way through it is whole no longer
            (partial / MANIFEST).unlink(missing_ok=True)
        else:
            shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    write_json(note, {"fingerprint": mark, "resumed": attempts})
    return attempts


def _finish(partial: Path, path: Path) -> None:
    """Put a whole draft in the place of `path`; `recover` mends a kill anywhere in here."""
    shutil.rmtree(partial / "work", ignore_errors=True)
    (partial / _NOTE).unlink(missing_ok=True)
    replaced = path.with_name(path.name + _REPLACED)
    if path.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        path.rename(replaced)
    partial.rename(path)
    shutil.rmtree(replaced, ignore_errors=True)


def recover(path: Path) -> None:
    """Complete a replacement that was killed half-way: the finished draft takes its place.

    Only for who holds the run folder's lock: a reader would take it out of a running stage's hands.
    """
    partial = path.with_name(path.name + PARTIAL)
    if (partial / MANIFEST).is_file():
        _finish(partial, path)


def to_plain(value: Any) -> Any:
    """Dataclasses, tuples and paths as plain JSON values, so that equal configs hash alike."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def digest(value: Any) -> str:
    """sha256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_of(file: Path) -> str:
    """sha256 of a file's bytes, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the whole new one, never a part."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1, ensure_ascii=False, allow_nan=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far, bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@cache
def code_hash() -> str:
    """Hash of the package's source, recorded so that a result can be traced to its code."""
    root = Path(__file__).parent
    sources = sorted(root.rglob("*.py"))
    return digest({file.relative_to(root).as_posix(): sha256_of(file) for file in sources})
