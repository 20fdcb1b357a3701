"""The elements of one large JSON array, one after another and in bounded memory. Not in the paper.

A `.json` file may be an array of objects rather than an object a line, or hold objects that are
written over several lines. Nothing of it is parsed here: strings and brackets are followed to find
where an element ends, so that a long or broken one is passed over and the next one found.
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
_OBJECT = re.compile(rb'\s*\{[ \t\r]*\n\s*"')
"""A bracket alone on its line and a name under it: no row of JSONL begins so."""


class Bytes(Protocol):
    """A file of bytes, packed or not."""

    def read(self, size: int, /) -> bytes: ...


def begins_array(start: bytes) -> bool:
    """Whether a file that begins with these bytes is an array."""
    return start.lstrip().startswith(b"[")


def begins_object(start: bytes) -> bool:
    """Whether a file that begins with these bytes holds objects written over several lines."""
    return _OBJECT.match(start) is not None


def elements(stream: Bytes, limit: int, *, bare: bool = False) -> Iterator[tuple[int, bytes, int]]:
    """Number from 1, bytes and length of each element; of one longer than `limit` the beginning.

    The contract of `llamalite.data_care.reading.bounded_lines`. An element that the file's end cuts
    off comes as it is. `bare`: the elements are objects in no array, and what stands between two of
    them is an element too, which is then no JSON.
    """
    number = size = depth = 0
    held = bytearray()
    in_string = escaped = False

    def take(part: bytes) -> None:
        nonlocal size
        size += len(part)
        if len(held) <= limit:
            held.extend(part[: limit + 1 - len(held)])

    def ended() -> Iterator[tuple[int, bytes, int]]:
        nonlocal number, size
        if held.strip():
            number += 1
            yield number, bytes(held) if size <= limit else bytes(held[: 4 * HEAD]), size
        held.clear()
        size = 0

    while piece := stream.read(_PIECE):
        at = 0
        while at < len(piece):
            if escaped:  # whatever stands here belongs to the string
                take(piece[at : at + 1])
                at, escaped = at + 1, False
                continue
            found = (_INSIDE if in_string else _OUTSIDE).search(piece, at)
            if not found:
                take(piece[at:] if depth or bare else b"")
                break
            take(piece[at : found.start()] if depth or bare else b"")
            sign, at = found[0], found.end()
            if in_string:
                in_string, escaped = sign != b'"', sign == b"\\"
            elif sign == b'"':
                in_string = depth > 0
            elif sign in b"[{":
                if depth == 0:  # the array's own, or an object after what stands between two
                    yield from ended()
                depth += 1
                if depth == 1 and not bare:
                    continue
            elif sign in b"]}":
                if bare and depth <= 1:  # an object's own, or one too many
                    take(sign)
                depth = max(0, depth - 1)
                if depth == 0:
                    yield from ended()
                    continue
            elif sign == b"," and depth == 1 and not bare:
                yield from ended()
                continue
            if depth or bare:
                take(sign)
    yield from ended()
