"""Documents set aside: counted by reason, and each written down where a file is named."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from llamalite.data_care.documents import RawDocument, head

FILE = "rejected.jsonl"
"""What the file of rejected documents is called beside a command's other results."""


def kind_of_fault(fault: str) -> str:
    """A fault without its details."""
    return fault.split(":")[0]


def as_row(document: RawDocument) -> dict[str, Any]:
    """A rejected document as it is written down: where it stands, why it goes, how it begins."""
    return {
        "source": document.source,
        "place": document.place,
        "reason": head(document.fault),
        "characters": document.characters,
        "head": head(document.text),
    }


class Rejects:
    """Takes the unusable documents out of a reading. Its memory does not grow with their number."""

    def __init__(self, file: Path | None = None) -> None:
        """`file` is written anew with the first rejected document, and not made without one."""
        self.file, self._stream = file, None
        self.reasons: Counter[str] = Counter()
        """Fault, without its details -> documents."""
        self.first: RawDocument | None = None

    _stream: IO[str] | None

    @property
    def count(self) -> int:
        """Documents set aside."""
        return self.reasons.total()

    def add(self, document: RawDocument) -> None:
        """Count a document that has a fault, and write it down."""
        assert document.fault, "only what is unusable is set aside"
        self.reasons[kind_of_fault(document.fault)] += 1
        self.first = self.first or document
        if self.file is None:
            return
        if self._stream is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.file.open("w", encoding="utf-8")
        self._stream.write(json.dumps(as_row(document), ensure_ascii=False) + "\n")

    def usable(self, documents: Iterable[RawDocument]) -> Iterator[RawDocument]:
        """The documents without a fault; the others are set aside as they are met."""
        for document in documents:
            if document.fault:
                self.add(document)
            else:
                yield document

    def close(self) -> None:
        """Bring what was written to the disk."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def told(self) -> str:
        """One clause for a person: how many, and of what kinds; empty when none."""
        return counted(self.reasons)

    def all_gone(self, what: str) -> ValueError:
        """The error that nothing of `what` can be used, and why not the first of it."""
        why = f"the first, {self.first.place}, for: {head(self.first.fault)}" if self.first else ""
        return ValueError(
            f"{what} has no usable document: {self.count:,} set aside, {why}"
            if why
            else f"{what} has no document, it is empty"
        )


class RejectsInPlace:
    """Sets documents aside in a file that goes back with the reading when this is resumed."""

    def __init__(self, file: Path | None = None) -> None:
        """`file` is made on the first rejected document and only ever grows from a known place."""
        self.file, self.count, self.bytes = file, 0, 0

    def add(self, document: RawDocument) -> None:
        """Count a document that has a fault, and write it down."""
        assert document.fault, "only what is unusable is set aside"
        self.count += 1
        if self.file is not None:
            line = json.dumps(as_row(document), ensure_ascii=False).encode() + b"\n"
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("r+b" if self.file.exists() else "wb") as stream:
                stream.truncate(self.bytes)  # what was written after the last return
                stream.seek(self.bytes)
                stream.write(line)
            self.bytes += len(line)

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count, "bytes": self.bytes}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self.count, self.bytes = state["count"], state["bytes"]


def gather(parts: Iterable[Path], file: Path) -> None:
    """Bring files of rejected documents together in one, made only where there are some."""
    there = [part for part in parts if part.exists()]
    if there:
        with file.open("wb") as stream:
            for part in there:
                with part.open("rb") as found:
                    shutil.copyfileobj(found, stream)


def number_of_lines(file: Path) -> int:
    """Lines of a file; 0 where there is none."""
    if not file.exists():
        return 0
    with file.open("rb") as stream:
        return sum(1 for _ in stream)


def counted(reasons: Counter[str]) -> str:
    """Documents set aside in one clause; empty when none."""
    if not reasons:
        return ""
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in reasons.most_common(4))
    more = ", and others" * (len(reasons) > 4)
    return f"{reasons.total():,} set aside ({kinds}{more})"
