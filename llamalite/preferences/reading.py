"""Comparisons from files: JSONL, Parquet, HH-RLHF's text dialogues. Llama 2, section 3.2.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from llamalite.jsonl import (
    Rejected,
    apart,
    json_rows,
    nothing_usable,
    parsed,
    write_rejected,
)
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
    found = Comparisons(*apart(scan(path, form=form, guideline=guideline, source=source)))
    if side_file is not None and found.rejected:
        write_rejected(side_file, found.rejected)
    if not found.good:
        raise nothing_usable(path, found.rejected, 'have "prompt", "chosen" and "rejected"')
    return found


def read_items(path: str | Path) -> tuple[list[Item], list[Rejected]]:
    """Pairs to be judged from a JSONL or Parquet file, and the rows that are none.

    Rows are those of `items.parquet`, see `llamalite.preferences.interchange.item_from_row`. Raises
    ValueError when the file cannot be read or no row is good.
    """
    path = Path(path)
    rows = _parquet_rows(path) if path.suffix == ".parquet" else json_rows(path, "pairs")
    good, rejected = apart(
        parsed(path, rows, lambda number, row: item_from_row(row, f"{path.name}:{number}"))
    )
    if not good:
        raise nothing_usable(path, rejected, 'have "prompt", "a" and "b"')
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

    def comparison(number: int, row: Any) -> Comparison:
        row = _from_texts(row) if form == "hh" else row
        return from_row(row, guideline, source or path.name, f"{path.name}:{number}")

    yield from parsed(path, rows, comparison)


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
