"""Any corpus as a stream of documents: read as it comes, mixed by weight, shared by processes.

Hugging Face `datasets` does the streaming: a stream can say where it stands and go on from there
(`state_dict`), streams are interleaved with probabilities (`interleave_datasets`), and each of
several processes reads a part of its own (`split_dataset_by_node`). So a corpus may be larger than
the memory, and one of the hub larger than the disk. Not in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamalite.data_care import packaged
from llamalite.data_care.documents import MAX_BYTES, RawDocument
from llamalite.data_care.hub import hub_stream
from llamalite.data_care.reading import kind_of, read_file
from llamalite.own_files import HUB, matching_files, went_away

if TYPE_CHECKING:
    from datasets import IterableDataset

    from llamalite.protocols import Corpus

WORLD = "world:"
"""What the name of a source of the micro-world begins with where a setting names a corpus."""


def interleaved(
    streams: Mapping[str, IterableDataset],
    weights: Mapping[str, float] | None = None,
    *,
    seed: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> IterableDataset:
    """One stream of several: the next document comes from each with a chance as its weight.

    Every stream is read to its end. Without weights they take turns; a stream of weight 0 is left
    out. Process `rank` of `ranks` gets files of its own where `ranks` divides the number of files
    of every source, else every `ranks`-th document. Raises ValueError for weights of other sources.
    """
    from datasets import interleave_datasets
    from datasets.distributed import split_dataset_by_node

    if not 0 <= rank < ranks:
        raise ValueError(f"rank is {rank} of {ranks} processes; count from 0 to {ranks - 1}")
    strange = set(weights or ()) - set(streams)
    if strange:
        raise ValueError(
            f"mixture names {', '.join(sorted(strange))}, which is no source of the corpus; "
            f"choose among {', '.join(streams)}"
        )
    shares = {name: float(weights.get(name, 0)) if weights else 1.0 for name in streams}
    read = [name for name, share in shares.items() if share > 0]
    if not read:
        raise ValueError("the mixture leaves nothing to read; raise a weight")
    parts, total = [streams[name] for name in read], sum(shares.values())
    whole = interleave_datasets(
        parts,
        probabilities=[shares[name] / total for name in read] if weights else None,
        seed=seed,
        stopping_strategy="all_exhausted_without_replacement",
    )
    return split_dataset_by_node(whole, rank, ranks)


def open_stream(
    source: str,
    where: str,
    *,
    max_bytes: int = MAX_BYTES,
    world: Callable[[], Corpus] | None = None,
    documents: int = 0,
) -> IterableDataset:
    """A source as a stream of `RawDocument` fields, unusable documents included.

    `where` is world:SOURCE (the first `documents` of it, for it never ends), packaged:NAME,
    hub:NAME[:CONFIG[:SPLIT]], or a file, folder or pattern. Raises ValueError for what is not
    there.
    """
    if where.startswith(HUB):
        return hub_stream(source, where, max_bytes, _features())
    make: Callable[..., Iterator[dict[str, Any]]]
    if where.startswith(WORLD):
        if world is None:
            raise ValueError(
                f"{where} cannot be streamed; leave corpus empty to read the micro-world"
            )
        corpus, name = world(), where.removeprefix(WORLD)
        corpus.document(name, 0)  # complains of an unknown source
        make, given = _world_rows, {"held": _Held(corpus), "name": name, "documents": documents}
    elif where.startswith(packaged.PACKAGED):
        packaged.edition(where)  # complains of what is not installed
        make, given = _packaged_rows, {"where": where}
    else:
        files = matching_files(where)
        if not files:
            raise ValueError(f"no file fits {where!r}, the corpus of source {source!r}; check it")
        for file in files:
            kind_of(file)
        # a list is what `datasets` divides among processes
        make, given = _file_rows, {"files": [str(file) for file in files], "max_bytes": max_bytes}
    from datasets import IterableDataset

    made = IterableDataset.from_generator(
        make, features=_features(), gen_kwargs={"source": source, **given}
    )
    assert isinstance(made, IterableDataset)
    return made


def documents(stream: Any) -> Iterator[RawDocument]:
    """What a stream holds from where it stands, once.

    Raises `LostConnectionError` when the hub goes away meanwhile; the place of the stream itself is
    then not to be trusted, only one taken before.
    """
    rows = iter(stream)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:
            if lost := went_away(error):
                raise lost from error
            raise
        yield RawDocument(**row)


def _file_rows(source: str, files: Sequence[str], max_bytes: int) -> Iterator[dict[str, Any]]:
    for file in files:
        for document in read_file(Path(file), source, max_bytes):
            yield document._asdict()


def _packaged_rows(source: str, where: str) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(packaged.documents(where)):
        yield RawDocument(text, source, f"{where}:{number}")._asdict()


class _Held:
    """A corpus that streams share: else `datasets` copies and hashes all of it for each."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def __deepcopy__(self, memo: Any) -> _Held:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return str, ("the micro-world",)  # for the hash alone


def _world_rows(source: str, held: _Held, name: str, documents: int) -> Iterator[dict[str, Any]]:
    for number in range(documents):
        made = held.corpus.document(name, number)
        site = getattr(made, "site", "")
        yield RawDocument(made.text, source, f"{WORLD}{name}:{number}", site)._asdict()


def _features() -> Any:
    from datasets import Features, Value

    kinds = {name: Value("string") for name in RawDocument._fields}
    return Features(kinds | {"size": Value("int64")})
