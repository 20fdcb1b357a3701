"""The store's three tables, and how its database is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

try:
    import sqlalchemy as sa
    from sqlalchemy import event
    from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
except ImportError as error:  # pragma: no cover
    raise ValueError(
        "collecting preferences needs SQLAlchemy; pip install 'llamalite[preferences]'"
    ) from error

__all__ = [
    "IntegrityError",
    "SQLAlchemyError",
    "create_tables",
    "items",
    "judgements",
    "open_engine",
    "places",
    "sa",
]

_BUSY_MILLISECONDS = 60_000
"""How long a writer of SQLite waits for the others."""
_metadata = sa.MetaData()

items = sa.Table(
    "items",
    _metadata,
    sa.Column("position", sa.Integer, primary_key=True),  # the order they were put up in
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("guideline", sa.Text, nullable=False),
    sa.Column("content", sa.JSON, nullable=False),  # protocol.Item
)
places = sa.Table(  # one for each judgement that is wanted of an item
    "places",
    _metadata,
    sa.Column("position", sa.ForeignKey("items.position"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("holder", sa.Text),  # who was given it, or who has filled it
    sa.Column("until", sa.Double),  # seconds since 1970; then somebody else may have it
    sa.Column("closed", sa.Boolean, nullable=False),
    sa.Index("places_open", "closed", "position"),
    sa.Index("places_holder", "holder", "closed"),
)
judgements = sa.Table(  # a comparison, or a pair set aside (choice is null) with a reason
    "judgements",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("position", sa.ForeignKey("items.position"), nullable=False),
    sa.Column("annotator", sa.Text, nullable=False),
    sa.Column("choice", sa.Text),
    sa.Column("rating", sa.Text),
    sa.Column("safety_bin", sa.Text),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("left", sa.Text),
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("position", "annotator"),
    sa.Index("judgements_annotator", "annotator", "number"),
)


def open_engine(where: str | Path, durable: bool) -> Any:
    """An engine for a path or a URL; ValueError when it is neither or a driver is missing."""
    text = str(where)
    scheme = text.split("://")[0]
    try:
        url = sa.make_url(text) if "://" in text else sa.URL.create("sqlite", database=text)
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite":
            if url.database in (None, "", ":memory:"):
                raise ValueError("a store in memory is lost with its process; give a file")
            return _sqlite(url, durable)
        return sa.create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{scheme} needs the package {error.name}; pip install 'llamalite[annotate]'"
        ) from None
    except (ArgumentError, NoSuchModuleError):
        raise ValueError(
            f"{scheme!r} is no database this knows; give a path, or a URL such as "
            "postgresql://user@host/name"
        ) from None


def create_tables(engine: Any, tables: Any = _metadata, what: str = "preferences") -> None:
    """Make what is missing; ValueError when the database cannot be opened or is another's."""
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":  # two at once would trip over each other
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7203214)"))
            tables.create_all(connection)
            for table in tables.tables.values():
                connection.execute(sa.select(table).limit(0))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        shown = engine.url.render_as_string(hide_password=True)
        raise ValueError(f"cannot open {shown} as a store of {what}: {reason}") from None


def _sqlite(url: Any, durable: bool) -> Any:
    """SQLite for several writers: a log beside the file, and writers that wait before they read.

    A transaction that began by reading could not go on to write once another has written.
    """
    engine = sa.create_engine(url)

    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # begin and commit are ours
        for pragma in (
            f"busy_timeout={_BUSY_MILLISECONDS}",  # first: the next may have to wait
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'NORMAL'}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def begun(connection: Any) -> None:
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    return engine
