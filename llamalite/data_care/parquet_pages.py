"""How large the pages of a Parquet column are, told without unpacking one. Not in the paper.

A few packed bytes may unpack to gigabytes, and the footer tells only the sum over a group of rows.
Each page's own length stands in its header, a Thrift structure in the compact protocol:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, NamedTuple

_HEADER = 1 << 16
"""Bytes of the file in which a header must end; it may hold a column's least and greatest value."""
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_FIELD_OF = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
"""Field of the header that tells more of each kind of page; its first field counts the values."""


class Page(NamedTuple):
    """A page of a column."""

    values: int
    """Rows, in a column that is not nested; of a dictionary its entries."""
    size: int
    """Bytes once unpacked."""
    dictionary: bool


def pages(file: IO[bytes], column: Any) -> Iterator[Page]:
    """The pages of a column in a group of rows, in order.

    `column` is pyarrow's ColumnChunkMetaData. Raises ValueError for a header that is none.
    """
    starts = [column.data_page_offset, column.dictionary_page_offset]
    place = min(start for start in starts if start)
    end = place + column.total_compressed_size
    while place < end:
        file.seek(place)
        reader = _Compact(file.read(_HEADER))
        header = reader.structure()
        kind, size, packed = (header.get(number) for number in (1, 2, 3))
        if not isinstance(size, int) or not isinstance(packed, int) or min(size, packed) < 0:
            raise ValueError("a page without its length")
        place += reader.at + packed
        if kind in _FIELD_OF:
            about = header.get(_FIELD_OF[kind])
            values = about.get(1) if isinstance(about, dict) else None
            if not isinstance(values, int) or values < 0:
                raise ValueError("a page without its number of values")
            yield Page(values, size, kind == _DICTIONARY)


class _Compact:
    """As much of Thrift's compact protocol as a page's header needs."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def structure(self, depth: int = 0) -> dict[int, Any]:
        """Field -> value; ValueError where the bytes end or make no sense."""
        if depth > 4:
            raise ValueError("a page's header nested too deep")
        fields: dict[int, Any] = {}
        number = 0
        while first := self._byte():
            number = number + (first >> 4) if first >> 4 else self._zigzag()
            fields[number] = self._value(first & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):  # the truth values stand in the field's own head
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._skip(8)
        if kind == 8:
            return self._skip(self._varint())
        if kind == 12:
            return self.structure(depth + 1)
        raise ValueError(f"a page's header with a field of kind {kind}")

    def _byte(self) -> int:
        if self.at >= len(self.content):
            raise ValueError("a page's header without an end")
        self.at += 1
        return self.content[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a page's header with an endless number")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.content):
            raise ValueError("a page's header without an end")
