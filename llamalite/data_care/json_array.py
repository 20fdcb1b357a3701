"""The elements of one large JSON array, one after another and in bounded memory. Not in the paper.

A `.json` file may be an array of objects rather than an object a line. Nothing of it is parsed
here: strings and brackets are followed to find where an element ends, so that a long or broken one
is passed over and the next one found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from llamalite.data_care.documents import HEAD

_PIECE = 1 << 16
"""Bytes looked at once."""
_OUTSIDE = re.compile(rb'["\[\]{},]')
_INSIDE = re.compile(rb'["\\]')


class Bytes(Protocol):
    """A file of bytes, packed or not."""

    def read(self, size: int, /) -> bytes: ...


def begins_array(start: bytes) -> bool:
    """Whether a file that begins with these bytes is an array."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def elements(stream: Bytes, limit: int) -> Iterator[tuple[int, bytes, int]]:
    """Number from 1, bytes and length of each element; of one longer than `limit` the beginning.

    The contract of `llamalite.data_care.reading.bounded_lines`. An element that the file's end cuts
    off comes as it is.
    """
    number = size = depth = 0
    held = bytearray()
    in_string = escaped = False

    def take(part: bytes) -> None:
        nonlocal size
        size += len(part)
        if len(held) <= limit:
            held.extend(part[: limit + 1 - len(held)])

    while piece := stream.read(_PIECE):
        at = 0
        while at < len(piece):
            if escaped:  # whatever stands here belongs to the string
                take(piece[at : at + 1])
                at, escaped = at + 1, False
                continue
            found = (_INSIDE if in_string else _OUTSIDE).search(piece, at)
            if not found:
                take(piece[at:] if depth else b"")
                break
            take(piece[at : found.start()] if depth else b"")
            sign, at = found[0], found.end()
            if in_string:
                in_string, escaped = sign != b'"', sign == b"\\"
            elif sign == b'"':
                in_string = depth > 0
            elif sign in b"[{":
                depth += 1
                if depth == 1:  # the array's own
                    continue
            elif sign in b"]}":
                depth = max(0, depth - 1)
            if depth == 0 or (depth == 1 and sign == b"," and not in_string):
                if held.strip():
                    number += 1
                    yield number, bytes(held) if size <= limit else bytes(held[: 4 * HEAD]), size
                held.clear()
                size = 0
            elif depth:
                take(sign)
    if held.strip():
        yield number + 1, bytes(held) if size <= limit else bytes(held[: 4 * HEAD]), size
