"""The store of attempts: what is kept, what can be taken back, and many writers at once."""

from collections import Counter

import attacks
import pytest
from attacks import made
from databases import KINDS, fresh
from deadly import PATIENCE

from llamalite.red_teaming.store import AttackStore, Kept

PEOPLE = [f"person-{i}" for i in range(8)]


@pytest.fixture(params=KINDS)
def where(request, tmp_path):
    yield from fresh(request.param, tmp_path)


def test_eight_people_at_once_lose_nothing_nor_does_one_who_is_killed(where, tmp_path):
    AttackStore(where).close()
    at_work = [attacks.start(where, name, tmp_path, 25) for name in PEOPLE[:-1]]
    at_work.append(attacks.start(where, PEOPLE[-1], tmp_path, 10, dies=True))
    for process in at_work:
        process.join(PATIENCE)
    assert [process.exitcode for process in at_work] == [0] * 7 + [-9]
    with AttackStore(where) as store:
        found = [attempt.prompt.id for attempt in store.attempts()]
        assert set(Counter(found).values()) == {1}
        assert len(found) == 7 * 25 + 10
        for name in PEOPLE:
            theirs = [each for each in found if each.startswith(f"{name}/")]
            assert theirs == (tmp_path / name).read_text().split()  # in their order
        # of 25 attempts every fifth has risk 1 and every fifth risk 2
        assert store.progress(PEOPLE[0]) == (25, 10)
        assert store.progress(PEOPLE[-1]) == (10, 4)
        assert store.progress("nobody") == (0, 0)


def test_attempts_survive_the_store_being_closed_and_any_text_goes_in_and_out(where):
    strange = 'Ünïcødé "quotes" \'; DROP TABLE attempts; -- <script> 🦙 \u202e \n\t'
    turns = ("user", strange), ("assistant", strange), ("user", "More?")
    messages = tuple({"role": role, "content": text} for role, text in turns)
    given = made("1", "O'Neil", messages=messages, reply=strange, category=None)
    with AttackStore(where) as store:
        store.keep(given, {"model": "abc", "seeds": [1, 2]})
    with AttackStore(where) as again:
        assert list(again.attempts()) == [given]
        assert again.undo("O'Neil", given.candidate) == Kept(
            given, {"model": "abc", "seeds": [1, 2]}
        )


def test_undo_takes_ones_own_last_attempt(where):
    with AttackStore(where) as store:
        for name, who in (("1", "x"), ("2", "y"), ("3", "x")):
            store.keep(made(name, who))
        candidate = made("1", "x").candidate
        assert store.undo("x", "another model") is None  # the last one was not against it
        assert store.undo("x", candidate).attempt.prompt.id == "3"
        assert store.undo("x", candidate).attempt.prompt.id == "1"
        assert store.undo("x", candidate) is None
        assert [attempt.prompt.id for attempt in store.attempts()] == ["2"]


def test_sent_twice_it_counts_once_and_nothing_is_written_over(where):
    with AttackStore(where) as store:
        store.keep(made("1"))
        store.keep(made("1"))
        with pytest.raises(ValueError, match="another attempt '1'"):
            store.keep(made("1", risk=1))
        assert list(store.attempts()) == [made("1")]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"risk": 6}, "from 1 to 5"),
        ({"seconds": 0.0}, "above 0"),
        ({"category": "privacy"}, "privacy"),
        ({"asked": "[INST] hello"}, "a tag of the chat format"),
    ],
)
def test_what_the_stage_could_not_read_is_not_kept(tmp_path, wrong, named):
    with AttackStore(tmp_path / "store.db") as store:
        with pytest.raises(ValueError, match=named):
            store.keep(made("1", **wrong))
        assert list(store.attempts()) == []


def test_more_than_one_page_is_read_whole_and_in_order(tmp_path):
    with AttackStore(tmp_path / "store.db") as store, store._engine.begin() as connection:
        from llamalite.red_teaming.store import attempts
        from llamalite.red_teaming.transcripts import to_row

        rows = [
            {
                **{"id": f"{i}", "attacker": "ann", "risk": 4, "time": "", "drawn": {}},
                "content": to_row(made(f"{i}")),
            }
            for i in range(1003)
        ]
        connection.execute(attempts.insert(), rows)
    with AttackStore(tmp_path / "store.db") as store:
        assert [a.prompt.id for a in store.attempts()] == [f"{i}" for i in range(1003)]
