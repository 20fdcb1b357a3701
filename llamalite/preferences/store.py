"""Where pairs wait for annotators and judgements are kept. Llama 2, section 3.2.1.

A database through SQLAlchemy: an SQLite file on this machine's own disk, or PostgreSQL by its URL.
Any number of processes may work on it at once. Simulated annotators use it as people do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from llamalite.preferences.protocol import Comparison, Guideline, Item, judged
from llamalite.preferences.tables import (
    IntegrityError,
    SQLAlchemyError,
    create_tables,
    items,
    judgements,
    open_engine,
    places,
    sa,
)

StoreError = SQLAlchemyError
"""What a database that is away, full or locked raises; the call has then not happened."""
LEASE_SECONDS = 1800.0
"""How long an item is kept for who was given it, unless told."""
_AT_ONCE = 500


class Counts(NamedTuple):
    """How far a collection has come, in judgements: of a pair wanted from n people, n."""

    wanted: int
    judged: int
    """Comparisons."""
    set_aside: int
    """Pairs that somebody could not or should not judge."""
    held: int
    """Given to somebody who has not answered yet."""
    open: int
    """Judgements still to come, those held included."""


class SetAside(NamedTuple):
    """A pair that somebody gave no comparison for."""

    item: Item
    annotator: str
    reason: str


class PreferenceStore:
    """Items and judgements in one database. Every call is a transaction: it happens or does not."""

    def __init__(
        self,
        where: str | Path,
        *,
        lease_seconds: float = LEASE_SECONDS,
        durable: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or make the database at a path, or at a URL such as "postgresql://host/name".

        `lease_seconds`: an item not answered for so long is given to somebody else. A store that is
        not `durable` survives the death of its processes, but not a power cut (SQLite only; it is
        faster). `clock` gives seconds since 1970. ValueError when there is no such database.
        """
        if not lease_seconds > 0:
            raise ValueError(f"lease_seconds is {lease_seconds}; it must be above 0")
        self._engine = open_engine(where, durable)
        self._lease, self._clock = lease_seconds, clock
        create_tables(self._engine)

    def close(self) -> None:
        """Let go of the database's connections."""
        self._engine.dispose()

    def __enter__(self) -> PreferenceStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- pairs -----------------------------------------------------------------------------------

    def add_items(self, new: Iterable[Item], judgements_each: int = 1) -> int:
        """Put pairs up for judgement, in order; each by so many people. Returns how many are new.

        Those that are there already, by id, stay as they are, so that an interrupted call can be
        made again. ValueError when another pair has the id.
        """
        if judgements_each < 1:
            raise ValueError(f"judgements_each is {judgements_each}; it must be at least 1")
        waiting = list(new)
        added = 0
        for first in range(0, len(waiting), _AT_ONCE):
            part = {item.id: item for item in waiting[first : first + _AT_ONCE]}
            with self._writing() as connection:
                there = sa.select(items.c.id, items.c.content).where(items.c.id.in_(part))
                for name, content in connection.execute(there).all():
                    if Item.from_plain(content) != part.pop(name):
                        raise ValueError(
                            f"the store holds another item {name!r}; give each an id of its own"
                        )
                for item in part.values():
                    row = {name: getattr(item, name) for name in ("id", "batch", "guideline")}
                    made = sa.insert(items).values(content=item.to_plain(), **row)
                    [position] = connection.execute(made).inserted_primary_key
                    rows = [
                        {"position": position, "number": number, "closed": False}
                        for number in range(judgements_each)
                    ]
                    connection.execute(sa.insert(places), rows)
                added += len(part)
        return added

    def next_item(
        self, annotator: str, guideline: Guideline | None = None, batch: int | None = None
    ) -> Item | None:
        """The first pair this annotator can judge, kept for them for a while; None: nothing's left.

        Asked again before it is answered, the same pair comes. Nobody else gets it, unless it was
        put up for several people or the time ran out.
        """
        now = self._clock()
        with self._writing() as connection:
            wanted = _places(guideline, batch).where(~places.c.closed, ~_seen_by(annotator))
            place = connection.execute(wanted.where(places.c.holder == annotator)).first()
            if place is None:
                free = sa.or_(places.c.holder.is_(None), places.c.until < now)
                wanted = wanted.where(free).with_for_update(skip_locked=True, of=places)
                place = connection.execute(wanted).first()
            if place is None:
                return None
            held = {"holder": annotator, "until": now + self._lease}
            connection.execute(sa.update(places).where(*_at(place)).values(**held))
        return Item.from_plain(place.content)

    def items(self, batch: int | None = None, guideline: Guideline | None = None) -> list[Item]:
        """All pairs, judged or not, in the order they were put up."""
        chosen = _narrowed(sa.select(items.c.content), guideline, batch).order_by(items.c.position)
        with self._reading() as connection:
            return [Item.from_plain(content) for content in connection.scalars(chosen)]

    # --- judgements ------------------------------------------------------------------------------

    def submit(self, comparison: Comparison) -> None:
        """Keep a judgement; when this returns it is on disk.

        Sent twice it counts once, and one that comes after its time ran out is kept too. ValueError
        when the store has no such item, or this annotator said something else of it before (`undo`
        takes that back).
        """
        answer = {name: getattr(comparison, name) for name in _ANSWER}
        self._answer(comparison.item, answer | {"reason": None})

    def set_aside(self, item: Item, annotator: str, reason: str) -> None:
        """Take a pair out that this annotator gives no comparison for, with the reason."""
        if not reason.strip():
            raise ValueError("reason is empty; say why the pair is set aside")
        answer = dict.fromkeys(_ANSWER) | {"annotator": annotator, "time": self.now()}
        self._answer(item, answer | {"reason": reason})

    def undo(self, annotator: str) -> Comparison | Item | None:
        """Take back what this annotator said last and give them the pair again.

        Returns the comparison that was, or the item alone when it was set aside; None: there is
        nothing to take back.
        """
        with self._writing() as connection:
            last = connection.execute(
                _judgements.where(judgements.c.annotator == annotator)
                .order_by(judgements.c.number.desc())
                .limit(1)
            ).first()
            if last is None:
                return None
            connection.execute(sa.delete(judgements).where(judgements.c.number == last.number))
            connection.execute(  # what they were given meanwhile is free again
                sa.update(places)
                .where(places.c.holder == annotator, ~places.c.closed)
                .values(holder=None, until=None)
            )
            connection.execute(
                sa.update(places)
                .where(places.c.position == last.position, places.c.holder == annotator)
                .values(closed=False, until=self._clock() + self._lease)
            )
        return Item.from_plain(last.content) if last.choice is None else _comparison(last)

    def export(
        self, batch: int | None = None, guideline: Guideline | None = None
    ) -> Iterator[Comparison]:
        """All comparisons of a batch and guideline (all unless told), by item and annotator."""
        for row in self._rows(judgements.c.choice.is_not(None), guideline, batch):
            yield _comparison(row)

    def export_set_aside(
        self, batch: int | None = None, guideline: Guideline | None = None
    ) -> Iterator[SetAside]:
        """All pairs set aside, in the same order."""
        for row in self._rows(judgements.c.choice.is_(None), guideline, batch):
            yield SetAside(Item.from_plain(row.content), row.annotator, row.reason)

    def counts(self, batch: int | None = None, guideline: Guideline | None = None) -> Counts:
        """How far it has come."""
        held = sa.and_(places.c.holder.is_not(None), places.c.until >= self._clock())
        of_places = sa.select(
            sa.func.count(), _number_of(~places.c.closed & held), _number_of(~places.c.closed)
        ).select_from(places.join(items))
        said = judgements.c.choice.is_not(None)
        answers = sa.select(_number_of(said), _number_of(~said)).select_from(judgements.join(items))
        with self._reading() as connection:
            wanted, waiting, left = connection.execute(_narrowed(of_places, guideline, batch)).one()
            done, aside = connection.execute(_narrowed(answers, guideline, batch)).one()
        return Counts(wanted, done, aside, waiting, left)

    def answers_of(
        self, annotator: str, guideline: Guideline | None = None, batch: int | None = None
    ) -> int:
        """How many pairs this annotator has judged or set aside."""
        own = sa.select(sa.func.count()).select_from(judgements.join(items))
        own = _narrowed(own.where(judgements.c.annotator == annotator), guideline, batch)
        with self._reading() as connection:
            return connection.scalar(own) or 0

    def now(self) -> str:
        """The time, as comparisons hold it."""
        moment = datetime.fromtimestamp(self._clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # --- inside ----------------------------------------------------------------------------------

    def _answer(self, item: Item, answer: dict[str, Any]) -> None:
        """Insert a judgement and close the place it fills."""
        annotator = answer["annotator"]
        try:
            with self._writing() as connection:
                there = connection.execute(sa.select(items).where(items.c.id == item.id)).first()
                if there is None or Item.from_plain(there.content) != item:
                    known = "no" if there is None else "another"
                    raise ValueError(f"the store has {known} item {item.id!r}; judge one it gave")
                row = {"position": there.position, **answer}
                connection.execute(sa.insert(judgements).values(**row))
                # their own place; else one that is free, when their time ran out or they never
                # asked; else none: the judgement is one more than was wanted
                free = sa.or_(places.c.holder.is_(None), places.c.until < self._clock())
                place = connection.execute(
                    sa.select(places)
                    .where(places.c.position == there.position, ~places.c.closed)
                    .where(sa.or_(places.c.holder == annotator, free))
                    .order_by(sa.case((places.c.holder == annotator, 0), else_=1))
                    .limit(1)
                    .with_for_update()
                ).first()
                if place is not None:
                    closed = {"holder": annotator, "closed": True}
                    connection.execute(sa.update(places).where(*_at(place)).values(**closed))
        except IntegrityError:
            self._refuse_other(item, answer)

    def _refuse_other(self, item: Item, answer: dict[str, Any]) -> None:
        """Pass over a judgement that is there already; ValueError for a different one."""
        annotator = answer["annotator"]
        own = _judgements.where(items.c.id == item.id, judgements.c.annotator == annotator)
        with self._reading() as connection:
            there = connection.execute(own).one()
        same = ("choice", "rating", "safety_bin", "reason")
        if any(getattr(there, name) != answer[name] for name in same):
            raise ValueError(
                f"{annotator!r} has judged item {item.id!r} otherwise; take that back first (undo)"
            )

    def _rows(
        self, condition: Any, guideline: Guideline | None, batch: int | None
    ) -> Iterator[Any]:
        """Judgements with their items, a part at a time, so that no reader is long in the way."""
        chosen = _narrowed(_judgements.where(condition), guideline, batch)
        order = items.c.position, judgements.c.annotator
        chosen = chosen.order_by(*order).limit(_AT_ONCE)
        last: tuple[Any, Any] = (0, "")
        while True:
            with self._reading() as connection:
                rows = connection.execute(chosen.where(sa.tuple_(*order) > last)).all()
            yield from rows
            if len(rows) < _AT_ONCE:
                return
            last = (rows[-1].position, rows[-1].annotator)

    def _writing(self) -> Any:
        return self._engine.begin()

    def _reading(self) -> Any:
        return self._engine.connect().execution_options(reading=True)


_ANSWER = ("choice", "rating", "safety_bin", "annotator", "time", "left")
_judgements = sa.select(judgements, items.c.content).join(items)


def _places(guideline: str | None, batch: int | None) -> Any:
    """The first of the places that a condition still to come narrows down to, with its item."""
    chosen = sa.select(places, items.c.content).join(items)
    return _narrowed(chosen, guideline, batch).order_by(*_place).limit(1)


_place = (places.c.position, places.c.number)


def _at(place: Any) -> tuple[Any, Any]:
    return places.c.position == place.position, places.c.number == place.number


def _seen_by(annotator: str) -> Any:
    """Whether a place's item is one this annotator has judged, perhaps after their time ran out."""
    return sa.exists().where(
        judgements.c.position == places.c.position, judgements.c.annotator == annotator
    )


def _narrowed(chosen: Any, guideline: str | None, batch: int | None) -> Any:
    if batch is not None:
        chosen = chosen.where(items.c.batch == batch)
    return chosen if guideline is None else chosen.where(items.c.guideline == guideline)


def _number_of(condition: Any) -> Any:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def _comparison(row: Any) -> Comparison:
    return judged(Item.from_plain(row.content), **{name: getattr(row, name) for name in _ANSWER})
