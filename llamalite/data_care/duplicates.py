"""Documents that stand there already, word for word or nearly. Llama 2, section 2.1.

The paper says only that its cleaning became "more robust". Near duplicates are found as usual since
Broder (1997): a text is the set of its runs of five words, MinHash makes a short signature of it,
two signatures agree in as many places as the sets are alike (Jaccard), and locality-sensitive
hashing compares only texts that agree in one whole band of the signature. `datasketch` has both.
The index lies in SQLite on disk, so that a corpus may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_PIECES = 4096
"""Runs hashed at once; what bounds the memory that a long text takes."""
_WEIGHTS = (0.1, 0.9)
"""What a pair compared for nothing, and one overlooked, count in the choice of bands. At equal
weights 60 % of the pairs right at a threshold of 0.8 are overlooked, at these 13 %."""
_WORD = re.compile(r"\w+")
Signature = NDArray[np.uint32]


@dataclass(frozen=True)
class DuplicatesConfig:
    """What counts as the same."""

    exact: bool = True
    """Remove texts equal to an earlier one but for case, punctuation and white space."""
    threshold: float = 0.8
    """Jaccard similarity, 0 to 1, from which a text is a near duplicate of an earlier one; 0 looks
    for none."""
    run: int = 5
    """Words of the runs whose sets are compared."""
    permutations: int = 128
    """Length of a signature; the estimate's standard error is at most half of one over its root."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; it must lie between 0 and 1")
        if self.run < 1 or self.permutations < 2:
            raise ValueError(
                f"run is {self.run} and permutations {self.permutations}; "
                "they must be at least 1 and 2"
            )


class Twin(NamedTuple):
    """An earlier document that a text resembles."""

    place: str
    similarity: float


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def runs(text: str, length: int) -> Iterator[str]:
    """Every run of `length` words in a text, repeats included; of a shorter text the whole."""
    found = words(text)
    for start in range(max(1, len(found) - length + 1)):
        yield " ".join(found[start : start + length])


def jaccard(a: set[str], b: set[str]) -> float:
    """Shared members of two sets over all members, 0 to 1; of two empty sets 1."""
    return len(a & b) / len(a | b) if a or b else 1.0


def signature(text: str, config: DuplicatesConfig) -> Signature:
    """The MinHash of a text's runs, `permutations` numbers."""
    sketch = _empty_sketch(config.permutations).copy()
    found = runs(text, config.run)
    while piece := list(islice(found, _PIECES)):
        sketch.update_batch([run.encode() for run in piece])
    return np.asarray(sketch.digest(), dtype=np.uint32)


def likeness(a: Signature, b: Signature) -> float:
    """Estimate of the Jaccard similarity of the texts behind two signatures."""
    return float((a == b).mean())


def fingerprint(text: str) -> bytes:
    """16 bytes that are equal for texts equal but for case, punctuation and white space."""
    return hashlib.blake2b(" ".join(words(text)).encode(), digest_size=16).digest()


class Marks:
    """What a text is known by; each is worked out once, and only where it is asked for."""

    def __init__(self, text: str, config: DuplicatesConfig) -> None:
        self.text, self.config = text, config

    @cached_property
    def fingerprint(self) -> bytes:
        """Of the text's words; see `fingerprint`."""
        return fingerprint(self.text)

    @cached_property
    def signature(self) -> Signature:
        """The MinHash of its runs; see `signature`."""
        return signature(self.text, self.config)

    @cached_property
    def bands(self) -> tuple[bytes, ...]:
        """The signature in bands, each with its number and hashed to 16 bytes."""
        bands, rows = band_shape(self.config.threshold, self.config.permutations)
        parts = (self.signature[band * rows : (band + 1) * rows].tobytes() for band in range(bands))
        return tuple(
            hashlib.blake2b(part, digest_size=16, salt=band.to_bytes(4, "big")).digest()
            for band, part in enumerate(parts)
        )


class DuplicateIndex:
    """What has been kept so far. Nothing is written for good before the database commits."""

    def __init__(self, database: sqlite3.Connection, config: DuplicatesConfig) -> None:
        self.database, self.config = database, config
        for table in (
            "kept (number INTEGER PRIMARY KEY, place TEXT, signature BLOB)",
            "exact (print BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID",
            "bands (band BLOB, number INTEGER, PRIMARY KEY (band, number)) WITHOUT ROWID",
        ):
            database.execute(f"CREATE TABLE IF NOT EXISTS {table}")

    def exact_twin(self, marks: Marks) -> Twin | None:
        """The earlier document with the same words, if any and if one is sought."""
        if not self.config.exact:
            return None
        found = self.database.execute(
            "SELECT place FROM exact JOIN kept USING (number) WHERE print = ?",
            (marks.fingerprint,),
        ).fetchone()
        return Twin(found[0], 1.0) if found else None

    def near_twin(self, marks: Marks) -> Twin | None:
        """The most similar earlier document at or above the threshold, if any and if sought."""
        if not self.config.threshold:
            return None
        holes = ", ".join("?" * len(marks.bands))
        rows = self.database.execute(
            "SELECT DISTINCT place, signature FROM bands JOIN kept USING (number) "
            f"WHERE band IN ({holes})",
            marks.bands,
        )
        twins = (
            Twin(at, likeness(marks.signature, np.frombuffer(s, dtype=np.uint32))) for at, s in rows
        )
        best = max(twins, key=lambda twin: twin.similarity, default=None)
        return best if best and best.similarity >= self.config.threshold else None

    def keep(self, marks: Marks, place: str) -> None:
        """Remember a document that stays."""
        near = bool(self.config.threshold)
        number = self.database.execute(
            "INSERT INTO kept (place, signature) VALUES (?, ?)",
            (place, marks.signature.tobytes() if near else None),
        ).lastrowid
        if self.config.exact:
            row = (marks.fingerprint, number)
            self.database.execute("INSERT OR IGNORE INTO exact VALUES (?, ?)", row)
        if near:
            bands = ((band, number) for band in marks.bands)
            self.database.executemany("INSERT INTO bands VALUES (?, ?)", bands)


@cache
def band_shape(threshold: float, permutations: int) -> tuple[int, int]:
    """Bands and rows of each for a threshold, as `datasketch` chooses them.

    What shares a band is compared in full, so that one compared for nothing costs little, and one
    overlooked stays for good: hence the weights.
    """
    lsh = _datasketch().MinHashLSH(threshold=threshold, num_perm=permutations, weights=_WEIGHTS)
    return lsh.b, lsh.r


@cache
def _empty_sketch(permutations: int) -> Any:
    return _datasketch().MinHash(num_perm=permutations, scheme="affine32")


def _datasketch() -> Any:
    try:
        import datasketch
    except ModuleNotFoundError:
        raise ValueError("near duplicates need datasketch; pip install 'llamalite[data]'") from None
    return datasketch
