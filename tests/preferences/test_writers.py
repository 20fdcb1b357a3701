"""Eight writers at once lose nothing, nor does one that is killed."""

import time
from collections import Counter

import pytest
import writers
from databases import KINDS, fresh
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
        process.join(240)
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
    names = PEOPLE[:4]
    at_work = [writers.start(where, name, tmp_path, lease=10.0) for name in names]
    victim, path = at_work[0], tmp_path / names[0]
    deadline = time.monotonic() + 60
    while not path.exists() or len(writers.noted(tmp_path, names[0])) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    victim.kill()
    for process in at_work:
        process.join(240)
    assert victim.exitcode == -9
    assert [process.exitcode for process in at_work[1:]] == [0] * 3
    time.sleep(10.1)  # what the dead held is free again
    writers.work(str(where), "late", tmp_path, 60.0)
    comparisons, counts = found_in(where)
    assert sorted(c.id for c in comparisons) == sorted(ids)  # each once, none twice
    theirs = {c.id for c in comparisons if c.annotator == names[0]}
    assert set(writers.noted(tmp_path, names[0])) <= theirs
    assert len(theirs) < 400  # it was killed before the end
    assert counts.open == 0
