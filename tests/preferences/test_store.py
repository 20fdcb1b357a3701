"""The store by itself: who gets what, what is kept, what can be taken back."""

import sqlite3
from dataclasses import replace

import pytest
from databases import KINDS, fresh
from makers import answer, make_item

from llamalite.preferences.protocol import Response
from llamalite.preferences.store import PreferenceStore


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture(params=KINDS)
def where(request, tmp_path):
    yield from fresh(request.param, tmp_path)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(where, clock):
    with PreferenceStore(where, lease_seconds=60, clock=clock) as opened:
        yield opened


def test_judgements_survive_the_store_being_closed(where, store):
    items = [make_item(f"i{i}") for i in range(3)]
    assert store.add_items(items) == 3
    said = [answer(items[1], "b", "slightly"), answer(items[0])]
    for each in said:
        store.submit(each)
    store.close()
    with PreferenceStore(where) as again:
        assert list(again.export()) == [said[1], said[0]]  # by item
        assert again.items() == items
        assert again.next_item("ann") == items[2]


def test_two_people_never_get_the_same_item(store):
    store.add_items(make_item(f"i{i}") for i in range(3))
    got = [store.next_item(name).id for name in ("x", "y", "z")]
    assert got == ["i0", "i1", "i2"]
    assert store.next_item("w") is None
    assert store.next_item("y").id == "i1"  # asked again, before it is answered
    assert store.counts() == (3, 0, 0, 3, 3)


def test_unless_several_are_wanted_and_then_each_once(store):
    store.add_items([make_item("i0"), make_item("i1")], judgements_each=2)
    assert [store.next_item(name).id for name in ("x", "y", "z")] == ["i0", "i0", "i1"]
    store.submit(answer(make_item("i0"), annotator="x"))
    assert store.next_item("x").id == "i1"
    store.submit(answer(make_item("i1"), annotator="x"))
    assert store.next_item("x") is None
    assert store.counts() == (4, 2, 0, 2, 2)


def test_an_item_not_answered_in_time_is_given_to_somebody_else(store, clock):
    store.add_items([make_item()])
    store.next_item("x")
    clock.now += 59
    assert store.next_item("y") is None
    clock.now += 2
    assert store.next_item("y").id == "i0"
    assert store.next_item("x") is None


def test_a_judgement_that_comes_late_is_kept_all_the_same(store, clock):
    store.add_items([make_item()])
    store.next_item("x")
    clock.now += 61
    store.next_item("y")
    store.submit(answer(make_item(), annotator="x"))
    store.submit(answer(make_item(), "b", annotator="y"))
    assert [(c.annotator, c.choice) for c in store.export()] == [("x", "a"), ("y", "b")]
    assert store.counts().open == 0
    assert store.next_item("z") is None


def test_late_but_nobody_has_it_meanwhile_fills_the_place(store, clock):
    store.add_items([make_item()])
    store.next_item("x")
    clock.now += 61
    store.submit(answer(make_item(), annotator="x"))
    assert store.next_item("y") is None


def test_sent_twice_it_counts_once_and_a_change_of_mind_needs_undo(store):
    store.add_items([make_item()])
    given = answer(make_item())
    store.submit(given)
    store.submit(replace(given, time="2023-01-02T09:00:05Z"))
    with pytest.raises(ValueError, match="undo"):
        store.submit(answer(make_item(), "b"))
    assert list(store.export()) == [given]
    assert store.undo("ann") == given
    store.submit(answer(make_item(), "b"))
    assert [c.choice for c in store.export()] == ["b"]


def test_undo_takes_back_ones_own_last_answer_and_gives_the_item_again(store):
    store.add_items(make_item(f"i{i}") for i in range(4))
    for name in ("x", "y", "x"):
        store.submit(answer(store.next_item(name), annotator=name))
    assert store.next_item("x").id == "i3"
    assert store.undo("x").id == "i2"
    assert store.next_item("x").id == "i2"
    assert store.next_item("z").id == "i3"  # x let go of it
    assert store.undo("x").id == "i0"
    assert store.undo("x") is None
    assert [c.id for c in store.export()] == ["i1"]


