"""The output of a cleaning: Parquet shards of what stays, rejected documents, and the place.

What has been kept, counted and read so far is committed together with each round of shards, in one
SQLite transaction; shards written after the last commit are written again. So a cleaning that is
cut short at any moment goes on to the same files. What a break leaves of a round that is not full
waits in the same database, so that the shards are those of a cleaning without a break.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llamalite.data_care.documents import RawDocument, head
from llamalite.data_care.pipeline import Verdict
from llamalite.disk import write_bytes

CORPUS, REJECTED, RESULT = "corpus", "rejected", "clean.json"
_DATABASE = "unfinished.sqlite"
_ROUND = 50_000_000
"""Characters held in memory before a round of shards is written."""
_REJECTS = 20_000
"""Rejected documents held before it."""


class Store:
    """A folder that a cleaning fills. `state` is that of the last commit, None at the start."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Open a folder for certain settings.

        Raises ValueError when a cleaning with others was begun there and is not finished, and for
        a folder whose files would be removed though no cleaning wrote them.
        """
        self.folder = folder
        own = json.dumps(settings, sort_keys=True)
        if not (folder / _DATABASE).exists():
            _clear(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(folder / _DATABASE, isolation_level=None)
        self.database.execute("CREATE TABLE IF NOT EXISTS place (settings TEXT, state TEXT)")
        self.database.execute("CREATE TABLE IF NOT EXISTS waiting (rows TEXT)")
        found = self.database.execute("SELECT settings, state FROM place").fetchone()
        if found and found[0] != own:
            self.database.close()
            raise ValueError(
                f"{folder} holds an unfinished cleaning with other settings; "
                "name another folder with --out, or delete this one"
            )
        self.state: dict[str, Any] | None = json.loads(found[1]) if found else None
        self.database.execute("BEGIN")
        self._settings = own
        self._kept: dict[str, list[dict[str, str]]] = {}
        self._rejected: list[dict[str, Any]] = []
        self._held = 0
        self._round = self.state["round"] if self.state else 0
        if waiting := self.database.execute("SELECT rows FROM waiting").fetchone():
            self._kept, self._rejected, self._held = json.loads(waiting[0])

    def put(self, document: RawDocument, verdict: Verdict) -> bool:
        """Take a judged document; true when it is time to `commit`."""
        if verdict.stage:
            self._rejected.append(
                {
                    "source": document.source,
                    "place": document.place,
                    "site": document.site,
                    "stage": verdict.stage,
                    "reason": verdict.reason,
                    "characters": document.characters,
                    "head": head(document.text),
                }
            )
        else:
            row = {
                "text": document.text,
                "source": document.source,
                "place": document.place,
                "site": document.site,
                "language": verdict.language,
            }
            self._kept.setdefault(document.source, []).append(row)
            self._held += len(document.text)
        return self._held >= _ROUND or len(self._rejected) >= _REJECTS

    def commit(self, state: Mapping[str, Any]) -> None:
        """Write what was put since the last commit, and `state` with it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for source, rows in self._kept.items():
            folder = self.folder / CORPUS / source
            folder.mkdir(parents=True, exist_ok=True)
            content = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows), content)
            write_bytes(folder / f"{self._round:05d}.parquet", content.getvalue())
        if self._rejected:
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in self._rejected)
            (self.folder / REJECTED).mkdir(exist_ok=True)
            write_bytes(
                self.folder / REJECTED / f"{self._round:05d}.jsonl", "".join(lines).encode()
            )
        self._kept, self._rejected, self._held = {}, [], 0
        self._round += 1
        self._save(state)

    def pause(self, state: Mapping[str, Any]) -> None:
        """Save `state` and, for the next opening, what was put since the last commit."""
        rows = json.dumps([self._kept, self._rejected, self._held])
        self._save(state, rows)

    def _save(self, state: Mapping[str, Any], waiting: str | None = None) -> None:
        whole = json.dumps({**state, "round": self._round})
        self.database.execute("DELETE FROM waiting")
        if waiting is not None:
            self.database.execute("INSERT INTO waiting VALUES (?)", (waiting,))
        self.database.execute("DELETE FROM place")
        self.database.execute("INSERT INTO place VALUES (?, ?)", (self._settings, whole))
        self.database.execute("COMMIT")
        self.database.execute("BEGIN")

    def close(self) -> None:
        """Leave it as of the last commit."""
        self.database.close()

    def finish(self) -> None:
        """The last commit was the last: remove what only going on would need."""
        self.close()
        (self.folder / _DATABASE).unlink()


def kept_texts(folder: Path, source: str) -> Iterator[list[str]]:
    """What a cleaning left of a source, some documents at a time."""
    import pyarrow.parquet as pq

    for shard in sorted((folder / CORPUS / source).glob("*.parquet")):
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(1000, columns=["text"]):
                yield batch.column(0).to_pylist()


def _clear(folder: Path) -> None:
    """Remove a finished cleaning, the sign that it is one last: cut short, this can be repeated."""
    corpus, rejected = folder / CORPUS, folder / REJECTED
    # where nothing was left, the rejected documents lie alone
    others = [file for file in rejected.rglob("*") if not re.fullmatch(r"\d{5,}\.jsonl", file.name)]
    if not (folder / RESULT).exists():
        for strange in (corpus, *others):
            if strange.exists():
                raise ValueError(
                    f"{strange} is of no finished cleaning; name another folder with --out"
                )
    shutil.rmtree(corpus, ignore_errors=True)
    shutil.rmtree(rejected, ignore_errors=True)
    (folder / RESULT).unlink(missing_ok=True)
