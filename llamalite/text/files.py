"""A person's own texts: files of a pattern, or a dataset of the hub. Not in the paper.

Hugging Face `datasets` reads them as Arrow files, which are mapped into memory and not loaded, so a
corpus may be larger than the machine. The tokenizer and pretraining read the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llamalite.data_care import packaged
from llamalite.own_files import HUB, hub_name, matching_files, read_by_datasets, reading

_KINDS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".txt": "text"}


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
    of the whole and not of its beginning (8 bytes of memory a document).
    """

    def __init__(self, corpus: Mapping[str, str], cache: Path | None = None) -> None:
        """`corpus` says where each source is, as in the configs; ValueError as `open_source`."""
        self.rows: dict[str, Any] = {}
        for source, where in corpus.items():
            with reading(source) as told:
                self.rows[source] = open_source(source, where, cache)
                told(f"{len(self.rows[source]):,} documents")
        self.sources = tuple(self.rows)
        self.sizes = {source: len(rows) for source, rows in self.rows.items()}
        """Number of documents of each source."""
        self._orders = {source: shuffled_order(size) for source, size in self.sizes.items()}

    def document(self, source: str, index: int) -> FileDocument:
        """Document `index`, from 0, of a source; an empty row is an empty text."""
        place = int(self._orders[source][index])
        return FileDocument(self.rows[source][place]["text"] or "", source)


def open_source(source: str, where: str, cache: Path | None = None) -> Any:
    """A dataset with a column "text": files of a pattern, packaged text, or of the hub."""
    from datasets import Dataset, load_dataset

    folder = str(cache) if cache else None
    told = f"{where!r}, the corpus of {source!r}"
    if where.startswith(packaged.PACKAGED):
        return Dataset.from_dict({"text": list(packaged.documents(where))})
    if where.startswith(HUB):
        name, config, split = hub_name(where)
        with read_by_datasets(told):
            documents: Any = load_dataset(name, config, split=split, cache_dir=folder)
    else:
        files = matching_files(where)
        kinds = {_KINDS.get(file.suffix) for file in files}
        if not files:
            raise ValueError(f"no file fits {where!r}, the corpus of source {source!r}; check it")
        if None in kinds or len(kinds) > 1:
            raise ValueError(
                f"{where!r}, the corpus of source {source!r}, must hold files of one kind among "
                f"{', '.join(_KINDS)}; found {sorted({f.suffix for f in files})}"
            )
        if not any(file.stat().st_size for file in files):
            raise ValueError(f"the corpus of source {source!r} is empty; add text to {where}")
        kind = str(kinds.pop())
        names = [str(file) for file in files]
        with read_by_datasets(told):
            documents = load_dataset(kind, data_files=names, split="train", cache_dir=folder)
    if "text" not in documents.column_names:
        raise ValueError(
            f'the corpus of source {source!r} has no column "text", only '
            f"{', '.join(documents.column_names)}; rename one"
        )
    # row by row: a column asked for as a whole is read into memory by some versions of `datasets`
    if not any(row["text"] and row["text"].strip() for row in documents):
        raise ValueError(f"the corpus of source {source!r} is empty; add text to {where}")
    return documents
