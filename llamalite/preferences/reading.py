"""Comparisons from files: JSONL, Parquet, HH-RLHF's text dialogues. Llama 2, section 3.2.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from llamalite.jsonl import Rejected, json_rows, write_rejected
from llamalite.preferences import text_dialogues
from llamalite.preferences.interchange import from_row, item_from_row
from llamalite.preferences.protocol import GUIDELINES, Comparison, Item

Format = Literal["jsonl", "parquet", "hh"]
_AT_ONCE = 10_000


class Comparisons(NamedTuple):
    """What a file holds."""

    good: list[Comparison]
    rejected: list[Rejected]


def read_comparisons(
    path: str | Path,
    *,
    form: Format | None = None,
    guideline: str | None = None,
    source: str = "",
    side_file: str | Path | None = None,
) -> Comparisons:
    """All comparisons of a file, and its malformed rows; these go to `side_file` too, if named.

    `form` follows from the ending (.jsonl, .parquet) unless told; "hh" is JSONL of text dialogues.
    `guideline`, `source`: of rows that name none. Raises ValueError when the file cannot be read or
    none of its rows is good.
    """
    found = Comparisons([], [])
    for each in scan(path, form=form, guideline=guideline, source=source):
        if isinstance(each, Rejected):
            found.rejected.append(each)
        else:
            found.good.append(each)
    if side_file is not None and found.rejected:
        write_rejected(side_file, found.rejected)
    if not found.good:
        first = found.rejected[0] if found.rejected else None
        why = f"row {first.line}: {first.reason}" if first else "it is empty"
        raise ValueError(
            f'{path} has no usable row ({why}); each must have "prompt", "chosen" and "rejected"'
        )
    return found


def read_items(path: str | Path) -> tuple[list[Item], list[Rejected]]:
    """Pairs to be judged from a JSONL or Parquet file, and the rows that are none.

    Rows are those of `items.parquet`, see `llamalite.preferences.interchange.item_from_row`. Raises
    ValueError when the file cannot be read or no row is good.
    """
    path = Path(path)
    good: list[Item] = []
    rejected: list[Rejected] = []
    rows = _parquet_rows(path) if path.suffix == ".parquet" else json_rows(path, "pairs")
    for number, row in rows:
        try:
            if isinstance(row, ValueError):
                raise row
            good.append(item_from_row(row, f"{path.name}:{number}"))
        except ValueError as error:
            rejected.append(Rejected(str(path), number, str(error)))
    if not good:
        why = f"row {rejected[0].line}: {rejected[0].reason}" if rejected else "it is empty"
        raise ValueError(f'{path} has no usable row ({why}); each must have "prompt", "a" and "b"')
    return good, rejected


def scan(
    path: str | Path,
    *,
    form: Format | None = None,
    guideline: str | None = None,
    source: str = "",
) -> Iterator[Comparison | Rejected]:
    """The rows of a file one by one, however large it is; see `read_comparisons`."""
    path = Path(path)
    form = form or ("parquet" if path.suffix == ".parquet" else "jsonl")
    if form not in ("jsonl", "parquet", "hh"):
        raise ValueError(f"form is {form!r}; choose among jsonl, parquet, hh")
    if guideline is not None and guideline not in GUIDELINES:
        raise ValueError(f"guideline is {guideline!r}; choose among {', '.join(GUIDELINES)}")
    rows = _parquet_rows(path) if form == "parquet" else json_rows(path, "comparisons")
    for number, row in rows:
        try:
            if isinstance(row, ValueError):
                raise row
            if form == "hh":
                row = _from_texts(row)
            yield from_row(row, guideline, source or path.name, f"{path.name}:{number}")
        except ValueError as error:
            yield Rejected(str(path), number, str(error))


def _parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for part in file.iter_batches(_AT_ONCE):
                for row in part.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"cannot read comparisons from {path}: {reason}") from None


def _from_texts(row: Any) -> dict[str, Any]:
    """A row of text dialogues as one of messages."""
    if not isinstance(row, Mapping):
        raise ValueError("not an object with columns")
    sides = {}
    for name in ("chosen", "rejected"):
        if not isinstance(row.get(name), str):
            raise ValueError(f'no text under "{name}"')
        sides[name] = text_dialogues.read(row[name])
    return {**row, **sides, "prompt": None}
