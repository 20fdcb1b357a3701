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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llamalite import own_files
from llamalite.disk import sha256_of, write_json
from llamalite.stopwatch import spending

FORMAT = 1
"""Raised when older artifacts can no longer be read; part of every fingerprint."""

PARTIAL = ".partial"
MANIFEST = "manifest.json"
_REPLACED = ".replaced"
_NOTE = "draft.json"
_SPENT = "spent.json"
_MACHINE = "parallel"
"""Field of a config that says on what machine, not what; only its precision decides the result."""
_PACE = "compile"
"""Field of a config without `parallel` that says how fast; what is drawn may differ by it where two
tokens are within the last digits of each other, so that a draft is best gone on with as begun."""
_LOGS = "*.csv"
"""The course of a training, with its speed: another in every run."""
SOURCES = (".py", ".c")
"""Endings of files that hold code."""
_RECORDED_PACKAGES = ("llamalite", "torch", "lightning", "numpy", "sentencepiece", "datasets")


@dataclass(frozen=True)
class Artifact:
    """The finished output folder of one stage."""

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> Artifact:
        """Read and verify a finished folder.

        Raises ValueError when it is missing, unfinished, or a file differs from its recorded hash.
        Without `verify` the files are not looked at (another process has just done so).
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
        for name, recorded in files if verify else ():
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
                if not fnmatch(name, _LOGS)
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


def fingerprint(
    stage: str,
    config: Any,
    inputs: Mapping[str, Artifact],
    seed: int,
    files: Sequence[str] = (),
) -> str:
    """All that a stage's output depends on, as one hash: a stage is stale when it changes.

    `files` are the settings that name files of the user's: what these hold counts. The machine
    (`parallel`) does not, but for its precision, so that a run may go on with other processes.
    """
    everything = {
        "format": FORMAT,
        "stage": stage,
        "config": deciding(config),
        "inputs": {name: artifact.content_hash for name, artifact in inputs.items()},
        "seed": seed,
    }
    held = own_files.contents(config, files)
    return digest(everything | {"files": held} if held else everything)


def deciding(config: Any) -> Any:
    """A config as plain values, without what only says on which machine it runs, at any depth."""
    plain = to_plain(config)
    if not isinstance(plain, dict):
        return plain
    kept = {name: deciding(value) for name, value in plain.items() if name != _PACE}
    if isinstance(plain.get(_MACHINE), dict):
        kept[_MACHINE] = {"precision": plain[_MACHINE].get("precision")}
    return kept


@contextmanager
def drafting(
    path: Path,
    stage: str,
    config: Any,
    inputs: Mapping[str, Artifact],
    seed: int,
    *,
    files: Sequence[str] = (),
    notice: Callable[[str], None] = lambda message: None,
) -> Iterator[Draft]:
    """Write a stage's folder atomically: a Draft inside, a finished artifact after.

    A draft left by an interrupted run of the same fingerprint and code is handed on for resuming;
    any other is discarded, which `notice` is told. An exception leaves the draft for the next run.
    `files`: see `fingerprint`.
    """
    mark = fingerprint(stage, config, inputs, seed, files)
    draft = draft_of(path)
    attempts = _open_draft(draft.path, mark, notice)
    draft.work.mkdir(parents=True, exist_ok=True)
    with spending(draft.work / _SPENT) as spent:
        yield draft
    seconds, cpu_seconds = spent()
    manifest = {
        "stage": stage,
        "config": to_plain(config),
        "config_hash": digest(deciding(config)),
        "own_files": own_files.contents(config, files),
        "inputs": {name: artifact.content_hash for name, artifact in inputs.items()},
        "seed": seed,
        "fingerprint": mark,
        "metrics": draft.metrics,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "peak_memory_bytes": peak_memory_bytes(),
        "resumed": attempts,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": versions(),
        "code_hash": code_hash(),
        "files": {
            file.relative_to(draft.path).as_posix(): {
                "bytes": file.stat().st_size,
                "sha256": sha256_of(file),
            }
            for file in sorted(draft.path.rglob("*"))
            if file.is_file() and draft.work not in file.parents and file.name != _NOTE
        },
    }
    write_json(draft.path / MANIFEST, manifest)
    _finish(draft.path, path)


def draft_of(path: Path) -> Draft:
    """Where the stage whose folder is `path` writes while it runs."""
    partial = path.with_name(path.name + PARTIAL)
    return Draft(partial, partial / "work")


def why_not_resumed(path: Path, mark: str) -> str | None:
    """Why a draft of `path` would be discarded, in words; None where it is gone on with or none."""
    partial = draft_of(path).path
    left = _note(partial)
    if not left or (left.get("fingerprint") == mark and left.get("code_hash") == code_hash()):
        return None
    if left.get("fingerprint") != mark:
        return f"{partial}, half done with other settings or inputs, is discarded"
    return f"{partial}, half done by other code, is discarded: its end would not be the same bytes"


def resumable(path: Path, mark: str) -> bool:
    """Whether a draft stands that a run of this fingerprint would go on with."""
    return bool(_note(draft_of(path).path)) and why_not_resumed(path, mark) is None


def _note(partial: Path) -> dict[str, Any]:
    """What a draft says of itself; nothing where it is none or torn."""
    try:
        left = json.loads((partial / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return left if isinstance(left, dict) else {}


def _open_draft(partial: Path, mark: str, notice: Callable[[str], None]) -> int:
    """Make or take over the draft folder; returns how often it was taken over."""
    path = partial.with_name(partial.name.removesuffix(PARTIAL))
    attempts = 0
    if resumable(path, mark):
        attempts = int(_note(partial).get("resumed", 0)) + 1
        # a whole draft that is made anew all the same: half-way through it is whole no longer
        (partial / MANIFEST).unlink(missing_ok=True)
    elif partial.exists():
        why = why_not_resumed(path, mark)
        if why:
            notice(why)
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    note = {"fingerprint": mark, "code_hash": code_hash(), "resumed": attempts}
    write_json(partial / _NOTE, note)
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
    sources = source_files(root)
    return digest({file.relative_to(root).as_posix(): sha256_of(file) for file in sources})


def source_files(folder: Path) -> list[Path]:
    """Files below a folder that hold code, Python's and C's."""
    return sorted(file for file in folder.rglob("*") if file.suffix in SOURCES)
