"""Comparisons in files. The chosen/rejected convention of the public sets, as JSONL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from llamalite.artifacts import Artifact
from llamalite.jsonl import Rejected, read_rows, write_rows
from llamalite.reward.config import GUIDELINES, RATINGS, SAFETY_BINS, RewardConfig


@dataclass(frozen=True)
class FileReply:
    """A reply of a file."""

    text: str
    finished: bool = True


@dataclass(frozen=True)
class FileComparison:
    """A comparison of a file; fits `llamalite.reward.data.Comparison`."""

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

    training: list[FileComparison]
    test: list[FileComparison]
    rejected: list[Rejected]


def read_collections(collections: Sequence[Artifact]) -> Collected:
    """All comparisons of finished collections, in their order. ValueError when there is none."""
    found = Collected([], [], [])
    for artifact in collections:
        for name, into in (("comparisons.jsonl", found.training), ("test.jsonl", found.test)):
            if name in artifact.files:
                comparisons, rejected = read_jsonl(artifact.file(name))
                into.extend(comparisons)
                found.rejected.extend(rejected)
    if not found.training:
        raise ValueError("no comparisons were given; run the stage preferences first")
    return found


def read_open_sets(config: RewardConfig) -> Collected:
    """The comparisons of the files that a config names."""
    found = Collected([], [], [])
    for guideline in GUIDELINES:
        path = getattr(config, f"open_{guideline}")
        if path:
            comparisons, rejected = read_jsonl(path, guideline)
            found.training.extend(comparisons)
            found.rejected.extend(rejected)
    return found


def write_rejected(
    path: Path, rejected: Sequence[Rejected], unusable: Sequence[tuple[str, str]]
) -> None:
    """Set aside as JSONL: rows by file, line and reason, then comparisons by id and reason."""
    rows = [row._asdict() for row in rejected]
    rows += [{"id": name, "reason": reason} for name, reason in unusable]
    write_rows(path, rows)


def read_jsonl(
    path: str | Path, guideline: str | None = None
) -> tuple[list[FileComparison], list[Rejected]]:
    """Comparisons of a JSONL file, and the rows that are none.

    A row is {"prompt": [messages], "chosen": [messages], "rejected": [messages]}: `chosen` and
    `rejected` end with the assistant's reply and may begin with the prompt again; without "prompt"
    it is what they have in common. "rating" ("slightly" unless given), "guideline" (else the
    argument), "safety_bin", "batch" and "id" are optional. Blank lines are passed over. Raises
    ValueError when the file is missing or no row can be used.
    """
    name = Path(path).name
    return read_rows(
        path,
        lambda number, row: _comparison(row, guideline, f"{name}:{number}"),
        what="comparisons",
        wanted='{"prompt": [...], "chosen": [...], "rejected": [...]}',
    )


def _comparison(row: Any, guideline: str | None, place: str) -> FileComparison:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    sides = [_messages(row.get(name), name) for name in ("chosen", "rejected")]
    prompt = _messages(row["prompt"], "prompt") if "prompt" in row else sides[0][:-1]
    replies = []
    for name, side in zip(("chosen", "rejected"), sides, strict=True):
        if side[-1].get("role") != "assistant":
            raise ValueError(f'"{name}" does not end with an assistant message')
        if side[:-1] not in ([], prompt):
            raise ValueError(f'"{name}" answers another prompt')
        if not side[-1]["content"].strip():
            raise ValueError(f'the reply of "{name}" is empty')
        replies.append(FileReply(side[-1]["content"], bool(row.get(f"{name}_finished", True))))
    if not prompt or prompt[-1].get("role") != "user":
        raise ValueError("the prompt does not end with a user message")
    batch = row.get("batch", 1)
    if not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch is {batch!r}; it must be a whole number from 1")
    known = row.get("guideline", guideline)
    return FileComparison(
        str(row.get("id", place)),
        batch,
        _one_of("guideline", known, GUIDELINES),
        tuple(prompt),
        replies[0],
        replies[1],
        _one_of("rating", row.get("rating") or "slightly", RATINGS),
        None
        if row.get("safety_bin") is None
        else _one_of("safety_bin", row["safety_bin"], tuple(SAFETY_BINS)),
    )


def _messages(value: Any, name: str) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise ValueError(f'no list of messages under "{name}"')
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise ValueError(f'"{name}" holds something that is no message')
        try:
            message["content"].encode()
        except UnicodeEncodeError:
            raise ValueError(f'"{name}" holds a lone surrogate') from None
    return [{"role": m.get("role"), "content": m["content"]} for m in value]


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; choose among {', '.join(known)}")
    return value
