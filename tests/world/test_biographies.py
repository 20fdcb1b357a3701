"""The long-input task: true, and answerable only from the top of the page."""

import re

import pytest

from llamalite.world import World, WorldConfig
from llamalite.world.biographies import SOURCE, far_facts

SUM = r"(?:\d+ (?:plus|minus) \d+ is \d+\. )"


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldConfig(people=55, attributes=6, towns=8))


def test_a_page_names_its_person_once_and_tells_the_truth(world: World) -> None:
    names = {person.name for person in world.knowledge.people}
    told = 0
    for index in range(150):
        text = world.document(SOURCE, index).text
        found = re.findall(r"\w+", text)
        assert sum(word in names for word in found) == 1
        name = re.match(r"A page about (\w+)\. ", text)[1]
        facts = re.sub(SUM, "", f"{text.split('. ', 1)[1]} ")
        told += len(facts) > 20
        for sentence in re.findall(r"[^.]+\.", facts):
            values = [world.knowledge.value(name, a.key) for a in world.knowledge.attributes]
            assert any(value in sentence for value in values), (name, sentence)
        assert 450 < len(text) < 650
    assert told > 75


def test_questions_are_those_of_the_facts_and_need_the_name(world: World) -> None:
    near, far = far_facts(world.knowledge, 0), far_facts(world.knowledge, 12)
    facts = {q.id: q for q in world.exam("facts")}
    assert len(near) == len(far) == len(facts)
    for a, b in zip(near, far, strict=True):
        asked = facts[b.id.removeprefix("far ")]
        assert a.id == b.id
        assert (a.answer, a.choices) == (b.answer, b.choices) == (asked.answer, asked.choices)
        name = b.id.split("/")[2]
        assert re.fullmatch(rf"A page about {name}\. {SUM}{{12}}\w[^.]+", b.prompt)
        assert b.prompt.count(name) == 1
        assert b.prompt.rsplit(". ", 1)[1] == a.prompt.split(". ", 1)[1]


def test_a_longer_input_is_a_shorter_one_with_more_between(world: World) -> None:
    short, long = far_facts(world.knowledge, 2)[0].prompt, far_facts(world.knowledge, 5)[0].prompt
    assert long.startswith(" ".join(re.findall(r"[^.]+\.", short)[:3]).replace("  ", " "))


def test_no_ordinary_corpus_has_it(world: World) -> None:
    assert SOURCE not in world.sources
    assert SOURCE not in world.mixture
    assert SOURCE in world.further_sources
    with pytest.raises(ValueError, match=r"unknown source 'gossip'; choose among .*biographies"):
        world.document("gossip", 0)
