"""Several documents in one row of tokens. Llama 2, section 3.1.

The paper concatenates "all the prompts and answers from the training set" to fill its rows, and
does not say whether one may attend to another. Here they do not: each document has a number of its
own in its row, attention stays inside it, and its positions start at 0, so that a packed document
is computed exactly as if it were alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import torch

from llamalite.shapes import Bool, Int, Tensor
from llamalite.text.chat import Encoded

Item = TypeVar("Item")

_FILLER = 0
"""Id that stands where nothing does; it is masked by place, whatever its value."""


class PackedRow(NamedTuple):
    """One row of `length` tokens."""

    tokens_T: Int[Tensor, " T"]
    targets_T: Int[Tensor, " T"]
    """The token that follows in the same document."""
    loss_mask_T: Bool[Tensor, " T"]
    """Whether predicting the target counts: never at a document's last token, nor in padding."""
    positions_T: Int[Tensor, " T"]
    """Place in the document, from 0."""
    document_ids_T: Int[Tensor, " T"]
    """Number of the document in its row, from 0; padding is one more document at the end."""


class PackedBatch(NamedTuple):
    """Rows stacked; fields as in `PackedRow`. Integers are int64."""

    tokens_BT: Int[Tensor, "B T"]
    targets_BT: Int[Tensor, "B T"]
    loss_mask_BT: Bool[Tensor, "B T"]
    positions_BT: Int[Tensor, "B T"]
    document_ids_BT: Int[Tensor, "B T"]


class _Piece(NamedTuple):
    """A document, or the part of a longer one that fits in a row."""

    tokens: list[int]
    targets: list[int]
    loss_mask: list[bool]


class FirstFit(Generic[Item]):
    """Sorts items of given sizes into rows: each goes into the first open row with room for it.

    When none has, a new row is opened; with `open_rows` open already, the fullest of them is
    finished first. All is decided by the order of the items. For sizes of 10 to 120 in rows of 256,
    8 open rows left 2.1 % empty and 1 (next-fit) 16 %.
    """

    def __init__(self, length: int, open_rows: int = 8) -> None:
        if length < 1 or open_rows < 1:
            raise ValueError(
                f"a row length of {length} with {open_rows} open rows holds nothing; "
                "both must be at least 1"
            )
        self.length, self.open_rows = length, open_rows
        self.rows: list[list[Item]] = []
        self.used: list[int] = []

    def add(self, item: Item, size: int) -> list[list[Item]]:
        """Take in an item of at most a row's length; the rows that it finished, mostly none."""
        assert 0 < size <= self.length, f"an item of {size} for rows of {self.length}"
        for i, used in enumerate(self.used):
            if used + size <= self.length:
                self.rows[i].append(item)
                self.used[i] += size
                return [self._close(i)] if self.used[i] == self.length else []
        finished = []
        if len(self.rows) == self.open_rows:
            finished.append(self._close(max(range(self.open_rows), key=self.used.__getitem__)))
        self.rows.append([item])
        self.used.append(size)
        if size == self.length:
            finished.append(self._close(len(self.rows) - 1))
        return finished

    def finish(self) -> list[list[Item]]:
        """The rows still open, oldest first."""
        rows, self.rows, self.used = self.rows, [], []
        return rows

    def _close(self, i: int) -> list[Item]:
        del self.used[i]
        return self.rows.pop(i)


