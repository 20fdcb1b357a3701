"""Demonstrations as rows of tokens. Llama 2, section 3.1.

All prompts and answers are concatenated into rows of full length, and only answers are learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llamalite.jsonl import Rejected, read_rows
from llamalite.protocols import Demonstration
from llamalite.text.chat import Encoded, encode_dialogue, split_turns
from llamalite.text.packing import FirstFit, PackedBatch, collate, make_row, pack
from llamalite.text.tokenizer import Tokenizer

Dialogue = list[dict[str, Any]]


class Examples(Sequence[Encoded]):
    """Encoded dialogues, 5 bytes a token."""

    def __init__(self, examples: Iterable[Encoded]) -> None:
        ids: list[np.ndarray] = []
        masks: list[np.ndarray] = []
        for example in examples:
            ids.append(np.asarray(example.ids, dtype=np.int32))
            masks.append(np.asarray(example.loss_mask, dtype=bool))
        self.sizes = [len(each) for each in ids]
        self._ids, self._masks = ids, masks

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        return Encoded(self._ids[i].tolist(), self._masks[i].tolist())

    @property
    def learned_tokens(self) -> int:
        """Tokens whose prediction counts in the loss, over all examples."""
        return int(sum(mask[1:].sum() for mask in self._masks))


class Plan:
    """Which examples stand in which row of which step, over all epochs.

    Each epoch goes through the examples in an order of its own; the rows run on from one epoch to
    the next, and the last step is filled up with empty rows. All follows from sizes and seed.
    """

    def __init__(
        self, examples: Examples, *, epochs: int, length: int, batch_size: int, seed: int
    ) -> None:
        self.examples, self.length, self.batch_size = examples, length, batch_size
        fit: FirstFit[int] = FirstFit(length)
        self.rows: list[list[int]] = []
        for epoch in range(epochs):
            for i in np.random.default_rng([seed, epoch]).permutation(len(examples)).tolist():
                self.rows += fit.add(i, examples.sizes[i])
        self.rows += fit.finish()

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def padding(self) -> float:
        """Share of all tokens that are filler."""
        used = sum(self.examples.sizes[i] for row in self.rows for i in row)
        return 1 - used / (self.steps * self.batch_size * self.length)

    def batch(self, step: int, rank: int = 0, world: int = 1, parts: int = 1) -> list[PackedBatch]:
        """One process's share of a step, in `parts` micro-batches of equal size."""
        chosen = range(step * self.batch_size + rank, (step + 1) * self.batch_size, world)
        rows = [self._row(number) for number in chosen]
        size = len(rows) // parts
        return [collate(rows[i : i + size]) for i in range(0, len(rows), size)]

    def _row(self, number: int) -> Any:
        inside = self.rows[number] if number < len(self.rows) else []
        return make_row([self.examples[i] for i in inside], self.length)


def count(batch: PackedBatch) -> tuple[int, int]:
    """Learned tokens and all tokens of a batch."""
    return int(batch.loss_mask_BT.sum()), batch.tokens_BT.numel()


def batches(examples: Sequence[Encoded], length: int, size: int) -> list[PackedBatch]:
    """All examples once, in order, in batches of `size` rows; the last is filled up."""
    rows = list(pack(examples, length))
    rows += [make_row([], length)] * (-len(rows) % size)
    return [collate(rows[i : i + size]) for i in range(0, len(rows), size)]


def encode_all(
    tokenizer: Tokenizer,
    dialogues: Iterable[Dialogue],
    length: int,
    encode: Callable[[Tokenizer, Dialogue], Encoded] = encode_dialogue,
) -> tuple[Examples, int]:
    """Dialogues of at most `length` tokens, encoded, and the number of longer ones dropped.

    `encode` decides which of a dialogue's tokens are learned.
    """
    encoded = [encode(tokenizer, dialogue) for dialogue in dialogues]
    fitting = Examples(example for example in encoded if len(example.ids) <= length)
    return fitting, len(encoded) - len(fitting)


def as_dialogues(demonstrations: Iterable[Demonstration]) -> Iterator[Dialogue]:
    """Prompts with their written replies as dialogues."""
    for demonstration in demonstrations:
        reply = {"role": "assistant", "content": demonstration.reply}
        yield [*map(dict, demonstration.prompt.messages), reply]


def read_jsonl(path: str | Path) -> tuple[list[Dialogue], list[Rejected]]:
    """Dialogues of a JSONL file of {"messages": [...]} rows, and the rows that are none.

    Blank lines are passed over. Raises ValueError when the file is missing or no row can be used.
    """
    return read_rows(
        path,
        lambda _, row: _dialogue(row),
        what="demonstrations",
        wanted='{"messages": [...]} that ends with an assistant message',
    )


def _dialogue(row: Any) -> Dialogue:
    """A row as a dialogue; ValueError says why not."""
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list):
        raise ValueError('no list under "messages"')
    turns = split_turns(messages)
    if turns[-1].answer is None:
        raise ValueError("the last message is not the assistant's")
    for number, message in enumerate(messages, 1):
        content = message["content"]
        if not content.strip():
            raise ValueError(f"message {number} ({message['role']}) is empty")
        try:
            content.encode()
        except UnicodeEncodeError:
            raise ValueError(f"message {number} holds a lone surrogate") from None
    return [{"role": m["role"], "content": m["content"]} for m in messages]
