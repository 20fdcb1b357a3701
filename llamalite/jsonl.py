"""Rows of JSONL files, good and bad ones apart: file, line and reason of each bad one are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Rejected(NamedTuple):
    """A row of a file that cannot be used."""

    file: str
    line: int
    """From 1; of a Parquet file, its row."""
    reason: str


def json_rows(path: Path, what: str) -> Iterator[tuple[int, Any]]:
    """Line numbers with their values, or with a ValueError where a line is not JSON.

    Blank lines are passed over. Raises ValueError, which calls the rows `what`, when the file
    cannot be read.
    """
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield number, ValueError(f"not JSON: {error}")
    except OSError as error:
        raise ValueError(f"cannot read {what} from {path}: {error.strerror}") from None


def read_rows(
    path: str | Path, parse: Callable[[int, Any], T], *, what: str, wanted: str
) -> tuple[list[T], list[Rejected]]:
    """What `parse` makes of each line's number and value, and the lines of which it says why not.

    `parse` raises ValueError for a row it cannot use. Raises ValueError when the file cannot be
    read or no row can be used; `wanted` then tells what a row must be.
    """
    path = Path(path)
    found: list[T] = []
    rejected: list[Rejected] = []
    for number, row in json_rows(path, what):
        try:
            if isinstance(row, ValueError):
                raise row
            found.append(parse(number, row))
        except ValueError as error:
            rejected.append(Rejected(str(path), number, str(error)))
    if not found:
        why = f"line {rejected[0].line}: {rejected[0].reason}" if rejected else "it is empty"
        raise ValueError(f"{path} has no usable row ({why}); each must be {wanted}")
    return found, rejected


def write_rows(path: str | Path, rows: Iterable[Any]) -> None:
    """Write rows as JSONL; a lone surrogate in a text is written as an escape."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    Path(path).write_text("".join(lines), encoding="utf-8", errors="backslashreplace")


def write_rejected(path: str | Path, rejected: Iterable[Rejected]) -> None:
    """Set rows aside: file, line and reason of each."""
    write_rows(path, (row._asdict() for row in rejected))
