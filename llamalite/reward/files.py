"""Comparisons that reward models learn from, by stages and files. Llama 2, section 3.2.2.

What a row is and why one is rejected, `llamalite.preferences.reading` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from llamalite.artifacts import Artifact
from llamalite.jsonl import Rejected, apart, write_rows
from llamalite.preferences.protocol import GUIDELINES, Comparison
from llamalite.preferences.reading import read_comparisons, scan
from llamalite.reward.config import RewardConfig
from llamalite.reward.data import Unusable


@dataclass(frozen=True)
class FileReply:
    """A reply given by hand."""

    text: str
    finished: bool = True


@dataclass(frozen=True)
class FileComparison:
    """A comparison given by hand; fits `llamalite.reward.data.Comparison`."""

    id: str
    batch: int
    guideline: str
    messages: tuple[Mapping[str, str], ...]
    chosen: FileReply
    rejected: FileReply
    rating: str
    safety_bin: str | None


class Collected(NamedTuple):
    """Comparisons to learn from and to measure by, and rows that are neither."""

    training: list[Comparison]
    test: list[Comparison]
    rejected: list[Rejected]


def read_collections(collections: Sequence[Artifact]) -> Collected:
    """All comparisons of finished collections, in their order. ValueError when there is none."""
    found = Collected([], [], [])
    for artifact in collections:
        for name, into in (("comparisons.jsonl", found.training), ("test.jsonl", found.test)):
            if name in artifact.files:
                comparisons, rejected = apart(scan(artifact.file(name)))
                into.extend(comparisons)
                found.rejected.extend(rejected)
    if not found.training:
        raise ValueError("no comparisons were given; run the stage preferences first")
    return found


def read_open_sets(config: RewardConfig) -> Collected:
    """The comparisons of the files and sets that a config names; ValueError where one has none."""
    found = Collected([], [], [])
    for guideline in GUIDELINES:
        where = getattr(config, f"open_{guideline}")
        if where:
            comparisons, rejected = read_comparisons(where, guideline=guideline)
            found.training.extend(comparisons)
            found.rejected.extend(rejected)
    return found


def write_rejected(path: Path, rejected: Sequence[Rejected], unusable: Sequence[Unusable]) -> None:
    """Set aside as JSONL: malformed rows by file, line and reason, then comparisons that cannot be
    learned from, with their ids too."""
    rows: list[dict[str, Any]] = [row._asdict() for row in rejected]
    for each in unusable:
        place = {} if each.place is None else each.place._asdict()
        rows.append({**place, "id": each.id, "reason": each.reason})
    write_rows(path, rows)
