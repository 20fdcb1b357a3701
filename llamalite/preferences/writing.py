"""Comparisons into files: JSONL, Parquet, HH-RLHF's text dialogues. Llama 2, section 3.2.1.

Every file appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llamalite.jsonl import Rejected
from llamalite.preferences import text_dialogues
from llamalite.preferences.interchange import (
    ANSWER_COLUMNS,
    ITEM_COLUMNS,
    REPLY_COLUMNS,
    item_row,
    said,
    to_row,
)
from llamalite.preferences.protocol import Comparison, Item
from llamalite.preferences.reading import Comparisons

_AT_ONCE = 10_000


def write_jsonl(
    path: str | Path,
    comparisons: Iterable[Comparison],
    margins: Mapping[str, float] | None = None,
) -> int:
    """Write a row each and return how many. With `margins`, by rating, rows have a "margin"."""
    rows = (json.dumps(to_row(each, margins), ensure_ascii=False) for each in comparisons)
    return _write_lines(Path(path), rows)


def write_hh(path: str | Path, comparisons: Iterable[Comparison]) -> Comparisons:
    """Write {"chosen": text, "rejected": text} rows, as HH-RLHF has them.

    That form has no system message and knows no text with a speaker's mark inside; comparisons that
    would be read back otherwise are not written. Returns both kinds; a line is the number of the
    comparison.
    """
    found = Comparisons([], [])

    def rows() -> Iterator[str]:
        for number, each in enumerate(comparisons, 1):
            try:
                row = {
                    name: text_dialogues.write([*each.messages, said(reply)])
                    for name, reply in (("chosen", each.chosen), ("rejected", each.rejected))
                }
            except ValueError as error:
                found.rejected.append(Rejected(str(path), number, str(error)))
                continue
            found.good.append(each)
            yield json.dumps(row, ensure_ascii=False)

    _write_lines(Path(path), rows())
    return found


def write_parquet(
    path: str | Path,
    comparisons: Iterable[Comparison],
    margins: Mapping[str, float] | None = None,
) -> int:
    """Write a row each and return how many; equal comparisons give equal bytes."""
    import pyarrow as pa

    schema = _schema(("chosen", "rejected"), ANSWER_COLUMNS)
    if margins is not None:
        schema = schema.append(pa.field("margin", pa.float64()))
    return _write_table(Path(path), (to_row(each, margins) for each in comparisons), schema)


def write_items(path: str | Path, items: Iterable[Item]) -> int:
    """Write pairs, judged or not, as a Parquet file: prompt, replies and where they come from."""
    return _write_table(Path(path), map(item_row, items), _schema(("a", "b"), ()))


def _schema(sides: Sequence[str], more: Sequence[str]) -> Any:
    import pyarrow as pa

    kinds = {"batch": pa.int64(), "is_safety": pa.bool_(), "finished": pa.bool_()}
    kinds |= {"temperature": pa.float64(), "seed": pa.int64(), "index": pa.int64()}
    messages = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
    columns = {name: messages for name in ("prompt", *sides)}
    columns |= {name: kinds.get(name, pa.string()) for name in (*ITEM_COLUMNS, *more)}
    for side in sides:
        columns |= {f"{side}_{name}": kinds.get(name, pa.string()) for name in REPLY_COLUMNS}
    return pa.schema(list(columns.items()))


def _write_table(path: Path, rows: Iterable[Mapping[str, Any]], schema: Any) -> int:
    """A Parquet file that appears whole or not at all; how many rows it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    partial = path.with_name(path.name + ".partial")
    written = 0
    with pq.ParquetWriter(partial, schema) as writer:
        part: list[Any] = []
        for row in rows:
            part.append(row)
            if len(part) == _AT_ONCE:
                writer.write_table(pa.Table.from_pylist(part, schema))
                written, part = written + len(part), []
        writer.write_table(pa.Table.from_pylist(part, schema))
    partial.replace(path)
    return written + len(part)


def _write_lines(path: Path, lines: Iterable[str]) -> int:
    partial = path.with_name(path.name + ".partial")
    written = 0
    with partial.open("w", encoding="utf-8", newline="\n") as stream:
        for line in lines:
            stream.write(line + "\n")
            written += 1
    partial.replace(path)
    return written
