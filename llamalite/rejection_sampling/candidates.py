"""Sampled replies as records, and as Parquet files. Llama 2, section 3.2.3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """One reply to a prompt, where it came from, and what it is worth."""

    prompt_id: str
    kind: str
    is_safety: bool
    messages: tuple[dict[str, str], ...]
    """The prompt, earlier turns included."""
    text: str
    """The reply."""
    finished: bool
    """Whether the model ended it, and not the limit."""
    version: str
    """Name of the model that wrote it: "SFT", "V1" ..."""
    model: str
    """Fingerprint of that model's artifact."""
    temperature: float
    seed: int
    """Of the call that drew it."""
    index: int
    """Which of the call's replies to this prompt, from 0."""
    scores: dict[str, float] = field(default_factory=dict)
    """By reward model; empty until scored."""
    score: float | None = None
    """What ranks it: the reward models' scores combined."""

    @property
    def id(self) -> str:
        """The prompt's, so that a candidate can be scored as a prompt is."""
        return self.prompt_id

    @property
    def dialogue(self) -> list[dict[str, str]]:
        """The prompt with this reply, to learn from."""
        return [*self.messages, {"role": "assistant", "content": self.text}]


_SCORE = "score_"


def write_candidates(path: Path, candidates: Sequence[Candidate]) -> None:
    """Write a Parquet file that appears whole or not at all; equal candidates give equal bytes.

    Every reward model's scores are a column `score_<name>`, the combined ones `score`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sorted({name for candidate in candidates for name in candidate.scores})
    columns = {
        "prompt_id": pa.string(),
        "kind": pa.string(),
        "is_safety": pa.bool_(),
        "messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
        "text": pa.string(),
        "finished": pa.bool_(),
        "version": pa.string(),
        "model": pa.string(),
        "temperature": pa.float64(),
        "seed": pa.int64(),
        "index": pa.int64(),
        "score": pa.float64(),
    }
    data: dict[str, Any] = {
        name: pa.array([_cell(getattr(c, name)) for c in candidates], kind)
        for name, kind in columns.items()
    }
    for name in names:
        values = [candidate.scores.get(name) for candidate in candidates]
        data[_SCORE + name] = pa.array(values, pa.float64())
    partial = path.with_name(path.name + ".partial")
    pq.write_table(pa.table(data), partial)
    partial.replace(path)


def read_candidates(path: str | Path) -> list[Candidate]:
    """Candidates of a file; ValueError when it is missing or not one of candidates."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
        return [_candidate(row) for row in rows]
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; give a file of candidates") from None
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} holds no candidates ({reason}); make it again") from None


def _candidate(row: dict[str, Any]) -> Candidate:
    scores = {
        name[len(_SCORE) :]: row.pop(name)
        for name in sorted(row)
        if name.startswith(_SCORE) and row[name] is not None
    }
    row = {name: value for name, value in row.items() if not name.startswith(_SCORE)}
    row["messages"] = tuple(dict(message) for message in row["messages"])
    return Candidate(**row, scores=scores)


def _cell(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
