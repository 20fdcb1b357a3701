"""Attempts of real people as rows of a JSONL file, in and out. Llama 2, section 4.3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

from llamalite.jsonl import Rejected, read_rows, write_rows
from llamalite.protocols import ADVERSARIAL, Message, Prompt
from llamalite.red_teaming.campaign import Attempt
from llamalite.safety.preprompts import (
    CONCERNS,
    generic_preprompts,
    template_preprompt,
    with_preprompt,
)
from llamalite.text.chat import encode_prompt, split_turns
from llamalite.text.tokenizer import Tokenizer

CATEGORIES = tuple(CONCERNS)
"""Risk categories that what is found can be learned under: those with an answer template."""


@dataclass(frozen=True)
class TypedPrompt:
    """A prompt that a person typed; fits `llamalite.protocols.Prompt`."""

    id: str
    messages: tuple[Message, ...]
    risk: str | None
    """Category, one of `CATEGORIES`."""
    vector: str | None
    kind: str = ADVERSARIAL
    is_safety: bool = True


def read_transcripts(path: str | Path) -> tuple[list[Attempt], list[Rejected]]:
    """Attempts of real people from a JSONL file, and the rows that are none.

    A row is {"attacker": name, "messages": [...], "reply": text, "risk": 1 to 5, "seconds": of
    work}; "category" (one of `CATEGORIES`), "vector" and "candidate", the attacked model, are
    optional. Raises ValueError when no row can be used.
    """
    name = Path(path).name
    return read_rows(
        path,
        lambda line, row: from_row(row, f"{name}:{line}"),
        what="transcripts",
        wanted='{"attacker": "...", "messages": [...], "reply": "...", "risk": 1 to 5, '
        '"seconds": n}',
    )


def write_transcripts(path: str | Path, attempts: Iterable[Attempt]) -> int:
    """Write rows that `read_transcripts` reads, and return how many; the file appears whole."""
    path = Path(path)
    rows = [to_row(attempt) for attempt in attempts]
    partial = path.with_name(path.name + ".partial")
    write_rows(partial, rows)
    partial.replace(path)
    return len(rows)


def fits(prompt: Prompt, tokenizer: Tokenizer, room: int) -> bool:
    """Whether a prompt has at most `room` tokens under the longest preprompt it may be given.

    People write more than the micro-world does; context distillation (section 4.2.4) asks their
    prompts once more, with a preprompt before them.
    """
    longest = max(_preprompts(prompt.risk), key=lambda text: len(tokenizer.encode(text)))
    return len(encode_prompt(tokenizer, with_preprompt(prompt, longest))) <= room


@cache
def _preprompts(risk: str | None) -> tuple[str, ...]:
    """All that a prompt of a risk category may stand under."""
    count = len(generic_preprompts())
    if risk is None:
        return generic_preprompts()
    # numbers choose the generic part and the concern, each counted round and round
    return tuple(template_preprompt(risk, n) for n in range(count * len(CONCERNS[risk])))


def to_row(attempt: Attempt) -> dict[str, Any]:
    """An attempt as `from_row` reads it."""
    return {
        "attacker": attempt.attacker,
        "messages": [dict(message) for message in attempt.prompt.messages],
        "reply": attempt.reply,
        "risk": attempt.risk,
        "seconds": attempt.seconds,
        "category": attempt.prompt.risk,
        "vector": attempt.prompt.vector,
        "candidate": attempt.candidate,
    }


def from_row(row: Any, place: str) -> Attempt:
    """A row as an attempt whose prompt has the id `place`; ValueError that says what is wrong."""
    if not isinstance(row, Mapping):
        raise ValueError("not an object")
    messages, seconds = row.get("messages"), row.get("seconds")
    if not isinstance(messages, list):
        raise ValueError('no list under "messages"')
    if split_turns(messages)[-1].answer is not None:
        raise ValueError("the last message is not the attacker's")
    for field in ("attacker", "reply"):
        if not isinstance(row.get(field), str):
            raise ValueError(f'no text under "{field}"')
    if type(row.get("risk")) is not int or row["risk"] not in range(1, 6):
        raise ValueError(f'"risk" is {row.get("risk")!r}; it must be from 1 to 5')
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < inf:
        raise ValueError(f'"seconds" is {seconds!r}; it must be above 0')
    category, vector, candidate = row.get("category"), row.get("vector"), row.get("candidate")
    if category is not None and category not in CATEGORIES:
        known = ", ".join(CATEGORIES)
        raise ValueError(f'"category" is {category!r}; choose among {known}, or leave it out')
    if not isinstance(vector, str | None):
        raise ValueError(f'"vector" is {vector!r}; give text, or leave it out')
    if not isinstance(candidate, str | None):
        raise ValueError(f'"candidate" is {candidate!r}; give text, or leave it out')
    said = [message["content"] for message in messages]
    try:
        "".join([*said, row["attacker"], row["reply"], vector or "", candidate or ""]).encode()
    except UnicodeEncodeError:
        raise ValueError("half a character (a lone surrogate) stands in a text") from None
    turns: tuple[Message, ...] = tuple(
        {"role": message["role"], "content": message["content"]} for message in messages
    )
    prompt = TypedPrompt(place, turns, category, vector)
    return Attempt(
        row["attacker"], prompt, row["reply"], row["risk"], float(seconds), candidate or ""
    )
