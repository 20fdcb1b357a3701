"""From documents to batches: generated as they are read, or tokenised once and mapped from disk.

The paper says nothing of how its batches are filled. Here documents are packed whole into rows
(`llamalite.text.packing`), each between bos and eos, and the rows come in one order whatever the
number of processes: each takes every n-th row of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from llamalite.pretraining.config import PretrainConfig
from llamalite.pretraining.mixture import Mixture
from llamalite.text.chat import encode_document
from llamalite.text.packing import PackedBatch, PackedRow, Packer, collate


class RowStream:
    """Batches of rows drawn from a mixture; the trainer's stream (`llamalite.resume.Stream`).

    `reader` turns a drawn (source, index) into rows and reports its tokens; it has a state of its
    own when rows are packed as they come.
    """

    def __init__(
        self,
        reader: DocumentReader | BlockReader,
        mixture: Mixture,
        config: PretrainConfig,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.reader, self.mixture, self.config = reader, mixture, config
        self.rank, self.world = rank, world
        self.step = 0
        self.spare: list[Any] = []

    def __iter__(self) -> Iterator[list[PackedBatch]]:
        size = self.rows_drawn
        while self.step < self.config.steps:
            while len(self.spare) < size:
                source, index = self.mixture.draw()
                rows, tokens = self.reader.take(source, index)
                self.mixture.count(source, tokens)
                self.spare += rows
            rows, self.spare = self.spare[:size], self.spare[size:]
            self.step += 1
            own = [self.reader.row(row) for row in self.own(rows)]
            part = len(own) // self.config.accumulation
            yield [collate(own[i : i + part]) for i in range(0, len(own), part)]

    @property
    def rows_drawn(self) -> int:
        """Rows that this process draws for a step."""
        return self.config.batch_size

    def own(self, rows: list[Any]) -> list[Any]:
        """Those of the rows drawn that this process learns from."""
        return rows[self.rank :: self.world]

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "mixture": self.mixture.state_dict(),
            "spare": [self.reader.saved(row) for row in self.spare],
            "reader": self.reader.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step = state["step"]
        self.mixture.load_state_dict(state["mixture"])
        self.spare = [self.reader.restored(row) for row in state["spare"]]
        self.reader.load_state_dict(state["reader"])


class DocumentReader:
    """Reads, encodes and packs documents as they come: the micro-world writes them on the fly."""

    def __init__(self, text: Callable[[str, int], str], tokenizer: Any, length: int) -> None:
        self.text, self.tokenizer = text, tokenizer
        self.packer = Packer(length, open_rows=16)  # 1 % less padding than 8

    def take(self, source: str, index: int) -> tuple[list[PackedRow], int]:
        """The rows that this document completes, and its number of tokens."""
        example = encode_document(self.tokenizer, self.text(source, index))
        return self.packer.add(example), len(example.ids)

    def row(self, row: PackedRow) -> PackedRow:
        return row

    def saved(self, row: PackedRow) -> list[torch.Tensor]:
        return list(row)

    def restored(self, saved: Sequence[torch.Tensor]) -> PackedRow:
        return PackedRow(*saved)

    def state_dict(self) -> dict[str, Any]:
        return self.packer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.packer.load_state_dict(state)


class BlockReader:
    """Reads rows that were tokenised and packed beforehand; only a process's own leave the disk."""

    def __init__(self, blocks: Mapping[str, Any], length: int) -> None:
        self.blocks, self.length = blocks, length

    def take(self, source: str, index: int) -> tuple[list[tuple[str, int]], int]:
        return [(source, index)], self.length

    def row(self, place: Sequence[Any]) -> PackedRow:
        from llamalite.pretraining.corpus import unpack_block

        source, index = place
        return unpack_block(self.blocks[source][index], self.length)

    def saved(self, place: Sequence[Any]) -> list[Any]:
        return list(place)

    def restored(self, saved: Sequence[Any]) -> Sequence[Any]:
        return saved

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Blocks stand where they stood."""


def count(batch: PackedBatch) -> tuple[int, int]:
    """Predicted tokens and all tokens of a batch."""
    return int(batch.loss_mask_BT.sum()), batch.tokens_BT.numel()
