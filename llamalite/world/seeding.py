"""Random numbers that depend on nothing but their key: the same on every machine and Python."""

from __future__ import annotations

import random
import zlib

_MASK = (1 << 64) - 1


def mix(*parts: int | str) -> int:
    """A 64-bit number from any mix of integers and strings, order included.

    SplitMix64's finaliser folded over the parts; strings enter by their CRC-32 (Python's own
    `hash` of a string differs from run to run).
    """
    state = 0x9E3779B97F4A7C15
    for part in parts:
        if isinstance(part, str):
            data = part.encode()
            part = zlib.crc32(data) << 16 | len(data) & 0xFFFF
        state = (state ^ (part & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def rng_for(*parts: int | str) -> random.Random:
    """A generator seeded by `mix(*parts)`."""
    return random.Random(mix(*parts))
