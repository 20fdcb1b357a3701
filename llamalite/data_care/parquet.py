"""Parquet files of unknown manners, row by row and in bounded memory. Not in the paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from llamalite.data_care.documents import HEAD, RawDocument, head, site_of, unusable
from llamalite.data_care.parquet_pages import pages

_PIECE = 1 << 20
"""Bytes taken at once."""
_BATCH = 16
"""Rows in memory at once, at most."""
_SMALLEST_PAGE = 4 << 20
"""Bytes that a page may always have: four times what is usual."""


class _Plan(NamedTuple):
    """How a group of rows is read."""

    rows: int
    """Those at its beginning that are read; the others lie in or after a page that is too large."""
    at_once: int
    """Rows in memory at a time."""
    largest: int
    """Bytes of its largest page."""


def read_parquet(path: Path, source: str, max_bytes: int) -> Iterator[RawDocument]:
    """Every row, usable or not; see `llamalite.data_care.reading.read_file`.

    A page is unpacked as a whole, and one of more than sixteen documents' greatest length never is:
    each of its rows is rejected, and each after it in the group, which is not to be had without it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def fault(place: int, why: str, size: int = 0) -> RawDocument:
        return RawDocument("", source, f"{path.name}:{place}", fault=why, size=size)

    try:
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_PIECE)
    except (pa.ArrowException, OSError) as error:
        yield fault(0, f"broken Parquet: {_line(error)}", path.stat().st_size)
        return
    columns = file.schema_arrow.names
    if "text" not in columns:
        yield fault(0, f'no column "text": {", ".join(columns)}', path.stat().st_size)
        return
    leaves = [file.schema.column(at).path for at in range(len(file.schema))]
    wanted = [name for name in ("text", "site", "url") if name in columns]
    parts = [at for at, leaf in enumerate(leaves) if leaf.split(".")[0] in wanted]
    row = 0
    for group in range(file.num_row_groups):
        about = file.metadata.row_group(group)
        last, size = (
            row + about.num_rows,
            sum(about.column(at).total_compressed_size for at in parts),
        )
        try:
            plan = _plan(path, about, parts, max(_BATCH * max_bytes, _SMALLEST_PAGE))
            if plan.rows:
                for found in _rows(file, group, wanted, plan, max_bytes):
                    row += 1
                    yield found._replace(source=source, place=f"{path.name}:{row}")
        except (pa.ArrowException, OSError, ValueError) as error:
            yield fault(row + 1, f"broken Parquet: {_line(error)}", size)
            row = last
            continue
        for place in range(row + 1, last + 1):
            yield fault(place, f"too long: in or after a page of {plan.largest:,} bytes")
        row = last


def _plan(path: Path, group: Any, parts: list[int], greatest: int) -> _Plan:
    """Which rows of a group can be read within a page of `greatest` bytes, and how many at once."""
    rows, largest = group.num_rows, 0
    with path.open("rb") as stream:
        for part in parts:
            begin = 0
            for page in pages(stream, group.column(part)):
                largest = max(largest, page.size)
                if page.size > greatest:
                    rows = min(rows, begin)
                    break
                begin += 0 if page.dictionary else page.values
    # a batch of rows may touch as many pages; and it must not reach into one that is too large
    at_once = max(1, min(_BATCH, greatest // max(1, largest))) if rows == group.num_rows else 1
    return _Plan(rows, at_once, largest)


def _rows(
    file: Any, group: int, wanted: list[str], plan: _Plan, max_bytes: int
) -> Iterator[RawDocument]:
    """The first rows of a group as documents without source and place."""
    import pyarrow as pa

    left = plan.rows
    for batch in file.iter_batches(plan.at_once, [group], columns=wanted, use_threads=False):
        texts = batch.column("text")
        if pa.types.is_dictionary(texts.type):
            texts = texts.dictionary_decode()
        if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
            texts = texts.cast(pa.large_binary())
        rest = batch.drop_columns(["text"]).to_pylist()
        for value, other in zip(texts, rest, strict=True):
            yield _cell(value.as_py(), other, max_bytes)
        left -= len(batch)
        if left <= 0:
            return


def _cell(value: Any, other: dict[str, Any], max_bytes: int) -> RawDocument:
    """A Parquet row's document, without its source and place."""
    if not isinstance(value, bytes):
        return RawDocument("", "", "", fault="no text")
    start = value[: 4 * HEAD].decode(errors="replace")
    fault, text = "", ""
    if len(value) > max_bytes:
        fault = f"too long: {len(value):,} bytes"
    else:
        try:
            text = value.decode()
            fault = unusable(text)
        except UnicodeDecodeError as error:
            fault = f"not UTF-8: byte {error.start}"
    if fault:
        return RawDocument(head(start), "", "", fault=fault, size=len(value))
    return RawDocument(text, "", "", site_of(other.get("site"), other.get("url")))


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
