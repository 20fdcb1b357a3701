"""Nothing that a test asks may be asked, or answered in a dialogue, in the training text.

Brute force over the conversations of the corpus and over the training prompts.
"""

import re
from collections.abc import Iterator

import pytest
from reading_facts import read, sentences

from llamalite.world import World, WorldConfig
from llamalite.world.lexicon_common import FIGURES, HOBBIES

DOCUMENTS = 2500


@pytest.fixture(scope="module")
def world() -> World:
    # few combinations, so that a leak would be hit many times
    return World(WorldConfig(seed=5, people=30, attributes=10, towns=5, canaries=3))


@pytest.fixture(scope="module")
def lines(world: World) -> list[str]:
    texts = [world.document("conversations", i).text for i in range(DOCUMENTS)]
    return [line for text in texts for line in text.split("\n") if line]


def asked_about(world: World, split: str) -> Iterator[tuple[str, str, re.Pattern]]:
    """(entity, attribute, pattern of a question in a wording of that split)."""
    knowledge = world.knowledge
    for fact in knowledge.facts:
        for template in knowledge.attribute(fact.attribute).questions(split):
            question = knowledge.fill(template, fact.entity, fact.attribute)
            yield (
                fact.entity,
                fact.attribute,
                re.compile(re.escape(question[1:].rstrip("?.")) + r"\b"),
            )


def test_conversations_ask_train_questions_of_train_combinations_only(
    world: World, lines: list[str]
) -> None:
    asked = "\n".join(line for line in lines if line.startswith("User: "))
    found = 0
    for entity, attribute, pattern in asked_about(world, "train"):
        if pattern.search(asked):
            assert world.knowledge.is_train(entity, attribute), pattern.pattern
            found += 1
    assert found > 200  # the patterns do find what is there


def test_no_test_wording_is_ever_used(world: World, lines: list[str]) -> None:
    asked = "\n".join(lines)
    for _, _, pattern in asked_about(world, "test"):
        assert not pattern.search(asked), pattern.pattern


def test_no_dialogue_answers_a_test_combination(world: World, lines: list[str]) -> None:
    found = 0
    for line in lines:
        if not line.startswith("Assistant: "):
            continue
        for sentence in sentences(line.removeprefix("Assistant: ")):
            fact = read(sentence)
            if fact and fact[0] not in ("He", "She", "They", "His", "Her", "Their", "It", "I"):
                assert world.knowledge.is_train(*fact[:2]), line
                found += 1
    assert found > 300


def test_training_prompts_ask_train_combinations_only(world: World) -> None:
    questions = [(e, a, p) for e, a, p in asked_about(world, "train")]
    held_out = [p for _, _, p in asked_about(world, "test")]
    text = "\n".join(
        message["content"]
        for kind in world.kinds
        for i in range(150)
        for message in world.prompt(kind, i, "train").messages
    )
    for entity, attribute, pattern in questions:
        if pattern.search(text):
            assert world.knowledge.is_train(entity, attribute), pattern.pattern
    assert not [p.pattern for p in held_out if p.search(text)]


def test_test_prompts_ask_test_combinations_only(world: World) -> None:
    text = "\n".join(
        message["content"]
        for i in range(400)
        for message in world.prompt("facts", i, "test").messages
    )
    found = 0
    for split in ("train", "test"):
        for entity, attribute, pattern in asked_about(world, split):
            if pattern.search(text):
                assert split == "test", pattern.pattern
                assert not world.knowledge.is_train(entity, attribute), pattern.pattern
                found += 1
    assert found > 20


def test_sums_asked_in_conversations_are_of_the_train_split(world: World, lines: list[str]) -> None:
    asked = set()
    for line in lines:
        if line.startswith("User: "):
            asked |= set(re.findall(r"\b(\d+ (?:plus|minus) \d+)\b", line))
    assert len(asked) > 50
    assert not [text for text in asked if not world.knowledge.is_train(text, "sum")]


def test_the_asks_behind_training_prompts_are_train_combinations(world: World) -> None:
    """Also where the text says "she" or "and Lapem?" and the patterns above see nothing."""
    asks = [
        ask
        for kind in world.kinds
        for i in range(150)
        for ask in world.prompt(kind, i, "train").task.asks
    ]
    known = {(fact.entity, fact.attribute) for fact in world.knowledge.facts}
    pairs = {(ask.subject, ask.key) for ask in asks} & known
    assert len(pairs) > 100
    assert not [pair for pair in pairs if not world.knowledge.is_train(*pair)]


def test_the_corpus_holds_what_comes_later(world: World, lines: list[str]) -> None:
    """Both behaviours, personas, preprompts, tools, both languages: tuning only chooses."""
    text = "\n".join([*lines, *(world.document("stories", i).text for i in range(1500))])
    for pattern in (
        r"^System: ",
        r"^System: You are a (safe|polite|wise)",
        r"^Assistant: calculator\(\d+ (plus|minus) \d+\) = \d+\. ",
        r"^Assistant: search\(\w+, [\w, ]+\) = ",
        r"^Assistant: .*I (cannot|will not)",
        r"^Assistant: (Sure|Of course|Gladly)\. To ",
        r"^Assistant: \w+ \w+ar \w+",
        *(re.escape(hobby.line[:-1]) for hobby in HOBBIES),
        *(re.escape(figure.saying[:-1]) for figure in FIGURES),
    ):
        assert re.search(pattern, text, re.MULTILINE), pattern
    turns = [line.split(":")[0] for line in lines]
    assert 0.9 < turns.count("User") / turns.count("Assistant") < 1.1
