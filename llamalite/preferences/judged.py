"""People's verdicts in the simulated annotators' place. Llama 2, section 3.2.1; needs no torch.

The paper's annotators are people. Here `preferences.judged` says where their verdicts stand: in the
store that `llamalite annotate` serves, or in a file as its `--export` writes one. What the stage
makes of them is what it makes of simulated ones.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from llamalite.jsonl import Rejected, apart, nothing_usable
from llamalite.own_files import HUB
from llamalite.preferences.interchange import check_verdict, to_row
from llamalite.preferences.protocol import NOT_KEPT, Comparison, Item
from llamalite.preferences.reading import WANTED, scan
from llamalite.preferences.writing import write_items

_FILES = (".jsonl", ".json", ".parquet")
_SQLITE = b"SQLite format 3\0"


class Judged(NamedTuple):
    """What was said of a round's pairs."""

    comparisons: list[Comparison]
    items: list[Item]
    """Pairs that were put up: all the store's, judged or not; of a file those that were judged."""
    aside: list[dict[str, Any]]
    """Pairs that nobody can learn from, with the reason."""
    rejected: list[Rejected]
    """Malformed rows of a file."""
    rounds: Mapping[int, int]
    """Verdicts by round, those of other rounds too; of a store only this one's."""
    still_wanted: int = 0
    """Judgements of this round that a store still waits for."""


def is_store(where: str) -> bool:
    """Whether this is a database, by its URL or an SQLite file's first bytes; else it is a file.

    What is not there yet is a store unless its name ends as a file of comparisons does.
    """
    if "://" in where or where.startswith(HUB):
        return not where.startswith(HUB)
    path = Path(where).expanduser()
    if not path.is_file():
        return path.suffix not in _FILES
    with path.open("rb") as stream:
        return stream.read(len(_SQLITE)) == _SQLITE


def read_judged(where: str, batch: int) -> Judged:
    """What people said in round `batch`: a store's pairs of that batch, or a file's rows.

    A row of a file that names no "batch" counts as round 1's, so that no verdict is learned from
    in one round and tested by in another. A row must hold what the protocol asks of an annotator
    (guideline, rating, who judged, and the bin under safety), else it is rejected; one that says
    "chosen unsafe" is set aside. Nothing there yet is no error; ValueError where all rows of the
    round are malformed.
    """
    return of_store(where, batch) if is_store(where) else _of_file(where, batch)


def of_store(where: str, batch: int) -> Judged:
    """What a store holds of a batch; an SQLite file that is not there holds nothing."""
    from llamalite.preferences.store import PreferenceStore

    if _is_absent(where):
        return Judged([], [], [], [], {})
    with PreferenceStore(where) as store:
        comparisons = list(store.export(batch))
        aside = [
            {"item": each.item.id, "annotator": each.annotator, "reason": each.reason}
            for each in store.export_set_aside(batch)
        ]
        items, wanted = store.items(batch), store.counts(batch).open
    return Judged(comparisons, items, aside, [], {batch: len(comparisons)}, wanted)


def _of_file(where: str, batch: int) -> Judged:
    rounds: Counter[int] = Counter()

    def of_round(row: Any) -> bool:
        named = row.get("batch") if isinstance(row, Mapping) else "none"
        named = 1 if named is None else named
        if type(named) is not int:
            return True  # to be rejected with the reason
        rounds[named] += 1
        return named == batch

    if _is_absent(where):
        return Judged([], [], [], [], {})
    found, bad = apart(scan(where, wanted=of_round, check=check_verdict))
    comparisons, twice = _once_each(found)
    aside = [row._asdict() for row in bad if row.reason == NOT_KEPT]
    rejected = sorted([row for row in bad if row.reason != NOT_KEPT] + twice)
    if rejected and not comparisons and (batch in rounds or not rounds):
        raise nothing_usable(where, rejected, f"{WANTED}, a guideline, a rating and an annotator")
    items = list({each.id: each.item for each in comparisons}.values())
    return Judged(comparisons, items, aside, rejected, dict(sorted(rounds.items())))


def _once_each(found: Sequence[Comparison]) -> tuple[list[Comparison], list[Rejected]]:
    """Nobody judges a pair twice: what the store refuses, and is rejected of a file."""
    first: dict[tuple[str, str], Comparison] = {}
    twice = []
    for each in found:
        there = first.setdefault((each.id, each.annotator), each)
        if there is not each:
            assert each.place
            assert there.place
            why = f"{each.annotator!r} has judged {each.id!r} before, in row {there.place.line}"
            twice.append(Rejected(*each.place, why))
    return list(first.values()), twice


def waits_for_people(found: Judged, batch: int) -> bool:
    """Whether pairs that are not the stage's own stand in the store: then it adds none to them."""
    own = [each.id == f"{batch}/{each.guideline}/{each.prompt_id}" for each in found.items]
    return bool(own) and not any(own)


def ask_people(where: str, batch: int, pairs: Sequence[Item], judgements_each: int) -> NoReturn:
    """Put a round's pairs where people find them, and end the stage with what is to be done.

    Into the store, or, beside a file of verdicts, into a file for `llamalite annotate --pairs`.
    Always raises ValueError.
    """
    if where.startswith(HUB):
        raise ValueError(f"{where} has no comparisons of round {batch}; name another set")
    if is_store(where):
        waiting = _put_up(where, batch, pairs, judgements_each)
        if not waiting:
            raise ValueError(
                f"all pairs of round {batch} in {where} were set aside, nobody can learn of them; "
                "put more up with `llamalite annotate --pairs`, or name another store"
            )
        raise ValueError(
            f"nobody has judged round {batch} yet: {waiting} judgements are wanted in {where}; "
            f"have people make them with `llamalite annotate --store {where}` and run this again"
        )
    path = Path(where).expanduser()
    file = path.with_name(f"{path.stem}.pairs_{batch}.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_items(file, pairs)
    raise ValueError(
        f'{where} has no comparisons of round {batch} (rows without "batch" are round 1\'s); its '
        f"{len(pairs)} pairs are in {file}: have people judge them with `llamalite annotate "
        f"--store annotations.db --pairs {file}`, then `--export {where}` and run this again"
    )


def _put_up(where: str, batch: int, pairs: Sequence[Item], judgements_each: int) -> int:
    """How many judgements of the round are still wanted, these pairs' among them."""
    from llamalite.preferences.store import PreferenceStore

    with PreferenceStore(where) as store:
        there = {item.id: item for item in store.items(batch)}
        if any(there.get(pair.id, pair) != pair for pair in pairs):
            raise ValueError(
                f"{where} holds other pairs of round {batch} than these models and settings make; "
                "name another store, or have those judged first"
            )
        store.add_items(pairs, judgements_each)
        return store.counts(batch).open


def content(where: str, batch: int) -> dict[str, Any] | None:
    """Number and hash of a store's verdicts of a round, which its file's hash would not tell.

    An SQLite store that is being written to keeps the newest beside its file, and a database has
    none. None: it is no store.
    """
    if not is_store(where):
        return None
    found, whole = read_judged(where, batch), hashlib.sha256()
    rows = [to_row(each) for each in found.comparisons] + found.aside
    for row in rows:
        whole.update(json.dumps(row, sort_keys=True).encode())
    return {"judgements": len(rows), "sha256": whole.hexdigest()}


def _is_absent(where: str) -> bool:
    if "://" in where or where.startswith(HUB):
        return False
    return not Path(where).expanduser().exists()
