"""A dialogue as the input of a model: the chat format, or plain lines for a model without tuning.

The plain form is that of the conversations in the pretraining corpus, the fairest way to ask a base
model; the paper compares with base models by prompts of its own (section A.3.7, not printed).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

Style = Literal["chat", "plain"]
"""How a model is spoken to: in the chat format it was tuned on, or as a text to go on with."""

Messages = Sequence[Mapping[str, Any]]

_NAMES = {"system": "System", "user": "User", "assistant": "Assistant"}
_NEXT_SPEAKER = re.compile(r"\n\s*(?:User|Assistant|System):|\n\s*\n")


class Fitted(NamedTuple):
    """A dialogue that fits the context."""

    ids: list[int]
    dropped: int
    """Messages left out, the oldest first; a system message always stays."""


def plain_prompt(messages: Messages) -> str:
    """A dialogue as lines "User: ..." that end in "Assistant:"."""
    lines = [f"{_NAMES[m['role']]}: {m['content'].strip()}" for m in messages]
    return "\n".join([*lines, "Assistant:"])


def cut_reply(text: str, style: Style) -> tuple[str, bool]:
    """The reply in what a model wrote, and whether the next speaker's line ended it."""
    if style == "chat":
        return text.strip(), False
    found = _NEXT_SPEAKER.search(text)
    return (text[: found.start()] if found else text).strip(), found is not None


def encode(tokenizer: Any, messages: Messages, style: Style) -> list[int]:
    """Token ids of a dialogue that ends with a user's message, up to where the reply begins."""
    if style == "plain":
        return tokenizer.encode(plain_prompt(messages), bos=True)
    from llamalite.text.chat import encode_prompt

    return encode_prompt(tokenizer, messages)


def fit(tokenizer: Any, messages: Messages, room: int, style: Style) -> Fitted:
    """Encode a dialogue within `room` tokens, dropping the oldest exchanges if it must.

    Raises ValueError when the last message with the system message alone is too long.
    """
    messages = list(messages)
    first = 1 if messages and messages[0]["role"] == "system" else 0
    dropped = 0
    while True:
        ids = encode(tokenizer, messages, style)
        if len(ids) <= room:
            return Fitted(ids, dropped)
        if len(messages) - first <= 2:
            raise ValueError(
                f"the message is {len(ids)} tokens long and there is room for {room}; shorten it"
                + (", or the system message" if first else "")
            )
        del messages[first : first + 2]
        dropped += 2
