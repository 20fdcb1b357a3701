"""What a GGUF file says of itself: its metadata and where its tensors lie.

GGUF is llama.cpp's format (its specification: ggml/docs/gguf.md): magic, version, two counts,
key-value pairs, one record a tensor, then the tensors' bytes. A file from a stranger may declare
anything, so every length is held against the file's size before it is believed, and lists are
left in the file until they are asked for. (The `gguf` package's own reader makes objects of
every list element first; it decodes the tensors' blocks, see `llamalite.model.gguf`.)
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_PAIRS, MOST_TENSORS = 4096, 4096
"""Metadata pairs and tensors a file may declare; a 70B model has some 40 and 723."""
MOST_ELEMENTS = 1_000_000
"""Elements of a list that is asked for; a vocabulary of 128,000 pieces has some 280,000 merges."""
STRING, ARRAY = 8, 9
SCALARS = {
    **{0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"},
    **{10: "Q", 11: "q", 12: "d"},
}
"""Type numbers of metadata values, and how `struct` calls them."""


class TensorRecord(NamedTuple):
    """One tensor: its shape, its type and where its bytes begin."""

    shape: tuple[int, ...]
    """Rows first, as PyTorch has it; the file lists the innermost axis first."""
    kind: int
    """Number of its type, as F32 (0), F16 (1), Q4_1 (3), Q8_0 (8)."""
    start: int
    """Byte of the file."""


@dataclass(frozen=True)
class ListInFile:
    """A list of metadata that stays in the file until it is asked for."""

    data: mmap.mmap | bytes
    start: int
    kind: int
    count: int

    def values(self) -> Iterator[Any]:
        """Its elements one by one."""
        cursor = Cursor(self.data, self.start)
        for _ in range(self.count):
            yield cursor.value(self.kind)


class Cursor:
    """Reads little-endian values one after the other, and never beyond the file's end."""

    def __init__(self, data: mmap.mmap | bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def skip(self, count: int) -> int:
        """Pass over some bytes; where they begin. ValueError when the file ends before."""
        start, end = self.position, self.position + count
        if end > len(self.data):
            raise ValueError(
                f"declares {count:,} bytes at byte {start:,} and ends at {len(self.data):,}; it "
                "is truncated or damaged, fetch it again"
            )
        self.position = end
        return start

    def scalar(self, code: str) -> Any:
        """One number."""
        return struct.unpack_from("<" + code, self.data, self.skip(struct.calcsize(code)))[0]

    def text(self) -> str:
        """One string. ValueError when it is no UTF-8."""
        length = self.scalar("Q")
        start = self.skip(length)
        try:
            return self.data[start : start + length].decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"has a text at byte {start:,} that is not UTF-8") from None

    def value(self, kind: int) -> Any:
        """One metadata value; a list is passed over and returned as where it lies."""
        if kind in SCALARS:
            return self.scalar(SCALARS[kind])
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self._list()
        raise ValueError(f"has metadata of unknown type {kind} at byte {self.position:,}")

    def _list(self) -> ListInFile:
        kind, count = self.scalar("I"), self.scalar("Q")
        found = ListInFile(self.data, self.position, kind, count)
        if kind in SCALARS:
            self.skip(count * struct.calcsize(SCALARS[kind]))
        elif kind == STRING:
            for _ in range(count):  # each takes eight bytes at least, so the file's end is near
                self.skip(self.scalar("Q"))
        else:
            raise ValueError(f"has a list of type {kind} at byte {self.position:,}")
        return found


@dataclass(frozen=True)
class Header:
    """All that stands before the tensors' bytes."""

    metadata: dict[str, Any]
    """Numbers, strings, and lists as `ListInFile`."""
    tensors: dict[str, TensorRecord]

    def list_of(self, key: str, texts: bool) -> list[Any]:
        """A list of the metadata, of texts or of whole numbers.

        Raises ValueError when there is none of that name, or one of other elements, or a huge one.
        Its objects take up to fifty times the bytes they have in the file, so there is a bound.
        """
        found = self.metadata.get(key)
        if not isinstance(found, ListInFile):
            raise ValueError(f"has no list {key}; choose a file that carries its tokenizer")
        wanted = "texts" if texts else "whole numbers"
        is_text, is_number = found.kind == STRING, SCALARS.get(found.kind, "?") in "bBhHiIqQ"
        if not (is_text if texts else is_number):
            raise ValueError(f"has a list {key} of type {found.kind}, which should be {wanted}")
        if found.count > MOST_ELEMENTS:
            raise ValueError(
                f"has a list {key} of {found.count:,}; at most {MOST_ELEMENTS:,} are read"
            )
        return list(found.values())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it, where it does not stand there yet."""
    try:
        yield
    except ValueError as error:
        named = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {named}") from None


def map_file(path: Path) -> mmap.mmap:
    """A file's bytes without reading them. ValueError when there are none."""
    try:
        with path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; give a .gguf file") from None
    except ValueError:
        raise ValueError(f"{path}: is empty; fetch it again") from None


def read_header(data: mmap.mmap | bytes) -> Header:
    """Metadata and tensor records of a GGUF file.

    Raises ValueError, without the file's name, when it is of another format or version, or
    declares what it does not hold.
    """
    cursor = Cursor(data)
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("is not a GGUF file")
    cursor.skip(len(MAGIC))
    version, tensors, pairs = cursor.scalar("I"), cursor.scalar("Q"), cursor.scalar("Q")
    if version not in VERSIONS:
        raise ValueError(f"has GGUF version {version}; versions 2 and 3 (little-endian) are read")
    for what, count, most in (
        ("metadata pairs", pairs, MOST_PAIRS),
        ("tensors", tensors, MOST_TENSORS),
    ):
        if count > most:
            raise ValueError(f"declares {count:,} {what}; at most {most:,} are read")
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = cursor.text()
        metadata[key] = cursor.value(cursor.scalar("I"))
    records = dict(_record(cursor) for _ in range(tensors))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"has alignment {alignment!r}; it must be a positive number")
    begin = -(-cursor.position // alignment) * alignment
    placed = {n: record._replace(start=record.start + begin) for n, record in records.items()}
    return Header(metadata, placed)


def _record(cursor: Cursor) -> tuple[str, TensorRecord]:
    name, axes = cursor.text(), cursor.scalar("I")
    if not 1 <= axes <= 4:
        raise ValueError(f"has tensor {name!r} with {axes} axes; 1 to 4 are possible")
    shape = tuple(cursor.scalar("Q") for _ in range(axes))[::-1]
    return name, TensorRecord(shape, cursor.scalar("I"), cursor.scalar("Q"))


def tensor_bytes(data: mmap.mmap | bytes, record: TensorRecord, length: int) -> np.ndarray:
    """A tensor's bytes, still in the file. ValueError when the file ends before them."""
    Cursor(data, record.start).skip(length)
    return np.frombuffer(data, np.uint8, length, record.start)
