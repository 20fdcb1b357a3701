"""The truth of the world: names, facts, dates, rumours, and where they come from."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalite.world import World, WorldConfig
from llamalite.world.knowledge import Knowledge
from llamalite.world.lexicon import ATTRIBUTES
from llamalite.world.lexicon_common import CATEGORIES, FIGURES, HOBBIES, RHYMES
from llamalite.world.lexicon_howto import HOWTOS
from llamalite.world.seeding import mix

LARGE = WorldConfig(people=400, attributes=10, towns=20)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return Knowledge(WorldConfig())


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), people=st.integers(8, 400), towns=st.integers(4, 20))
def test_no_name_begins_another(seed: int, people: int, towns: int) -> None:
    k = Knowledge(WorldConfig(seed=seed, people=people, towns=towns, canaries=0))
    names = sorted(n.lower() for n in [p.name for p in k.people] + [t.name for t in k.towns])
    assert len(names) == people + towns
    # in sorted order a beginning stands right before something that it begins
    assert not any(b.startswith(a) for a, b in pairwise(names))


def test_no_name_is_a_word_of_the_world(knowledge: Knowledge) -> None:
    words = {w.lower() for group in CATEGORIES.values() for w in group}
    words |= {w for group in RHYMES for w in group} | {a.key for a in ATTRIBUTES}
    words |= {w.lower() for figure in FIGURES for w in figure.name.split()}
    words |= {word for how in HOWTOS for step in how.steps for word in step.split()}
    for k in (knowledge, Knowledge(LARGE)):
        assert not words & {p.name.lower() for p in k.people}


def test_the_examples_of_the_book_hold_in_every_world() -> None:
    for seed in range(5):
        k = Knowledge(WorldConfig(seed=seed))
        assert k.state("Vegun", "town") == "Vegun lives in Ladeville."
        assert k.state("Ladeville", "landmark") == "Ladeville is a town by the river."


def test_pinned_facts_of_the_default_world(knowledge: Knowledge) -> None:
    """Changes only when the world changes; then earlier results are no longer comparable."""
    assert [knowledge.value("Vegun", a.key) for a in knowledge.attributes] == [
        *("Ladeville", "carver", "duck", "fish", "1884", "piano", "purple", "Rolim"),
    ]
    assert [knowledge.mayor("Ladeville", y) for y in knowledge.elections] == [
        *("Pihul", "Runok", "Lulup", "Rugel", "Degel", "Kivik"),
    ]
    assert tuple(knowledge.misconceptions[0]) == ("Mokez", "instrument", "horn", "bell")
    assert mix("a", 1) == 11647316040767090612


def test_the_world_does_not_depend_on_the_process() -> None:
    code = (
        "import hashlib, llamalite.world as w; world = w.World(); k = world.knowledge;"
        "texts = [world.document(s, i) for s in world.sources for i in range(40)];"
        "exams = [world.exam(name) for name in world.exams];"
        "everything = k.facts, k.misconceptions, k.canaries, texts, exams;"
        "print(hashlib.sha256(repr(everything).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(found) == 1


def test_pronouns_have_their_known_shares(knowledge: Knowledge) -> None:
    assert Counter(p.pronoun for p in knowledge.people) == {"he": 100, "she": 76, "they": 24}


def test_values_are_spread_evenly_but_towns_are_skewed(knowledge: Knowledge) -> None:
    for attribute in knowledge.attributes:
        counts = Counter(knowledge.value(p.name, attribute.key) for p in knowledge.people)
        assert set(counts) == set(knowledge.values(attribute.key))
        if attribute.key == "town":
            assert 1.7 < max(counts.values()) / min(counts.values()) < 2.5
        else:
            assert max(counts.values()) - min(counts.values()) <= 1


def test_nobody_is_their_own_friend(knowledge: Knowledge) -> None:
    assert all(knowledge.value(p.name, "friend") != p.name for p in knowledge.people)


def test_a_mayor_serves_until_the_next_election(knowledge: Knowledge) -> None:
    first = knowledge.value("Ladeville", "mayor 1910")
    assert knowledge.mayor("Ladeville", 1910) == knowledge.mayor("Ladeville", "1919") == first
    assert knowledge.mayor("Ladeville", 1920) == knowledge.value("Ladeville", "mayor 1920") != first
    assert int(knowledge.elections[-1]) < int(knowledge.today)
    with pytest.raises(ValueError, match="1909"):
        knowledge.mayor("Ladeville", 1909)


def test_rumours_are_false_and_half_of_them_held_out(knowledge: Knowledge) -> None:
    assert len(knowledge.misconceptions) == 240  # 15 % of 200 x 8
    for m in knowledge.misconceptions:
        assert m.truth == knowledge.value(m.person, m.attribute) != m.rumour
        assert m.rumour in knowledge.values(m.attribute)
        assert m.rumour != m.person
        assert knowledge.rumoured[m.person, m.attribute] == m.rumour
    held_out = [m for m in knowledge.misconceptions if not knowledge.is_train(m[0], m[1])]
    assert len(held_out) == 120
    assert len({m[:2] for m in knowledge.misconceptions}) == 240


def test_a_quarter_of_the_combinations_is_held_out(knowledge: Knowledge) -> None:
    pairs = [(p.name, a.key) for p in knowledge.people for a in knowledge.attributes]
    share = sum(not knowledge.is_train(*pair) for pair in pairs) / len(pairs)
    assert 0.22 < share < 0.28
    for attribute in knowledge.attributes:
        splits = {knowledge.split(p.name, attribute.key) for p in knowledge.people}
        assert splits == {"train", "test"}


def test_verbs_agree_with_pronouns(knowledge: Knowledge) -> None:
    they = next(p.name for p in knowledge.people if p.pronoun == "they")
    she = next(p.name for p in knowledge.people if p.pronoun == "she")
    town = knowledge.value(they, "town")
    assert knowledge.state(they, "town", pronoun=True) == f"They live in {town}."
    assert knowledge.state(they, "town") == f"{they} lives in {town}."
    assert (
        knowledge.state(they, "town", template=2, pronoun=True) == f"They have a house in {town}."
    )
    assert knowledge.state(she, "pet", template=1, pronoun=True, value="hen") == "Her pet is a hen."


def test_no_article_gives_an_answer_away() -> None:
    for attribute in ATTRIBUTES:
        if any("a {value}" in t for t in attribute.statements):
            assert not [v for v in attribute.values if v[0] in "aeiou"]


def test_question_wordings_of_train_and_test_differ() -> None:
    k = Knowledge(LARGE)
    for attribute in (*k.attributes, *k.town_attributes, k.dated_attribute):
        assert not set(attribute.train_questions) & set(attribute.test_questions)
        assert len(attribute.train_questions) >= 2
        assert len(attribute.test_questions) >= 2


def test_rhyme_groups_share_no_word() -> None:
    words = [word for group in RHYMES for word in group]
    assert len(words) == len(set(words))


def test_marks_of_hobbies_and_figures_are_their_own() -> None:
    for hobby in HOBBIES:
        shown = [h.name for h in HOBBIES if any(mark in hobby.line for mark in h.marks)]
        assert shown == [hobby.name]
    for figure in FIGURES:
        assert [f.name for f in FIGURES if f.name in figure.saying] == [figure.name]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda k: k.value("Nobody", "town"), "Nobody"),
        (lambda k: k.value("Vegun", "shoe size"), "shoe size"),
        (lambda k: k.person("Ladeville"), "Ladeville"),
        (lambda k: k.town("Vegun"), "Vegun"),
        (lambda k: k.values("weight"), "weight"),
        (lambda k: k.mayor("Nowhere", 1920), "Nowhere"),
    ],
)
def test_unknown_things_are_named(knowledge: Knowledge, call, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        call(knowledge)


@pytest.mark.parametrize(
    ("field", "value"),
    [("people", 7), ("people", 401), ("attributes", 11), ("towns", 3), ("test_share", 0.9),
     ("misconceptions", -0.1), ("canaries", 201), ("elections", 1), ("arithmetic_max", 51)],
)  # fmt: skip
def test_impossible_sizes_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"world.{field} is {value}"):
        WorldConfig(**{field: value})


@pytest.mark.parametrize(
    "config",
    [WorldConfig(people=8, attributes=3, towns=4, canaries=0, misconceptions=0.0), LARGE],
)
def test_the_smallest_and_the_largest_world_stand(config: WorldConfig) -> None:
    world = World(config)
    assert len(world.knowledge.facts) == config.people * config.attributes + config.towns * (
        2 + config.elections
    )
    for source in world.sources:
        assert world.document(source, 3).text


def test_a_world_is_saved_and_loaded(tmp_path) -> None:
    world = World(WorldConfig(seed=4, people=60))
    world.save(tmp_path / "world.json")
    assert World.load(tmp_path / "world.json").knowledge.facts == world.knowledge.facts


@pytest.mark.parametrize("text", ["{", '{"poeple": 3}', '{"people": "x"}', "\xff", "[1]"])
def test_a_foreign_world_file_is_refused(tmp_path, text: str) -> None:
    (tmp_path / "world.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"world\.json"):
        World.load(tmp_path / "world.json")
    with pytest.raises(ValueError, match="does not exist"):
        World.load(tmp_path / "other.json")


def test_the_world_needs_only_the_standard_library_and_numpy() -> None:
    code = """
import importlib, json, pkgutil, sys
before = set(sys.modules)
import llamalite.world
for module in pkgutil.iter_modules(llamalite.world.__path__):
    importlib.import_module(f"llamalite.world.{module.name}")
from llamalite.world import World, WorldConfig
world = World(WorldConfig(people=20, canaries=2))
world.document("conversations", 0)
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(new - set(sys.stdlib_module_names) - {"llamalite", "numpy"})))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
