"""A dataset of the hub as a stream, and what is said when the hub goes away. Not in the paper.

`datasets` asks again by itself for a while when a connection breaks (`STREAMING_READ_MAX_RETRIES`
times). What comes after that ends the command, and the next call of it goes on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llamalite.data_care.documents import RawDocument, head, site_of, unusable
from llamalite.own_files import hub_name, read_by_datasets

if TYPE_CHECKING:
    from datasets import IterableDataset

_SLICE = re.compile(r"(?P<split>[^\[\]]+)\[(?P<first>\d*):(?P<last>\d*)\]")


def hub_stream(source: str, where: str, max_bytes: int, features: Any) -> IterableDataset:
    """hub:NAME[:CONFIG[:SPLIT]] as a stream of `RawDocument` fields, unusable documents included.

    SPLIT may be a part by number of documents, train[:1000]; a stream does not know how long it is
    and so takes no shares. Raises ValueError for what the hub does not have.
    """
    from datasets import load_dataset

    name, config, split = hub_name(where)
    split, first, last = part_of(split)
    with read_by_datasets(f"{where!r}, the corpus of {source!r}"):
        stream: Any = load_dataset(name, config, split=split, streaming=True)
        columns = stream.column_names or list(next(iter(stream)))
    if "text" not in columns:
        raise ValueError(
            f'the corpus of source {source!r} has no column "text", only {", ".join(columns)}; '
            "rename one"
        )
    stream = stream.skip(first) if first else stream
    stream = stream if last is None else stream.take(max(0, last - first))

    def as_document(row: dict[str, Any], number: int) -> dict[str, Any]:
        text = row["text"]
        fault = unusable(text)
        if not fault and len(text) > max_bytes:
            fault = f"too long: {len(text):,} characters"
        size = len(text) if isinstance(text, str) else 0
        return RawDocument(
            head(text if isinstance(text, str) else "") if fault else text,
            source,
            f"{where}:{number}",
            site_of(row.get("site"), row.get("url")),
            fault,
            size if fault else 0,
        )._asdict()

    return stream.map(as_document, with_indices=True, remove_columns=columns, features=features)


def part_of(split: str) -> tuple[str, int, int | None]:
    """A split's name and its first and last document: train[5:9] is ("train", 5, 9).

    Raises ValueError for shares and for what counts from the end.
    """
    if "[" not in split:
        return split, 0, None
    if not (found := _SLICE.fullmatch(split)):
        raise ValueError(
            f"{split} cannot be read as a stream, whose length is not known; "
            "name a part by its documents, as in train[:1000]"
        )
    return found["split"], int(found["first"] or 0), int(found["last"]) if found["last"] else None
