"""Comparisons as rows of the public chosen/rejected convention, and back. Llama 2, section 3.2.1.

{"prompt": [messages], "chosen": [message], "rejected": [message], ...}, as `trl` and the hub's
conversational preference sets have them, with the rest of a comparison in further columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamalite.preferences.protocol import (
    COLLECTED,
    Comparison,
    Item,
    Place,
    Response,
    checked_prompt,
)

REPLY_COLUMNS = ("model", "version", "temperature", "seed", "index", "finished")
ITEM_COLUMNS = ("id", "batch", "guideline", "prompt_id", "kind", "is_safety")
ANSWER_COLUMNS = ("choice", "rating", "safety_bin", "annotator", "time", "left", "source")
UNKNOWN_TIME = "1970-01-01T00:00:00Z"


def to_row(each: Comparison, margins: Mapping[str, float] | None = None) -> dict[str, Any]:
    """A comparison as a row, from which `from_row` makes it again; "margin" is by rating."""
    row = _columns(each, {"chosen": each.chosen, "rejected": each.rejected})
    row |= {name: getattr(each, name) for name in ANSWER_COLUMNS}
    return row | ({} if margins is None else {"margin": margins[each.rating]})


def item_row(item: Item) -> dict[str, Any]:
    """A pair that need not be judged, as a row."""
    return _columns(item, {"a": item.a, "b": item.b})


def item_from_row(row: Any, default_id: str = "1") -> Item:
    """A row of `item_row` as a pair to be judged; ValueError says why it is none.

    "prompt" is a list of messages or the user's only turn as text; "a" and "b" are lists that hold
    the assistant's reply, or the reply as text; "guideline" is helpfulness unless given, and all
    else is optional.
    """
    if not isinstance(row, Mapping):
        raise ValueError("not an object with columns")
    given = row.get("prompt")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    replies = {}
    for name in ("a", "b"):
        side = _side(row.get(name), name)
        known = {key: row.get(f"{name}_{key}") for key in REPLY_COLUMNS}
        replies[name] = Response(
            side[-1]["content"], **{k: v for k, v in known.items() if v is not None}
        )
    identity = default_id if row.get("id") is None else str(row["id"])
    return Item(
        id=identity,
        batch=1 if row.get("batch") is None else row["batch"],
        guideline=row.get("guideline") or "helpfulness",
        prompt_id=str(row.get("prompt_id") or identity),
        kind=str(row.get("kind") or ""),
        is_safety=bool(row.get("is_safety")),
        messages=checked_prompt(_messages(given, "prompt")),
        **replies,
    )


def _columns(item: Item, replies: Mapping[str, Response]) -> dict[str, Any]:
    row: dict[str, Any] = {"prompt": [dict(message) for message in item.messages]}
    row |= {side: [said(reply)] for side, reply in replies.items()}
    row |= {name: getattr(item, name) for name in ITEM_COLUMNS}
    for side, reply in replies.items():
        row |= {f"{side}_{name}": getattr(reply, name) for name in REPLY_COLUMNS}
    return row


def said(reply: Response) -> dict[str, str]:
    """A reply as a message."""
    return {"role": "assistant", "content": reply.text}


def from_row(
    row: Any,
    guideline: str | None = None,
    source: str = "file",
    default_id: str = "1",
    place: Place | None = None,
) -> Comparison:
    """A row of the public convention as a comparison; ValueError says why it is none.

    "chosen" and "rejected" are lists of messages that end with the assistant's reply and may begin
    with the prompt, or the reply alone as text; without "prompt" it is what both begin with, and as
    text it is the user's only turn. All else is optional; a rating not given is "slightly".
    """
    if not isinstance(row, Mapping):
        raise ValueError("not an object with columns")
    sides = {name: _side(row.get(name), name) for name in ("chosen", "rejected")}
    given = row.get("prompt")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    prompt = checked_prompt(_messages(sides["chosen"][:-1] if given is None else given, "prompt"))
    replies = {}
    for name, side in sides.items():
        before = checked_prompt(side[:-1]) if side[:-1] else None
        if before != prompt and (before or given is None):
            raise ValueError(f'"{name}" answers another prompt')
        known = {key: row.get(f"{name}_{key}") for key in REPLY_COLUMNS}
        replies[name] = Response(
            side[-1]["content"], **{k: v for k, v in known.items() if v is not None}
        )
    choice: Any = row.get("choice") or "a"
    asked: Any = row.get("guideline") or guideline
    a, b = ("chosen", "rejected") if choice == "a" else ("rejected", "chosen")
    identity = row.get("id")
    identity = default_id if identity is None else str(identity)
    return Comparison(
        id=identity,
        batch=1 if row.get("batch") is None else row["batch"],
        guideline=asked,
        prompt_id=str(row.get("prompt_id") or identity),
        kind=str(row.get("kind") or ""),
        is_safety=bool(row.get("is_safety")),
        messages=prompt,
        a=replies[a],
        b=replies[b],
        choice=choice,
        rating=row.get("rating") or "slightly",
        safety_bin=row.get("safety_bin"),
        annotator=row.get("annotator") or "unknown",
        time=row.get("time") or UNKNOWN_TIME,
        left=row.get("left") or "a",
        # what names neither its source nor who judged was not collected by this protocol
        source=row.get("source") or (COLLECTED if row.get("annotator") else source),
        place=place,
    )


def check_verdict(row: Any) -> None:
    """ValueError where a row leaves out what this protocol asks of who judges.

    `from_row` is lenient, as sets from elsewhere seldom say all of it.
    """
    if not isinstance(row, Mapping):
        raise ValueError("not an object with columns")
    asked = ["guideline", "rating", "annotator"]
    asked += ["safety_bin"] * (row.get("guideline") == "safety")
    for name in asked:
        if row.get(name) in (None, ""):
            raise ValueError(f"{name} is missing; a verdict by the protocol has one")


def _side(value: Any, name: str) -> list[dict[str, str]]:
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}]
    found = _messages(value, name)
    if found[-1].get("role") != "assistant":
        raise ValueError(f'"{name}" does not end with an assistant message')
    return found


def _messages(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f'no list of messages under "{name}"')
    for message in value:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            raise ValueError(f'"{name}" holds something that is no message')
    return value
