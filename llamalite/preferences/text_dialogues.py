"""Dialogues as one text, in the form of Anthropic's HH-RLHF: a mark before each speaker's turn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

SPEAKERS = {"user": "Human", "assistant": "Assistant"}
_ROLES = {name: role for role, name in SPEAKERS.items()}
_MARK = re.compile(r"\n\n(Human|Assistant):")


def write(messages: Sequence[Mapping[str, str]]) -> str:
    """A dialogue as text; ValueError when it would be read back otherwise."""
    parts = []
    for number, message in enumerate(messages, 1):
        speaker = SPEAKERS.get(message["role"])
        if speaker is None:
            raise ValueError(f"message {number} has role {message['role']!r}; texts have no such")
        parts.append(f"\n\n{speaker}: {message['content'].strip()}")
    text = "".join(parts)
    again = read(text)
    if [m["content"] for m in again] != [m["content"].strip() for m in messages]:
        raise ValueError("a message holds a speaker's mark, which would be read as another turn")
    return text


def is_one(text: object) -> bool:
    """Whether something is text in which a speaker is marked."""
    return isinstance(text, str) and _MARK.search(text) is not None


def read(text: str) -> list[dict[str, str]]:
    """The messages of a text; ValueError when it is none.

    >>> read("\\n\\nHuman: Hi!\\n\\nAssistant: Hello.")
    [{'role': 'user', 'content': 'Hi!'}, {'role': 'assistant', 'content': 'Hello.'}]
    """
    before, *pieces = _MARK.split(text)
    if before.strip() or not pieces:
        raise ValueError(r'the text does not begin with "\n\nHuman:"')
    return [
        {"role": _ROLES[speaker], "content": content.strip()}
        for speaker, content in zip(pieces[::2], pieces[1::2], strict=True)
    ]
