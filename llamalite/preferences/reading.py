"""Comparisons from files and the hub: JSONL, Parquet, HH-RLHF's text dialogues. Section 3.2.1.

The one reader of them: annotators' verdicts, collections of the stage, open sets for reward models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from llamalite.own_files import HUB, hub_name, read_by_datasets
from llamalite.preferences import text_dialogues
from llamalite.preferences.interchange import from_row, item_from_row
from llamalite.preferences.protocol import GUIDELINES, Comparison, Item, Place

Format = Literal["jsonl", "parquet", "hh"]
WANTED = 'have "prompt", "chosen" and "rejected"'
"""What a row must, where none does."""
_AT_ONCE = 10_000


class Comparisons(NamedTuple):
    """What a file holds."""

    good: list[Comparison]
    rejected: list[Rejected]


def read_comparisons(
    where: str | Path,
    *,
    form: Format | None = None,
    guideline: str | None = None,
    source: str = "",
    side_file: str | Path | None = None,
) -> Comparisons:
    """All comparisons of a file or of a set of the hub, and the malformed rows.

    The malformed go to `side_file` too, if named. For the rest see `scan`. Raises ValueError when
    it cannot be read or none of its rows is good.
    """
    found = Comparisons(*apart(scan(where, form=form, guideline=guideline, source=source)))
    if side_file is not None and found.rejected:
        write_rejected(side_file, found.rejected)
    if not found.good:
        raise nothing_usable(where, found.rejected, WANTED)
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
    where: str | Path,
    *,
    form: Format | None = None,
    guideline: str | None = None,
    source: str = "",
    wanted: Callable[[Any], bool] = lambda row: True,
    check: Callable[[Any], None] = lambda row: None,
) -> Iterator[Comparison | Rejected]:
    """The rows one by one, however many: comparisons that know their place, and malformed rows.

    `where` is a file, Parquet by its ending and else JSONL, or hub:NAME[:CONFIG[:SPLIT]] for a set
    of the hub. A row without "prompt" whose sides are text dialogues with marked speakers is read
    as HH-RLHF's; `form` settles what else follows from ending and row, "hh" being JSONL of such
    rows alone. `guideline`, `source`: of rows that name none. Rows that are not `wanted` are passed
    over; `check` says by a ValueError why a row is rejected that would pass else. Raises ValueError
    for an unknown form or guideline, and when nothing can be read there.
    """
    if form is not None and form not in ("jsonl", "parquet", "hh"):
        raise ValueError(f"form is {form!r}; choose among jsonl, parquet, hh")
    if guideline is not None and guideline not in GUIDELINES:
        raise ValueError(f"guideline is {guideline!r}; choose among {', '.join(GUIDELINES)}")
    shown = str(where)
    name = shown if shown.startswith(HUB) else Path(where).name

    def comparison(number: int, row: Any) -> Comparison:
        check(row)
        row = _from_texts(row) if form == "hh" or _is_of_texts(row) else row
        return from_row(row, guideline, source or name, f"{name}:{number}", Place(shown, number))

    rows = (
        (number, row)
        for number, row in _rows(where, form)
        if isinstance(row, ValueError) or wanted(row)
    )
    yield from parsed(shown, rows, comparison)


def _rows(where: str | Path, form: Format | None) -> Iterator[tuple[int, Any]]:
    """Rows with their numbers, from 1; a ValueError where a line is none."""
    if str(where).startswith(HUB):
        return _hub_rows(str(where))
    path = Path(where)
    if form == "parquet" or (form is None and path.suffix == ".parquet"):
        return _parquet_rows(path)
    return json_rows(path, "comparisons")


def _hub_rows(where: str) -> Iterator[tuple[int, Any]]:
    from datasets import load_dataset

    name, config, split = hub_name(where)
    with read_by_datasets(repr(where)):
        rows: Any = load_dataset(name, config, split=split)
    yield from enumerate(rows, 1)


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


def _is_of_texts(row: Any) -> bool:
    return (
        isinstance(row, Mapping)
        and row.get("prompt") is None
        and all(text_dialogues.is_one(row.get(side)) for side in ("chosen", "rejected"))
    )


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
