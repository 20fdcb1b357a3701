"""A corpus of any size, cleaned, with the counts of every stage. Llama 2, section 2.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamalite.data_care.duplicates import DuplicateIndex
from llamalite.data_care.epochs import CountTokens, check_mixture, effective_epochs
from llamalite.data_care.personal import Site, survey_sites
from llamalite.data_care.pipeline import STAGES, Counts, Rules, Tally, judge
from llamalite.data_care.store import CORPUS, REJECTED, RESULT, Store, kept_texts
from llamalite.data_care.streams import WORLD, documents, interleaved, open_stream
from llamalite.disk import write_json
from llamalite.own_files import HUB, LostConnectionError, hub_name, matching_files
from llamalite.progress import pieces, within
from llamalite.world.config import MIXTURE, WorldConfig

if TYPE_CHECKING:
    from datasets import IterableDataset

    from llamalite.protocols import Corpus


@dataclass(frozen=True)
class CleanConfig:
    """What is read, what is taken out of it, and where the rest goes."""

    corpus: dict[str, str] = field(default_factory=dict)
    """As --corpus.NAME FILE: for each source, named as you like, a file pattern (JSONL, Parquet or
    text, the first and last perhaps gzipped; or a folder of them) with "text" and perhaps "url" or
    "site"; packaged:plays, packaged:bible or packaged:chats; hub:NAME[:CONFIG[:SPLIT]], streamed;
    or world:SOURCE of the micro-world. Empty: all of the micro-world."""
    mixture: dict[str, float] = field(default_factory=dict)
    """As --mixture.NAME 0.5: weight of each source, of any sum, both in the order of reading and in
    the table of epochs. Empty: all alike in reading, by their size in the table."""
    limit: int = 0
    """Documents read in all; 0: to the end of every source."""
    documents: int = 2000
    """Documents of each source of the micro-world, which never ends."""
    max_bytes: int = 2_000_000
    """Bytes above which a document is not taken into memory but rejected."""
    rules: Rules = field(default_factory=Rules)
    """Bounds of every stage."""
    tokens: int = 0
    """Length of the training run whose epochs the table tells; 0: as many tokens as are left."""
    tokenizer: str = ""
    """Whose tokens the table of epochs counts in what is left: a tokenizer.model (SentencePiece), a
    tokenizer.json (byte-level BPE), a model's folder, or the name of a fetched model as smollm2.
    Empty: they are estimated."""
    characters_per_token: float = 2.4
    """To estimate tokens from characters where no tokenizer is given. Measured on English: 2.24
    (plays) and 2.55 (chats) with 1,024 pieces learned on it, 3.07 and 3.57 with 32,000 of a real
    model (data/results/english/vocabulary.json)."""
    world: WorldConfig = field(default_factory=WorldConfig)
    """Which micro-world, where a source is of it."""
    seed: int = 0
    """Of the order in which sources are interleaved."""
    rank: int = 0
    """Which part of the corpus this process cleans, from 0; each needs an `out` of its own."""
    ranks: int = 1
    """Number of parts. Copies that lie in different parts are found by cleaning the results."""
    out: str = "runs/clean"
    """Folder of corpus/SOURCE/*.parquet, rejected/*.jsonl, clean.json and clean.svg."""

    def __post_init__(self) -> None:
        for name in ("limit", "tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in ("documents", "max_bytes", "characters_per_token"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        check_mixture(self.mixture)
        for source in self.corpus:
            if not re.fullmatch(r"\w[\w.-]*", source):
                raise ValueError(
                    f"source {source!r} cannot name a folder; use letters, digits, - and _"
                )

    @property
    def sources(self) -> dict[str, str]:
        """The corpus, the micro-world's sources spelled out."""
        return self.corpus or {source: WORLD + source for source in MIXTURE}


def clean_into(
    folder: Path, config: CleanConfig, count: CountTokens | None = None
) -> dict[str, Any]:
    """Clean a corpus into a folder; returns what its clean.json holds, see `command.clean`.

    `count` counts the tokens of what is left, as the config's tokenizer does; without it they are
    estimated.
    Cut short, the same call goes on; also after `LostConnectionError`, when the hub goes away.
    Raises ValueError for a corpus that cannot be read, one of which nothing is left, and a folder
    in which another cleaning was not finished or which holds what is to be read.
    """
    _check_apart(folder, config)
    stream = open_corpus(config)
    # what only tells of the result, or where it lies, may change before going on
    told = {"out", "tokens", "tokenizer", "characters_per_token"}
    settings = {name: each for name, each in asdict(config).items() if name not in told}
    store = Store(folder, settings)
    try:
        counts, sites = _clean_stream(stream, config, store)
        left = any(counts.kept(source).documents for source in counts.seen)
        tokens = counted(folder, counts, count) if count and left else None
    except BaseException:
        store.close()
        raise
    if not left:
        store.finish()
        raise ValueError(f"nothing of the corpus is left; {folder / REJECTED} says why of each")
    result = summary(counts, sites, config, tokens)
    write_json(folder / RESULT, result)
    store.finish()
    return result


def _check_apart(folder: Path, config: CleanConfig) -> None:
    """ValueError when a file that is to be read lies where the result is written."""
    written = [(folder / name).resolve() for name in (CORPUS, REJECTED)]
    for where in config.sources.values():
        for file in matching_files(hub_name(where)[0] if where.startswith(HUB) else where):
            if any(file.resolve().is_relative_to(each) for each in written):
                raise ValueError(
                    f"{file} would be deleted, it lies in {folder}, which is written anew; "
                    "name another folder with --out"
                )


def open_corpus(config: CleanConfig) -> IterableDataset:
    """All sources of a config as one stream, interleaved by weight, this process's part of it."""
    worlds: list[Corpus] = []

    def world() -> Corpus:
        from llamalite.world import World

        if not worlds:
            worlds.append(World(config.world))
        return worlds[0]

    streams = {
        source: open_stream(
            source, where, max_bytes=config.max_bytes, world=world, documents=config.documents
        )
        for source, where in config.sources.items()
    }
    return interleaved(
        streams, config.mixture, seed=config.seed, rank=config.rank, ranks=config.ranks
    )


def _clean_stream(
    stream: IterableDataset, config: CleanConfig, store: Store
) -> tuple[Counts, dict[str, Site]]:
    """Judge every document of the stream that has not been judged before a break."""
    limit = config.limit or None
    if store.state is None:
        counts, done = Counts(), 0
        # a survey leaves the stream itself where it was
        surveyed = islice(documents(stream), config.rules.personal.survey or None)
        sites = survey_sites(surveyed) if config.rules.personal.density else {}
    else:
        counts, done = Counts.restored(store.state["counts"]), store.state["done"]
        sites = {name: Site(*each) for name, each in store.state["sites"].items()}
        stream.load_state_dict(store.state["stream"])

    def state() -> dict[str, Any]:
        return {
            "counts": counts.state_dict(),
            "done": done,
            "sites": sites,
            "stream": stream.state_dict(),
        }

    index = DuplicateIndex(store.database, config.rules.duplicates)
    rest = islice(documents(stream), limit and limit - done)
    # only what is read from afar can break off, and only before a break is the place certain
    remote = any(where.startswith(HUB) for where in config.sources.values())
    place = state() if remote else {}
    try:
        for document in pieces(rest, "document", limit and limit - done):
            verdict = judge(document, config.rules, sites, index)
            counts.count(document, verdict)
            done += 1
            full = store.put(document, verdict)
            if full or remote:
                place = state()
            if full:
                store.commit(place)
    except LostConnectionError:
        store.pause(place)
        raise
    store.commit(state())
    return counts, sites


def counted(folder: Path, counts: Counts, count: CountTokens) -> dict[str, int]:
    """Tokens of what is left of each source, read from its shards."""
    left = {source: counts.kept(source).documents for source in counts.seen}
    tokens = dict.fromkeys(left, 0)
    for source in pieces(left, "source counted"):
        done = 0
        with within("document", left[source]) as at:
            for texts in kept_texts(folder, source):
                at(done)
                tokens[source] += count(texts)
                done += len(texts)
    return tokens


def summary(
    counts: Counts,
    sites: Mapping[str, Site],
    config: CleanConfig,
    tokens: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What clean.json holds; `tokens` of each source where they were counted."""
    left = {source: counts.kept(source) for source in counts.seen}
    whole = [
        Tally(*(sum(part) for part in zip(*tallies, strict=True)))
        for tallies in (counts.seen.values(), left.values())
    ]
    if tokens is None:
        sizes = {source: tally.characters for source, tally in left.items()}
        per_token = config.characters_per_token
    else:
        sizes, per_token = dict(tokens), 1.0
    return {
        "documents": {"before": whole[0].documents, "after": whole[1].documents},
        "characters": {"before": whole[0].characters, "after": whole[1].characters},
        "stages": counts.rows(),
        "order": list(STAGES),
        "reasons": {stage: dict(each.most_common()) for stage, each in counts.reasons.items()},
        "languages": {
            source: dict(each.most_common()) for source, each in counts.languages.items()
        },
        "rich_sites": {
            name: site._asdict()
            for name, site in sorted(sites.items())
            if site.goes_whole(config.rules.personal)
        },
        "epochs": [
            row._asdict()
            for row in effective_epochs(
                sizes,
                {s: w for s, w in config.mixture.items() if s in left and left[s].documents},
                config.tokens,
                per_token,
            )
        ],
        "characters_per_token": config.characters_per_token
        if tokens is None
        else whole[1].characters / sum(tokens.values()),
        "tokens_counted": tokens is not None,
        "emptied": {
            source: config.mixture.get(source, 0.0)
            for source, tally in left.items()
            if not tally.documents
        },
        "corpus": {
            source: str(Path(config.out) / CORPUS / source)
            for source, tally in left.items()
            if tally.documents
        },
    }
