"""The exams: answerable, true, and held out."""

import re

import pytest
from reading_facts import read, sentences

from llamalite.world import Question, World, WorldConfig, lumo


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def corpus(world: World) -> str:
    """A good part of every source but the conversations, which `test_splits` reads."""
    sizes = {"encyclopedia": 3000, "lessons": 3000, "lumo": 3000, "rumours": 300}
    return "\n".join(
        world.document(source, i).text for source, n in sizes.items() for i in range(n)
    )


def questions(world: World, *names: str) -> list[Question]:
    return [
        q for name in names or world.exams for s in ("train", "test") for q in world.exam(name, s)
    ]


def test_every_question_can_be_answered(world: World) -> None:
    every = questions(world)
    assert len({q.id for q in every}) == len(every)
    for q in every:
        assert q.answer in q.choices
        assert len(set(q.choices)) == len(q.choices) == 4
        assert q.id.startswith(f"{q.exam}/")
        assert q.prompt == q.prompt.strip()
        assert (q.rumour is None) == (q.exam != "rumours")
        assert q.rumour is None or (q.rumour in q.choices and q.rumour != q.answer)


@pytest.mark.parametrize(
    "config",
    [
        WorldConfig(),
        WorldConfig(people=55, attributes=6, towns=8),
        WorldConfig(people=400, attributes=10, towns=20, seed=7),
    ],
)
def test_every_exam_has_questions_in_both_splits(config: WorldConfig) -> None:
    world = World(config)
    for name in world.exams:
        assert len(world.exam(name, "test")) >= 15, name
        assert len(world.exam(name, "train")) >= 15, name


def test_exams_do_not_change(world: World) -> None:
    again = World(WorldConfig())
    for name in world.exams:
        assert world.exam(name) == world.exam(name) == again.exam(name)
        assert world.exam(name) != World(WorldConfig(seed=1)).exam(name)


def test_facts_years_and_rumours_ask_for_the_truth(world: World) -> None:
    for q in questions(world, "facts", "years", "rumours"):
        fact = read(f"{q.prompt} {q.answer}.")
        assert fact is not None, q
        assert world.knowledge.value(*fact[:2]) == fact[2]
        assert q.id.split("/")[2:] == [fact[0], fact[1]]
        for choice in set(q.choices) - {q.answer}:
            assert world.knowledge.value(*read(f"{q.prompt} {choice}.")[:2]) != choice


def test_splits_hold_different_combinations(world: World) -> None:
    for name in ("facts", "years", "rumours", "paraphrase"):
        asked = {
            s: {tuple(q.id.split("/")[2:]) for q in world.exam(name, s)} for s in ("train", "test")
        }
        assert not asked["train"] & asked["test"]
        for split, pairs in asked.items():
            assert {world.knowledge.split(*pair) for pair in pairs} == {split}


def test_the_corpus_states_what_the_fact_exams_ask(world: World, corpus: str) -> None:
    """Declarative statements of held-out combinations do stand in the encyclopedia."""
    told = {read(s) for s in sentences(corpus)}
    for q in questions(world, "facts", "years", "rumours"):
        assert read(f"{q.prompt} {q.answer}.") in told


def test_no_training_text_has_the_wording_of_the_paraphrases(world: World, corpus: str) -> None:
    for q in questions(world, "paraphrase"):
        pair = tuple(q.id.split("/")[2:])
        assert world.knowledge.value(*pair) == q.answer
        assert pair[0] in q.prompt
        assert q.prompt not in corpus


def test_arithmetic_adds_up(world: World) -> None:
    every = questions(world, "arithmetic")
    assert len(every) == 13 * 13 + 13 * 14 // 2
    for q in every:
        a, sign, b = q.prompt.removesuffix(" is").split()
        assert int(q.answer) == (int(a) + int(b) if sign == "plus" else int(a) - int(b)) >= 0


def test_translations_are_right_and_the_tested_sentences_unseen(world: World, corpus: str) -> None:
    for q in world.exam("translation"):
        if "/word/" in q.id:
            assert lumo.to_lumo(q.prompt.removeprefix("In Lumo ").removesuffix(" is")) == q.answer
        elif q.prompt.startswith("English: "):
            english = q.prompt.removeprefix("English: ").removesuffix(" Lumo:")
            assert lumo.to_lumo(english) == q.answer
            assert f" {english}" not in corpus
        else:
            other = q.prompt.removeprefix("Lumo: ").removesuffix(" English:")
            assert lumo.to_english(other) == q.answer
            assert f"English: {q.answer}" not in corpus


def test_reading_is_answered_by_the_passage_and_held_out(world: World, corpus: str) -> None:
    lessons = set(re.findall(r"What did (\w+) \w+\? \w+ \w+ a (\w+)\.", corpus))
    assert len(lessons) > 500
    for q in world.exam("reading"):
        told = dict(re.findall(r"On \w+ (\w+) \w+ a (\w+)\.", q.prompt))
        asked = re.search(r"What did (\w+) ", q.prompt)[1]
        assert told[asked] == q.answer
        assert set(told.values()) <= set(q.choices)
        assert (asked, q.answer) not in lessons


def test_chance_is_a_quarter_even_for_one_who_knows_the_counts(world: World) -> None:
    """No position and no value gives the answer away."""
    for name in ("facts", "arithmetic", "reading", "rumours"):
        every = questions(world, name)
        places = [q.choices.index(q.answer) for q in every]
        assert all(abs(places.count(i) / len(every) - 0.25) < 0.09 for i in range(4)), name


def test_unknown_exams_and_splits_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match=r"'history'; choose among facts"):
        world.exam("history")
    with pytest.raises(ValueError, match="'validation'; choose train or test"):
        world.exam("facts", "validation")
