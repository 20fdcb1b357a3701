"""Rows of JSONL files, good and bad ones apart: file, line and reason of each bad one are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def parsed(
    path: str | Path, rows: Iterable[tuple[int, Any]], parse: Callable[[int, Any], T]
) -> Iterator[T | Rejected]:
    """What `parse` makes of each row's number and value, or why it makes nothing of it.

    A row that is a ValueError already, and one for which `parse` raises one, is rejected.
    """
    for number, row in rows:
        try:
            if isinstance(row, ValueError):
                raise row
            yield parse(number, row)
        except ValueError as error:
            yield Rejected(str(path), number, str(error))


def apart(found: Iterable[T | Rejected]) -> tuple[list[T], list[Rejected]]:
    """Good rows and bad ones, each in their order."""
    good: list[T] = []
    rejected: list[Rejected] = []
    for each in found:
        if isinstance(each, Rejected):
            rejected.append(each)
        else:
            good.append(each)
    return good, rejected


def nothing_usable(
    path: str | Path, rejected: Sequence[Rejected], wanted: str, called: str = "row"
) -> ValueError:
    """The error that a file has no good row: what the first bad one lacks, and what is wanted."""
    why = f"{called} {rejected[0].line}: {rejected[0].reason}" if rejected else "it is empty"
    return ValueError(f"{path} has no usable row ({why}); each must {wanted}")


def read_rows(
    path: str | Path, parse: Callable[[int, Any], T], *, what: str, wanted: str
) -> tuple[list[T], list[Rejected]]:
    """A JSONL file's rows as `parse` makes them, and those of which it says why not.

    Raises ValueError when the file cannot be read or no row can be used; `what` then names the
    rows, and `wanted` tells what one must be.
    """
    path = Path(path)
    good, rejected = apart(parsed(path, json_rows(path, what), parse))
    if not good:
        raise nothing_usable(path, rejected, f"be {wanted}", "line")
    return good, rejected


def write_rows(path: str | Path, rows: Iterable[Any]) -> None:
    """Write rows as JSONL; a lone surrogate in a text is written as an escape."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    Path(path).write_text("".join(lines), encoding="utf-8", errors="backslashreplace")


def write_rejected(path: str | Path, rejected: Iterable[Rejected]) -> None:
    """Set rows aside: file, line and reason of each."""
    write_rows(path, (row._asdict() for row in rejected))
