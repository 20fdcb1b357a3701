"""Prompts with their replies as rows of tokens for a reward model. Llama 2, section 3.2.2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from llamalite.shapes import Int, Tensor
from llamalite.text.chat import Messages, encode_prompt, split_turns
from llamalite.text.packing import FirstFit
from llamalite.text.tokenizer import Tokenizer

_OPEN_ROWS = 64
_FILLER = 0
"""Id that stands where nothing does; it is masked by place, whatever its value."""


class Rows(NamedTuple):
    """B sequences packed into rows; none sees another. Integers are int64."""

    tokens: Int[Tensor, "rows T"]
    positions: Int[Tensor, "rows T"]
    document_ids: Int[Tensor, "rows T"]
    """Number of the sequence in its row; filler is one more at the end."""
    last_B: Int[Tensor, " B"]
    """Where each sequence's last token stands, counted through all rows."""


class Asked(NamedTuple):
    """An encoded prompt."""

    ids: list[int]
    """Up to and including its last [/INST]."""
    last: str
    """Its last question, with tags."""
    last_ids: list[int]


class Encoder:
    """Prompts with replies as token ids of at most `length`."""

    def __init__(self, tokenizer: Tokenizer, length: int) -> None:
        if length < 2:
            raise ValueError(f"a length of {length} holds no reply; it must be at least 2")
        self.tokenizer, self.length = tokenizer, length

    def encode(self, messages: Messages, reply: str, finished: bool = True) -> list[int]:
        """`encode_dialogue` of the prompt with its reply, cut to length.

        The last token, where the score is read, is the reply's eos; a reply that was not finished
        has none and ends with its last token. Too long, it loses the beginning of the prompt, never
        bos; a reply that is too long by itself also its own end. The reply may hold chat tags,
        which a model can produce; a prompt with them, or of wrong roles, raises ValueError.
        """
        asked = self.prompt(messages)
        return self.cut(asked, self.reply(asked, reply, finished))

    def prompt(self, messages: Messages) -> Asked:
        """A prompt, to be encoded once for all its replies."""
        last = split_turns(messages)[-1].prompt
        ids = encode_prompt(self.tokenizer, messages)
        return Asked(ids, last, self.tokenizer.encode(last, bos=True))

    def reply(self, asked: Asked, reply: str, finished: bool = True) -> list[int]:
        """The ids of a reply after its prompt, not cut."""
        said = f"{asked.last} {reply.strip()}" + (" " if finished else "")
        both = self.tokenizer.encode(said, bos=True, eos=finished)
        asked_tokens = len(asked.last_ids)
        if both[:asked_tokens] != asked.last_ids:
            raise ValueError(
                "the tokenizer joins '[/INST]' with the reply after it; use one whose pieces do "
                "not cross spaces, as SentencePiece's default is"
            )
        return both[asked_tokens:]

    def cut(self, asked: Asked, reply: list[int]) -> list[int]:
        """Prompt and reply in at most `length` tokens."""
        room = self.length - len(reply)
        if len(asked.ids) <= room:
            return asked.ids + reply
        kept = asked.ids[len(asked.ids) - room + 1 :] if room > 1 else []
        return [self.tokenizer.bos_id, *kept, *reply][: self.length]


def pack_rows(sequences: Sequence[Any], length: int) -> Rows:
    """Pack sequences of at most `length` tokens, the longest first, into rows of one length.

    For example, `pack_rows([[1, 5, 2], [1, 9]], 6)` gives one row::

        tokens        1 5 2 1 9
        positions     0 1 2 0 1
        document_ids  0 0 0 1 1
        last_B        2 4

    Rows are no longer than all sequences together. ValueError when there is nothing to pack, a
    sequence is empty or longer than `length`.
    """
    sizes = [len(each) for each in sequences]
    if not sizes or min(sizes) < 1 or max(sizes) > length:
        raise ValueError(
            f"sequences of {min(sizes, default=0)} to {max(sizes, default=0)} tokens do not fit "
            f"rows of {length}; give sequences of 1 to {length}"
        )
    length = min(length, sum(sizes))
    fit: FirstFit[int] = FirstFit(length, _OPEN_ROWS)
    rows: list[list[int]] = []
    for i in sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True):
        rows += fit.add(i, sizes[i])
    rows += fit.finish()
    tokens, positions, documents = np.full((3, len(rows), length), _FILLER, dtype=np.int64)
    last = np.zeros(len(sizes), dtype=np.int64)
    for r, row in enumerate(rows):
        start = 0
        for number, i in enumerate(row):
            end = start + sizes[i]
            tokens[r, start:end], documents[r, start:end] = sequences[i], number
            positions[r, start:end] = np.arange(sizes[i])
            last[i], start = r * length + end - 1, end
        positions[r, start:], documents[r, start:] = np.arange(length - start), len(row)
    return Rows(*(torch.from_numpy(each) for each in (tokens, positions, documents, last)))
