"""The micro-world's classes have what the protocols promise; so does anything that passes here."""

import inspect
from collections.abc import Callable
from random import Random
from typing import Any, get_type_hints

import pytest
from beartype import BeartypeConf, BeartypeStrategy
from beartype.door import is_bearable
from jaxtyping import TypeCheckError

from llamalite import protocols, world
from llamalite.protocols import ADVERSARIAL, BORDERLINE
from llamalite.world.annotators import RATINGS, SAFETY_BINS

EVERY_ITEM = BeartypeConf(strategy=BeartypeStrategy.On)
WORLD = world.World(world.WorldConfig(people=30, attributes=5, towns=6))
GRADER, ANNOTATOR = world.Grader(WORLD), world.Annotator(WORLD, 3)
ASKED = [
    WORLD.prompt(kind, i, split)
    for kind in (*WORLD.kinds, ADVERSARIAL, BORDERLINE)
    for split in ("train", "test")
    for i in range(3)
]
[DEMONSTRATION] = world.demonstrations(WORLD, "mixed", 1, seed=0)
GUIDELINES: tuple[protocols.Guideline, ...] = ("helpfulness", "safety")
EXAMPLES = [
    (protocols.Corpus, WORLD),
    (protocols.PromptSet, WORLD),
    (protocols.ExamSet, WORLD),
    (protocols.Truth, WORLD),
    (protocols.Grader, GRADER),
    (protocols.Annotator, ANNOTATOR),
    *((protocols.Document, WORLD.document(source, 5)) for source in WORLD.sources),
    *((protocols.Question, WORLD.exam(name)[0]) for name in WORLD.exams),
    (protocols.Demonstration, DEMONSTRATION),
    *((protocols.Prompt, prompt) for prompt in ASKED),
    *((protocols.Grade, GRADER.grade(prompt, "I cannot help.")) for prompt in ASKED),
    *((protocols.Judgement, ANNOTATOR.compare(ASKED[-1], "No.", "Yes!", g)) for g in GUIDELINES),
]


def members(protocol: type) -> dict[str, Any]:
    return {
        name: member
        for base in protocol.__mro__
        for name, member in vars(base).items()
        if not name.startswith("_") and getattr(base, "_is_protocol", False)
    }


@pytest.mark.parametrize(
    ("protocol", "thing"), EXAMPLES, ids=lambda x: getattr(x, "__name__", getattr(x, "id", ""))
)
def test_values_have_the_promised_types_and_methods_the_promised_parameters(protocol, thing):
    assert isinstance(thing, protocol)
    for name, member in members(protocol).items():
        found = getattr(thing, name)
        if isinstance(member, property):
            hint = get_type_hints(member.fget)["return"]
            assert is_bearable(found, hint, conf=EVERY_ITEM), (name, found)
        else:
            assert_callable_as(member, found)


def assert_callable_as(promised: Callable, found: Callable) -> None:
    """Whoever calls it as the protocol says, by place and where allowed by name, is understood."""
    wanted = list(inspect.signature(promised).parameters.values())[1:]  # less self
    given = inspect.signature(found)
    by_place = [p for p in wanted if p.kind is p.POSITIONAL_ONLY]
    by_name = {p.name: None for p in wanted if p.kind is not p.POSITIONAL_ONLY}
    given.bind(*(None for _ in wanted))
    given.bind(*(None for _ in by_place), **by_name)
    optional = {p.name for p in wanted if p.default is not p.empty}
    given.bind(*(None for _ in by_place), **{n: None for n in by_name if n not in optional})


def test_what_methods_return_fits_too():
    assert isinstance(WORLD.prompt("facts", 0, "test"), protocols.Prompt)
    assert isinstance(WORLD.document(WORLD.sources[0], 0), protocols.Document)
    assert {WORLD.prompt(kind, 0).kind for kind in (ADVERSARIAL, BORDERLINE)} == {
        ADVERSARIAL,
        BORDERLINE,
    }
    assert WORLD.prompt("facts", 7, "train") == WORLD.prompt("facts", 7, "train")
    assert {prompt.is_safety for prompt in ASKED if prompt.kind == ADVERSARIAL} == {True}
    assert {prompt.is_safety for prompt in ASKED if prompt.kind != ADVERSARIAL} == {False}
    assert {prompt.messages[-1]["role"] for prompt in ASKED} == {"user"}
    assert len({prompt.id for prompt in ASKED}) == len(ASKED)


@pytest.mark.parametrize("guideline", GUIDELINES)
def test_judgements_keep_to_the_words_of_the_protocol(guideline):
    replies = ["Sure.", "I cannot help you with that.", "", "7", "\ud800 \x00"]
    about = inspect.getdoc(protocols.Judgement.rating) + inspect.getdoc(
        protocols.Judgement.safety_bin
    )
    assert all(f'"{word}"' in about for word in (*RATINGS, *SAFETY_BINS))
    for prompt in ASKED:
        for first in replies:
            for second in replies:
                said = ANNOTATOR.compare(prompt, first, second, guideline)
                assert said.choice in ("a", "b")
                assert said.rating in RATINGS
                assert said.safety_bin in (
                    (None,) if guideline == "helpfulness" else (None, *SAFETY_BINS)
                )


def test_what_lacks_a_member_does_not_pass():
    class Mute:
        kinds = ()

    assert not isinstance(Mute(), protocols.PromptSet)
    assert not is_bearable(["text"], get_type_hints(protocols.Prompt.messages.fget)["return"])
    with pytest.raises(TypeError):
        assert_callable_as(protocols.Grader.grade, lambda text: None)
    with pytest.raises(TypeError):
        assert_callable_as(protocols.Grader.grade, lambda question, reply: None)


def test_a_grader_that_keeps_its_prompts_is_a_reward():
    """How the next stages put gold scores in a reward model's place."""
    import torch

    kept = {repr([dict(m) for m in prompt.messages]): prompt for prompt in ASKED}

    def gold(dialogues, replies):
        found = [
            GRADER.grade(kept[repr([dict(m) for m in dialogue])], reply).helpfulness
            for dialogue, reply in zip(dialogues, replies, strict=True)
        ]
        return torch.tensor(found)

    reward: protocols.Reward = gold
    asked = [prompt for prompt in ASKED if not prompt.is_safety]
    careful = [world.demonstrate(WORLD, prompt, Random(0)) for prompt in asked]
    dialogues = [prompt.messages for prompt in asked]
    assert reward(dialogues, careful).shape == (len(asked),)
    assert float(reward(dialogues, careful).min()) >= 0.9  # as `demonstrate` promises
    assert float(reward(dialogues, [""] * len(asked)).max()) == 0


def test_what_does_not_fit_is_refused_where_tests_run():
    """The hook of tests/conftest.py looks at stages too, and at what they are given."""
    from llamalite.evaluation.replies import grade_replies

    with pytest.raises(TypeCheckError, match="grader"):
        grade_replies(WORLD, [], [])