def test_a_pair_set_aside_is_out_and_counted(store):
    item = make_item(guideline="safety")
    store.add_items([item])
    store.set_aside(store.next_item("x"), "x", "both are in Lumo")
    assert store.counts() == (1, 0, 1, 0, 0)
    assert list(store.export()) == []
    assert list(store.export_set_aside()) == [(item, "x", "both are in Lumo")]
    assert store.next_item("y") is None
    assert store.undo("x") == item
    assert store.next_item("x") == item
    with pytest.raises(ValueError, match="reason"):
        store.set_aside(item, "x", " ")


def test_batches_and_guidelines_are_apart(store):
    items = [
        make_item(f"{guideline}{batch}", guideline, batch=batch)
        for batch in (1, 2)
        for guideline in ("helpfulness", "safety")
    ]
    store.add_items(items)
    assert store.next_item("x", "safety", 2).id == "safety2"
    assert store.next_item("y", batch=2).id == "helpfulness2"
    for item in items:
        store.submit(answer(item))
    assert [c.id for c in store.export(2)] == ["helpfulness2", "safety2"]
    assert [c.id for c in store.export(guideline="safety")] == ["safety1", "safety2"]
    assert store.counts(1, "safety").judged == 1
    assert store.answers_of("ann", "safety") == 2


def test_items_added_again_stay_and_another_of_the_same_name_is_refused(store):
    assert store.add_items([make_item("i0"), make_item("i1")]) == 2
    assert store.add_items([make_item("i1"), make_item("i2")]) == 1
    with pytest.raises(ValueError, match="'i1'"):
        store.add_items([make_item("i1", b=Response("Other."))])
    assert [item.id for item in store.items()] == ["i0", "i1", "i2"]


def test_only_what_the_store_gave_can_be_judged(store):
    store.add_items([make_item()])
    with pytest.raises(ValueError, match="no item 'i9'"):
        store.submit(answer(make_item("i9")))
    with pytest.raises(ValueError, match="another item 'i0'"):
        store.submit(answer(make_item(a=Response("Something else."))))
    assert store.counts().judged == 0


def test_any_text_goes_in_and_out(store):
    strange = 'Ünïcødé \0 "quotes" \'; DROP TABLE items; -- <script> 🦙 \u202e \r\n\t'
    item = make_item(a=Response(strange), messages=[{"role": "user", "content": strange}])
    store.add_items([item])
    store.submit(answer(store.next_item("O'Neil"), annotator="O'Neil"))
    [kept] = store.export()
    assert (kept.a.text, kept.messages[0]["content"], kept.annotator) == (
        strange,
        strange,
        "O'Neil",
    )


def test_more_than_one_page_is_exported_whole_and_in_order(store):
    items = [make_item(f"i{i}") for i in range(1203)]
    store.add_items(items, judgements_each=2)
    for item in items[::-1]:
        for name in "yx":
            store.submit(answer(item, annotator=name))
    assert [(c.id, c.annotator) for c in store.export()] == [
        (item.id, name) for item in items for name in "xy"
    ]


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("sqlite:///:memory:", "memory"),
        ("mongodb://host/x", "mongodb"),
        ("nonsense://", "nonsense"),
        ("/nowhere/at/all.sqlite", "/nowhere/at/all.sqlite"),
        ("postgresql://nobody:secret@127.0.0.1:1/x", "127.0.0.1:1"),
    ],
)
def test_what_is_no_database_is_refused_in_one_line(where, named):
    with pytest.raises(ValueError, match=named) as caught:
        PreferenceStore(where)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE items (name TEXT)")
    with pytest.raises(ValueError, match="cannot open"):
        PreferenceStore(path)
    path.write_text("this is no database, " * 100)
    with pytest.raises(ValueError, match="cannot open"):
        PreferenceStore(path)