class Packer:
    """Turns documents into rows as they come, first-fit.

    Documents longer than a row are split into parts that no longer see one another (no prediction
    is lost), or dropped and counted in `dropped`.
    """

    def __init__(
        self, length: int, *, overlong: Literal["split", "drop"] = "split", open_rows: int = 8
    ) -> None:
        self._open: FirstFit[_Piece] = FirstFit(length, open_rows)
        self.length, self.overlong = length, overlong
        self.dropped = 0

    def add(self, example: Encoded) -> list[PackedRow]:
        """Take in a document; the rows that it finished, mostly none."""
        if len(example.ids) > self.length and self.overlong == "drop":
            self.dropped += 1
            return []
        whole = _piece(example)
        finished = []
        for start in range(0, len(whole.tokens), self.length):
            cut = slice(start, start + self.length)
            part = _Piece(whole.tokens[cut], whole.targets[cut], whole.loss_mask[cut])
            finished += self._open.add(part, len(part.tokens))
        return [_row(pieces, self.length) for pieces in finished]

    def finish(self) -> list[PackedRow]:
        """The rows still open, oldest first."""
        return [_row(pieces, self.length) for pieces in self._open.finish()]

    def state_dict(self) -> dict[str, Any]:
        """The open rows as plain values; `load_state_dict` goes on from them."""
        rows = [[list(piece) for piece in row] for row in self._open.rows]
        return {"rows": rows, "dropped": self.dropped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self._open.rows = [[_Piece(*piece) for piece in row] for row in state["rows"]]
        self._open.used = [sum(len(piece.tokens) for piece in row) for row in self._open.rows]
        self.dropped = state["dropped"]


def pack(
    examples: Iterable[Encoded],
    length: int,
    *,
    overlong: Literal["split", "drop"] = "split",
    open_rows: int = 8,
) -> Iterator[PackedRow]:
    """Rows of `length` tokens that hold all examples, see `Packer`; lazily, in a fixed order.

    For example, `pack([Encoded([1, 5, 2], [False, True, True]), Encoded([1, 9], [True, True])], 6)`
    yields one row::

        tokens        1 5 2  1 9  0
        targets       5 2 0  9 0  0
        loss_mask     1 1 0  1 0  0
        positions     0 1 2  0 1  0
        document_ids  0 0 0  1 1  2
    """
    packer = Packer(length, overlong=overlong, open_rows=open_rows)
    for example in examples:
        yield from packer.add(example)
    yield from packer.finish()


def collate(rows: Sequence[PackedRow]) -> PackedBatch:
    """Stack rows of one length into a batch."""
    if not rows:
        raise ValueError("no rows to collate; a batch needs at least one")
    return PackedBatch(*(torch.stack(fields) for fields in zip(*rows, strict=True)))


def make_row(examples: Iterable[Encoded], length: int) -> PackedRow:
    """One row of these examples, in order; ValueError when they are longer than it together.

    Of no examples it is a row of padding, which fills up a batch and counts for nothing.
    """
    pieces = [_piece(example) for example in examples]
    size = sum(len(piece.tokens) for piece in pieces)
    if size > length:
        raise ValueError(f"{size} tokens do not fit a row of {length}; pack them into several")
    return _row(pieces, length)


def _piece(example: Encoded) -> _Piece:
    """A document with what follows each token, and whether that is learned."""
    ids, learned = list(example.ids), list(example.loss_mask)
    if len(ids) != len(learned):
        raise ValueError(f"{len(ids)} token ids come with a loss mask of {len(learned)}")
    return _Piece(ids, [*ids[1:], _FILLER][: len(ids)], [*learned[1:], False][: len(ids)])


def _row(pieces: Sequence[_Piece], length: int) -> PackedRow:
    # numpy, not torch: its small operations wake no threads, which slow the training beside it
    tokens, targets, positions, document_ids = np.full((4, length), _FILLER, dtype=np.int64)
    loss_mask = np.zeros(length, dtype=bool)
    start = 0
    for number, piece in enumerate(pieces):
        end = start + len(piece.tokens)
        tokens[start:end], targets[start:end] = piece.tokens, piece.targets
        loss_mask[start:end] = piece.loss_mask
        positions[start:end], document_ids[start:end] = np.arange(end - start), number
        start = end
    positions[start:], document_ids[start:] = np.arange(length - start), len(pieces)
    fields = (tokens, targets, loss_mask, positions, document_ids)
    return PackedRow(*(torch.from_numpy(field) for field in fields))
