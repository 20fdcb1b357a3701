"""A person's own texts: files of a pattern, or a dataset of the hub. Not in the paper.

They are read once, by `llamalite.data_care.reading`, and what can be used of them is written to
an Arrow file, which is mapped into memory and not loaded: a corpus may be larger than the machine,
and no bad line stops it. The tokenizer and pretraining read the same way.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llamalite.data_care import packaged
from llamalite.data_care.documents import MAX_BYTES, RawDocument, head, unusable
from llamalite.data_care.rejected import Rejects
from llamalite.data_care.streams import documents, open_stream
from llamalite.own_files import HUB, STREAM, hub_name, matching_files, read_by_datasets, reading

_ROUND = 8_000_000
"""Characters held before they are written."""


def shuffled_order(size: int) -> np.ndarray:
    """Numbers 0 to `size` - 1 in an order that is always the same."""
    return np.random.default_rng(0).permutation(size)


def learned_and_kept(size: int, wanted: int) -> tuple[list[int], list[int]]:
    """Which of a source's documents are learned from, in their order, and which are kept back.

    Kept are the last `wanted` of the shuffled order, at most a tenth: all stages that ask for as
    many keep the same ones from training, whatever their seed.
    """
    order = shuffled_order(size)
    count = min(wanted, size // 10)
    return sorted(order[: size - count].tolist()), order[size - count :].tolist()


class FileDocument(NamedTuple):
    """A text of somebody's own; see `llamalite.protocols.Document`."""

    text: str
    source: str


class FileCorpus:
    """Sources of files or of the hub by random access, as `llamalite.protocols.Corpus`; they end.

    Documents are numbered in a shuffled order, always the same, so that the first ones are a sample
    of the whole and not of its beginning (8 bytes of memory a document). What cannot be used is not
    among them, but in `rejects`.
    """

    def __init__(
        self,
        corpus: Mapping[str, str],
        cache: Path | None = None,
        rejected: Path | None = None,
        first: Mapping[str, int] | int = 0,
    ) -> None:
        """`corpus` says where each source is, as in the configs; ValueError as `open_source`.

        What is set aside is also written to the file `rejected`, if there is any. Of a source named
        stream:... the `first` usable documents are taken.
        """
        self.rows: dict[str, Any] = {}
        self.rejects = Rejects(rejected)
        for source, where in corpus.items():
            count = first if isinstance(first, int) else first.get(source, 0)
            with reading(source) as told:
                own = Rejects()
                self.rows[source] = open_source(
                    source, where, cache, _Both(own, self.rejects), first=count
                )
                told(", ".join(filter(None, (f"{len(self.rows[source]):,} documents", own.told()))))
        self.rejects.close()
        self.sources = tuple(self.rows)
        self.sizes = {source: len(rows) for source, rows in self.rows.items()}
        """Number of documents of each source."""
        self._orders = {source: shuffled_order(size) for source, size in self.sizes.items()}

    def document(self, source: str, index: int) -> FileDocument:
        """Document `index`, from 0, of a source."""
        place = int(self._orders[source][index])
        return FileDocument(self.rows[source][place]["text"], source)


class _Both(Rejects):
    """Sets a document aside in two places: a source's own count, and that of all."""

    def __init__(self, *places: Rejects) -> None:
        super().__init__()
        self.places = places

    def add(self, document: RawDocument) -> None:
        super().add(document)
        for place in self.places:
            place.add(document)


def open_source(
    source: str,
    where: str,
    cache: Path | None = None,
    rejects: Rejects | None = None,
    *,
    first: int = 0,
) -> Any:
    """A dataset of the column "text": what can be used of files, packaged text, or of the hub.

    `where` is as in `pretrain.corpus`; of stream:... the `first` usable documents are read. What
    cannot be used goes to `rejects`, in the order of reading. The rows lie in the folder `cache`,
    or where temporary files do. Raises ValueError for what is not there and for a source of which
    nothing can be used.
    """
    from datasets import Dataset

    rejects = rejects or Rejects()
    if where.startswith(packaged.PACKAGED):  # whole and good, and small enough
        return Dataset.from_dict({"text": list(packaged.documents(where))})
    if where.startswith(HUB):
        return _usable_rows(source, where, open_table(source, where, cache), rejects)
    found = rejects.usable(documents(open_stream(source, where.removeprefix(STREAM))))
    if where.startswith(STREAM):
        if first < 1:
            raise ValueError(
                f"{where} is a stream, of which the first documents are taken; say how many"
            )
        found = islice(found, first)
    folder = cache or Path(tempfile.mkdtemp(prefix="llamalite-"))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{source}.arrow"
    _write_rows(file, found)
    rows = Dataset.from_file(str(file))
    if cache is None:
        weakref.finalize(rows, shutil.rmtree, folder, ignore_errors=True)
    if not len(rows):
        raise rejects.all_gone(f"{where}, the corpus of source {source!r},")
    return rows


def _write_rows(file: Path, found: Iterable[RawDocument]) -> None:
    """Texts in batches of `_ROUND` characters, which is all that is in memory."""
    import pyarrow as pa

    schema = pa.schema({"text": pa.large_string()})
    with file.open("wb") as stream, pa.ipc.new_stream(stream, schema) as writer:
        texts: list[str] = []
        size = 0
        for document in found:
            texts.append(document.text)
            size += len(document.text)
            if size >= _ROUND:
                writer.write_batch(pa.record_batch([texts], schema=schema))
                texts, size = [], 0
        writer.write_batch(pa.record_batch([texts], schema=schema))


def _usable_rows(source: str, where: str, table: Any, rejects: Rejects) -> Any:
    """Those rows of a dataset that can be used (8 bytes of memory each, if not all can be)."""
    if "text" not in table.column_names:
        raise ValueError(
            f'the corpus of source {source!r} has no column "text", only '
            f"{', '.join(table.column_names)}; rename one"
        )
    good: list[int] = []
    rows = table.select_columns(["text"])
    for number, row in enumerate(rows):
        text = row["text"]
        fault, size = unusable(text), len(text) if isinstance(text, str) else 0
        if not fault and size > MAX_BYTES:
            fault = f"too long: {size:,} characters"
        if fault:
            start = head(text) if isinstance(text, str) else ""
            rejects.add(RawDocument(start, source, f"{where}:{number}", "", fault, size))
        else:
            good.append(number)
    if not good:
        raise rejects.all_gone(f"{where}, the corpus of source {source!r},")
    return rows if len(good) == len(rows) else rows.select(good)


def open_table(source: str, where: str, cache: Path | None = None) -> Any:
    """Rows with all their columns, as `datasets` reads them, of a dataset of the hub or of files.

    Files are JSONL, or Parquet; a bad one is an error, for a table is no crawl. Raises ValueError
    for what cannot be read.
    """
    from datasets import load_dataset

    folder = str(cache) if cache else None
    if where.startswith(HUB):
        name, config, split = hub_name(where)
        with read_by_datasets(f"{where!r}, the corpus of {source!r}"):
            return load_dataset(name, config, split=split, cache_dir=folder)
    files = [str(file) for file in matching_files(where)]
    kind = "parquet" if files and files[0].endswith(".parquet") else "json"
    with read_by_datasets(f"{where!r}"):
        return load_dataset(kind, data_files=files, split="train", cache_dir=folder)
