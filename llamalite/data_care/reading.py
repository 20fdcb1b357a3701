"""Files of unknown manners, a document at a time and in bounded memory. Not in the paper.

A crawl holds everything: bytes that are no text, a line of 100 MB, rows nested ten thousand deep,
a file that unpacks to a billion spaces. None of it may stop the reading or fill the memory, so
each such document comes out as one that says why it is unusable, and the reading goes on.
"""

from __future__ import annotations

import gzip
import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from llamalite.data_care.documents import HEAD, RawDocument, head, site_of, unusable
from llamalite.data_care.json_array import begins_array, begins_object, elements
from llamalite.data_care.parquet import read_parquet

KINDS = (".jsonl", ".json", ".txt", ".parquet")
"""Endings of files that can be read; the first three also gzipped, with ".gz" after them."""
_PIECE = 1 << 20
"""Bytes taken at once of what is passed over."""
_SNIFFED = 1 << 10
"""Bytes in which the first sign of a file must stand."""


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

    JSONL: an object a line with "text" and perhaps "site" or "url"; JSON: the same, or one array of
    such objects, or objects written over several lines; Parquet: the same columns; text files: a
    document a line. A byte order mark at the beginning is no part of the text. Raises ValueError
    for a kind of file that cannot be read and OSError for one that cannot be opened.
    """
    kind = kind_of(path)
    if not path.stat().st_size:
        yield RawDocument("", source, path.name, fault="empty file")
        return
    if kind == ".parquet":
        yield from read_parquet(path, source, max_bytes)
        return
    parse = _plain if kind == ".txt" else _json
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        number = 0
        try:
            start = len(BOM_UTF8) if stream.read(len(BOM_UTF8)) == BOM_UTF8 else 0
            stream.seek(start)
            parts = bounded_lines
            if kind == ".json":
                parts = _parts_of_json(stream.read(_SNIFFED))
                stream.seek(start)
            for number, line, size in parts(stream, max_bytes):
                if found := _document(parse, line, size, max_bytes):
                    yield found._replace(source=source, place=f"{path.name}:{number}")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            where = f"{path.name}:{number + 1}"
            yield RawDocument("", source, where, fault=f"broken gzip: {error}")


def _parts_of_json(start: bytes) -> Any:
    """What takes a JSON file that begins with these bytes apart."""
    if begins_array(start):
        return elements
    return partial(elements, bare=True) if begins_object(start) else bounded_lines


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
    if "text" not in row:
        raise ValueError(head(f"no text: only {', '.join(row) or 'nothing'}"))
    return row["text"], site_of(row.get("site"), row.get("url"))
