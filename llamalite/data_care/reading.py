"""Files of unknown manners, a document at a time and in bounded memory. Not in the paper.

A crawl holds everything: bytes that are no text, a line of 100 MB, rows nested ten thousand deep,
a file that unpacks to a billion spaces. None of it may stop the reading or fill the memory, so
each such document comes out as one that says why it is unusable, and the reading goes on.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from llamalite.data_care.documents import HEAD, RawDocument, head, unusable

KINDS = (".jsonl", ".json", ".txt", ".parquet")
"""Endings of files that can be read; the first three also gzipped, with ".gz" after them."""
_PIECE = 1 << 20
"""Bytes taken at once of what is passed over."""
_BATCH = 16
"""Rows of a Parquet file in memory at once."""


class Lines(Protocol):
    """A file of bytes, packed or not."""

    def readline(self, size: int, /) -> bytes: ...


def kind_of(path: Path) -> str:
    """Which of `KINDS` a file is; ValueError when none."""
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind not in KINDS or (path.suffix == ".gz" and kind == ".parquet"):
        raise ValueError(
            f"{path} cannot be read; give files ending in {', '.join(KINDS)}, or in .gz after one "
            "of the first three"
        )
    return kind


def read_file(path: Path, source: str, max_bytes: int) -> Iterator[RawDocument]:
    """Every document of a file, usable or not; none of more than `max_bytes` is held in memory.

    JSONL: an object a line with "text" and perhaps "site" or "url"; Parquet: the same columns; text
    files: a document a line. Raises ValueError for a kind of file that cannot be read and OSError
    for one that cannot be opened.
    """
    kind = kind_of(path)
    if not path.stat().st_size:
        yield RawDocument("", source, path.name, fault="empty file")
        return
    if kind == ".parquet":
        yield from _parquet(path, source, max_bytes)
        return
    parse = _plain if kind == ".txt" else _json
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        number = 0
        try:
            for number, line, size in bounded_lines(stream, max_bytes):
                if found := _document(parse, line, size, max_bytes):
                    yield found._replace(source=source, place=f"{path.name}:{number}")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            where = f"{path.name}:{number + 1}"
            yield RawDocument("", source, where, fault=f"broken gzip: {error}")


def bounded_lines(stream: Lines, limit: int) -> Iterator[tuple[int, bytes, int]]:
    """Number, bytes and length of each line; of one longer than `limit` only the first bytes.

    The length counts the line's end. What is beyond the limit is read in pieces and let go.
    """
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        size, last = len(line), line[-1:]
        while last != b"\n" and (piece := stream.readline(_PIECE)):
            size, last = size + len(piece), piece[-1:]
        yield number, line if size <= limit else line[: 4 * HEAD], size


def _document(parse: Any, line: bytes, size: int, max_bytes: int) -> RawDocument | None:
    """A line's document, without its source and place; None for a blank line within the limit."""
    start = line[: 4 * HEAD].decode(errors="replace")
    if size > max_bytes:
        return RawDocument(head(start), "", "", fault=f"too long: {size:,} bytes", size=size)
    if not line.strip():
        return None
    try:
        text, site = parse(line.decode().rstrip("\r\n"))
    except UnicodeDecodeError as error:
        fault = f"not UTF-8: byte {error.start}"
    except RecursionError:
        fault = "nested too deep"
    except ValueError as error:
        fault = str(error)
    else:
        fault = unusable(text)
        if not fault:
            return RawDocument(text, "", "", site)
    return RawDocument(head(start), "", "", fault=fault, size=size)


def _plain(line: str) -> tuple[str, str]:
    return line, ""


def _json(line: str) -> tuple[Any, str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError(f"no object: a JSON {type(row).__name__}")
    return row.get("text"), site_of(row.get("site"), row.get("url"))


def site_of(site: object, url: object) -> str:
    """The site a row names, or the host of its address; empty where it has neither."""
    if isinstance(site, str) and site:
        return site
    try:
        return (urlsplit(url).hostname or "") if isinstance(url, str) else ""
    except ValueError:  # an address that is none
        return ""


def _parquet(path: Path, source: str, max_bytes: int) -> Iterator[RawDocument]:
    """Rows of a Parquet file. A group of rows too long on average is passed over unread."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def fault(place: int, why: str, size: int = 0, text: str = "") -> RawDocument:
        return RawDocument(head(text), source, f"{path.name}:{place}", fault=why, size=size)

    try:
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_PIECE)
    except (pa.ArrowException, OSError) as error:
        yield fault(0, f"broken Parquet: {str(error).splitlines()[0]}", path.stat().st_size)
        return
    columns = file.schema_arrow.names
    if "text" not in columns:
        yield fault(0, f'no column "text": {", ".join(columns)}', path.stat().st_size)
        return
    leaves = [file.schema.column(at).path for at in range(len(file.schema))]
    parts = [at for at, leaf in enumerate(leaves) if leaf.split(".")[0] == "text"]
    wanted = [name for name in ("text", "site", "url") if name in columns]
    row = 0
    for group in range(file.num_row_groups):
        about = file.metadata.row_group(group)
        size = sum(about.column(at).total_uncompressed_size for at in parts)
        if size > max_bytes * max(1, about.num_rows):
            yield fault(row + 1, f"too long: {about.num_rows} rows of {size:,} bytes", size)
            row += about.num_rows
            continue
        try:
            for batch in file.iter_batches(_BATCH, [group], columns=wanted, use_threads=False):
                texts = batch.column("text")
                if pa.types.is_dictionary(texts.type):
                    texts = texts.dictionary_decode()
                if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
                    texts = texts.cast(pa.large_binary())
                rest = batch.drop_columns(["text"]).to_pylist()
                for value, other in zip(texts, rest, strict=True):
                    row += 1
                    yield _cell(value.as_py(), other, max_bytes)._replace(
                        source=source, place=f"{path.name}:{row}"
                    )
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            yield fault(row + 1, f"broken Parquet: {str(error).splitlines()[0]}", size)
            row = sum(file.metadata.row_group(i).num_rows for i in range(group + 1))


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
