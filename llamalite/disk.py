"""Files that appear whole or not at all, a full disk that is called one, a folder held by one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def sha256_of(file: Path) -> str:
    """sha256 of a file's bytes, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the whole new one, never a part."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the whole new one, never a part."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Write `path` whole: on an error what stands there goes, and a full disk is an OSError.

    torch says of a full or read-only disk only that a writer failed, in errors of its own.
    """
    try:
        yield
    except BaseException as error:
        reason = _disk_error(error, path.parent)
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if reason is None:
            raise
        raise OSError(reason, os.strerror(reason), str(path)) from error


def _disk_error(error: BaseException, folder: Path) -> int | None:
    """The errno of what the disk refused, if that is what went wrong."""
    kinds = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
    if isinstance(error, OSError):
        return error.errno if error.errno in kinds else None
    text = " ".join([str(error), *map(str, getattr(error, "failures", {}).values())])
    for kind in kinds:
        if os.strerror(kind) in text:
            return kind
    if "PytorchStreamWriter" in text or "inline_container" in text or "write failed" in text:
        with suppress(OSError):
            if shutil.disk_usage(folder).free < 2**20:
                return errno.ENOSPC
    return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for one process; the system frees it however the process ends."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"another run is working in {folder}; wait for it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()
