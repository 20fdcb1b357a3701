"""Eight writers at once lose nothing, nor does one that is killed."""

import time
from collections import Counter

import pytest
import writers
from databases import KINDS, fresh
from deadly import PATIENCE
from makers import make_item

from llamalite.preferences.store import PreferenceStore

PEOPLE = [f"person-{i}" for i in range(8)]


@pytest.fixture(params=KINDS)
def where(request, tmp_path):
    yield from fresh(request.param, tmp_path)


def fill(where, count, each=1):
    items = [make_item(f"i{i}") for i in range(count)]
    with PreferenceStore(where) as store:
        store.add_items(items, each)
    return [item.id for item in items]


def found_in(where):
    with PreferenceStore(where) as store:
        return list(store.export()), store.counts()


@pytest.mark.parametrize("each", [1, 3])
def test_eight_processes_share_the_work_and_lose_none_of_it(where, each, tmp_path):
    ids = fill(where, 240 // each, each)
    at_work = [writers.start(where, name, tmp_path) for name in PEOPLE]
    for process in at_work:
        process.join(PATIENCE)
    assert [process.exitcode for process in at_work] == [0] * 8
    comparisons, counts = found_in(where)
    assert Counter(c.id for c in comparisons) == dict.fromkeys(ids, each)
    for name in PEOPLE:
        theirs = [c.id for c in comparisons if c.annotator == name]
        assert sorted(theirs) == sorted(writers.noted(tmp_path, name))
        assert len(set(theirs)) == len(theirs)
    assert counts == (240, 240, 0, 0, 0)
    assert sum(bool(writers.noted(tmp_path, name)) for name in PEOPLE) >= 4  # they did share


def test_who_is_killed_loses_no_finished_judgement_and_the_others_take_over(where, tmp_path):
    ids = fill(where, 400)
    victim, *others = PEOPLE[:4]  # who leave enough that nobody is kept from their share
    at_work = [writers.start(where, victim, tmp_path, lease=10.0, most=40, dies=True)]
    at_work += [writers.start(where, name, tmp_path, lease=10.0, most=100) for name in others]
    for process in at_work:
        process.join(PATIENCE)
    assert [process.exitcode for process in at_work] == [-9, 0, 0, 0]
    time.sleep(10.1)  # what they still held is free again
    writers.work(str(where), "late", tmp_path)
    comparisons, counts = found_in(where)
    assert sorted(c.id for c in comparisons) == sorted(ids)  # each once, none twice
    by_victim = [c.id for c in comparisons if c.annotator == victim]
    assert sorted(by_victim) == sorted(writers.noted(tmp_path, victim))
    assert len(by_victim) == 40
    assert counts.open == 0
