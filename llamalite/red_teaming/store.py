"""Where the attempts of people are kept. Llama 2, section 4.3.

A database through SQLAlchemy, as that of preferences: an SQLite file on this machine's own disk, or
PostgreSQL by its URL. Any number of people may write at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from llamalite.preferences.tables import (
    IntegrityError,
    SQLAlchemyError,
    create_tables,
    open_engine,
    sa,
)
from llamalite.red_teaming.campaign import Attempt
from llamalite.red_teaming.transcripts import from_row, to_row

StoreError = SQLAlchemyError
"""What a database that is away, full or locked raises; the call has then not happened."""
_AT_ONCE = 500
_metadata = sa.MetaData()

attempts = sa.Table(
    "attempts",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True),  # the order they were kept in
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("attacker", sa.Text, nullable=False),
    sa.Column("risk", sa.Integer, nullable=False),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("content", sa.JSON, nullable=False),  # a row of transcripts
    sa.Column("drawn", sa.JSON, nullable=False),  # where the reply comes from
    sa.Index("attempts_attacker", "attacker", "number"),
)


class Progress(NamedTuple):
    """How far somebody has come."""

    attempts: int
    violations: int
    """Of them, those that drew a reply of risk 1 or 2."""


class Kept(NamedTuple):
    """What the store holds of an attempt."""

    attempt: Attempt
    drawn: dict[str, Any]


class AttackStore:
    """Attempts in one database. Every call is a transaction: it happens or does not."""

    def __init__(self, where: str | Path) -> None:
        """Open or make the database at a path, or at a URL such as "postgresql://host/name".

        ValueError when there is no such database.
        """
        self._engine = open_engine(where, durable=True)
        create_tables(self._engine, _metadata, "attempts")

    def close(self) -> None:
        """Let go of the database's connections."""
        self._engine.dispose()

    def __enter__(self) -> AttackStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep(self, attempt: Attempt, drawn: Mapping[str, Any] | None = None) -> None:
        """Keep an attempt under its prompt's id; when this returns it is on disk.

        `drawn` says where the reply comes from: model, seed, temperature. Sent twice it counts
        once. ValueError when the stage red_team could not read it, or another has the id.
        """
        row, name = to_row(attempt), attempt.prompt.id
        from_row(row, name)
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        written = sa.insert(attempts).values(
            id=name,
            attacker=attempt.attacker,
            risk=attempt.risk,
            time=moment,
            content=row,
            drawn=dict(drawn or {}),
        )
        try:
            with self._engine.begin() as connection:
                connection.execute(written)
        except IntegrityError:
            there = sa.select(attempts.c.content).where(attempts.c.id == name)
            with self._reading() as connection:
                if connection.scalar(there) != row:
                    raise ValueError(
                        f"the store holds another attempt {name!r}; take that back first (undo)"
                    ) from None

    def undo(self, attacker: str, candidate: str) -> Kept | None:
        """Take back what this attacker kept last, and return it; None: there is nothing.

        Nothing is taken back either where that was against another model than `candidate`.
        """
        last = sa.select(attempts).where(attempts.c.attacker == attacker)
        with self._engine.begin() as connection:
            row = connection.execute(last.order_by(attempts.c.number.desc()).limit(1)).first()
            if row is None or row.content["candidate"] != candidate:
                return None
            connection.execute(sa.delete(attempts).where(attempts.c.number == row.number))
        return Kept(from_row(row.content, row.id), row.drawn)

    def attempts(self) -> Iterator[Attempt]:
        """All attempts in the order they were kept, a part at a time; ids are those of `keep`."""
        part = sa.select(attempts).order_by(attempts.c.number).limit(_AT_ONCE)
        last = -1
        while True:
            with self._reading() as connection:
                rows = connection.execute(part.where(attempts.c.number > last)).all()
            yield from (from_row(row.content, row.id) for row in rows)
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1].number

    def progress(self, attacker: str) -> Progress:
        """How many attempts somebody has kept, and how many violations were among them."""
        bad = sa.func.coalesce(sa.func.sum(sa.case((attempts.c.risk <= 2, 1), else_=0)), 0)
        own = sa.select(sa.func.count(), bad).where(attempts.c.attacker == attacker)
        with self._reading() as connection:
            return Progress(*connection.execute(own).one())

    def _reading(self) -> Any:
        return self._engine.connect().execution_options(reading=True)
