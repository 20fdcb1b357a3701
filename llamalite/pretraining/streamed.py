"""A corpus larger than the disk: read as it comes, each process its own part. Not in the paper.

Where all sources are named `stream:...`, nothing is tokenised beforehand or kept. The mixture is
drawn by tokens as always (`llamalite.pretraining.mixture`), but each process draws for itself, from
its own part of each stream. A step's place is the process's own; a resume state holds those of all
(`llamalite.resume.StreamData`), so that a run that was stopped goes on where it was, with as many
processes as before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from llamalite.data_care.documents import RawDocument
from llamalite.data_care.rejected import RejectsInPlace
from llamalite.data_care.shuffling import Shuffled
from llamalite.data_care.streams import documents, interleaved, open_stream
from llamalite.own_files import STREAM
from llamalite.pretraining.data import DocumentReader, RowStream


def is_streamed(corpus: Mapping[str, str]) -> bool:
    """Whether a corpus is read as it comes; ValueError when only some of its sources are."""
    streamed = [source for source, where in corpus.items() if where.startswith(STREAM)]
    if streamed and len(streamed) < len(corpus):
        others = ", ".join(sorted(set(corpus) - set(streamed)))
        raise ValueError(
            f"{', '.join(streamed)} is read as a stream and {others} not; "
            f"write {STREAM} before all sources or before none"
        )
    return bool(streamed)


def open_parts(corpus: Mapping[str, str], rank: int, world: int) -> dict[str, Any]:
    """Process `rank`'s part of each source, as a stream of `RawDocument` fields."""
    return {
        source: interleaved(
            {source: open_stream(source, where.removeprefix(STREAM))}, rank=rank, ranks=world
        )
        for source, where in corpus.items()
    }


def first_documents(streams: Mapping[str, Any], count: int) -> dict[str, list[RawDocument]]:
    """The first usable documents of each stream."""
    return {
        source: list(islice((d for d in documents(stream) if not d.fault), count))
        for source, stream in streams.items()
    }


class StreamReader(DocumentReader):
    """Takes the next document of a source's stream, from its start again when it has ended.

    Unusable documents are set aside in the file `rejected`, if it is named, on the first lap alone;
    those in `held`, pairs of source and text, are passed over. The documents come out of a buffer
    of `shuffle` at a time in an order drawn by `seed`; 0 or 1: in their own.
    """

    def __init__(
        self,
        streams: Mapping[str, Any],
        tokenizer: Any,
        length: int,
        held: Collection[tuple[str, str]] = (),
        *,
        rejected: Path | None = None,
        shuffle: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(self._next, tokenizer, length)
        self.streams = {
            source: Shuffled(stream, shuffle, f"{seed}:{source}") if shuffle > 1 else stream
            for source, stream in streams.items()
        }
        self.held, self.rejects = held, RejectsInPlace(rejected)
        self.laps = dict.fromkeys(streams, 0)
        self._open: dict[str, Iterator[RawDocument]] = {}
        self._loaded: dict[str, Any] = {}  # a stream tells a loaded place only once it is read

    def _next(self, source: str, index: int) -> str:
        """The next text of a source; `index` is not asked for, a stream has its own order."""
        fresh = False
        while True:
            if source not in self._open:
                self._open[source] = documents(self.streams[source])
            for document in self._open[source]:
                if document.fault:
                    if not self.laps[source]:
                        self.rejects.add(document)
                elif (source, document.text) not in self.held:
                    return document.text
            if fresh:
                raise ValueError(f"the stream of source {source!r} holds nothing to learn from")
            fresh = True
            del self._open[source]
            self.laps[source] += 1
            self.streams[source].set_epoch(self.laps[source])

    def state_dict(self) -> dict[str, Any]:
        streams = {
            source: stream.state_dict()
            if source in self._open or source not in self._loaded
            else self._loaded[source]
            for source, stream in self.streams.items()
        }
        return {
            "packer": super().state_dict(),
            "laps": dict(self.laps),
            "streams": streams,
            "rejects": self.rejects.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state["packer"])
        self.rejects.load_state_dict(state["rejects"])
        self.laps.update(state["laps"])
        self._open, self._loaded = {}, dict(state["streams"])
        for source, stream in self.streams.items():
            stream.set_epoch(self.laps[source])
            stream.load_state_dict(state["streams"][source])


class StreamedRows(RowStream):
    """Batches of rows of this process's own, drawn from its own parts of the streams."""

    @property
    def rows_drawn(self) -> int:
        return self.config.batch_size // self.world

    def own(self, rows: list[Any]) -> list[Any]:
        return rows


def read_in_all(state: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What all processes have read, of their places, as the state of one `Mixture`."""
    mixtures = [part["mixture"] for part in state["parts"]]
    return {
        unit: {source: sum(each[unit][source] for each in mixtures) for source in mixtures[0][unit]}
        for unit in ("tokens", "documents")
    }


def rejected_in_all(state: Mapping[str, Any]) -> int:
    """Documents that all processes have set aside."""
    return sum(part["reader"]["rejects"]["count"] for part in state["parts"])
