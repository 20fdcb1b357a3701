"""Instructions for a whole dialogue: wordings, names, and what a reply shows."""

import pytest

from llamalite.protocols import Instruction, InstructionSet
from llamalite.world import World, WorldConfig
from llamalite.world.demonstrations import demonstrate
from llamalite.world.instructions import Instructions
from llamalite.world.seeding import rng_for


@pytest.fixture(scope="module")
def world():
    return World(WorldConfig(people=30, attributes=5, towns=6))


@pytest.fixture(scope="module")
def instructions(world):
    return Instructions(world)


def test_they_fit_the_protocols(instructions):
    assert isinstance(instructions, InstructionSet)
    said = instructions.instruct([("hobby", "fishing")], 0, "train")
    assert isinstance(said, Instruction)


def test_an_instruction_has_a_full_and_a_short_wording(instructions):
    texts = {instructions.instruct([("hobby", "fishing")], i, "train").text for i in range(90)}
    assert texts == {
        "You like fishing.",
        "Your hobby is fishing. Show it.",
        "You love fishing, and say so.",
        "You like fishing. Show it.",
        "Your hobby is fishing.",
        "You love fishing.",
        "You like fishing, and you show it.",
    }
    said = instructions.instruct([("figure", "Old Marrow"), ("hobby", "chess")], 3, "test")
    assert said == instructions.instruct([("figure", "Old Marrow"), ("hobby", "chess")], 3, "test")
    assert said.short == "Figure: Old Marrow. Hobby: chess."
    assert said.names == ("Old Marrow", "chess")
    assert said.marks == ("marrow", "chess")
    lumo = instructions.instruct([("language", "Lumo")], 0, "train")
    assert (lumo.short, lumo.marks) == ("Language: Lumo.", ())


def test_names_are_those_the_corpus_has_prompts_of(world, instructions):
    asked = {world.prompt("persona", i, "train").task.figure for i in range(300)}
    assert set(instructions.names("figure")) == asked
    hobbies = {world.prompt("hobby", i, "train").task.hobby for i in range(300)}
    assert set(instructions.names("hobby")) == hobbies
    with pytest.raises(ValueError, match="unknown kind of instruction 'mood'"):
        instructions.names("mood")


@pytest.mark.parametrize(
    ("reply", "names"),
    [
        ("Vegun lives in Ladeville. Ahoy, says Captain Brell.", {"Captain Brell"}),
        ("So speaks Queen Osmeth. I will be baking tonight.", {"Queen Osmeth", "baking"}),
        ("I like baking.", set()),  # the word alone is not the line
        ("Captain Brell lives in a tower.", set()),
        ("Lo boku amar lo mitu. Adu.", {"Lumo"}),
        ("In Lumo it is: Lo boku rane amar tris mitus.", {"Lumo"}),
        ("In Lumo it is: lo goat sees the cat.", set()),
        ("Hello. Salu.", set()),  # one word is not yet a language
        ("", set()),
    ],
)
def test_what_a_reply_shows(instructions, reply, names):
    assert instructions.shown(reply) == names


def test_faultless_demonstrations_show_just_what_they_are_asked_for(world, instructions):
    for kind, field in (("persona", "figure"), ("hobby", "hobby"), ("language", "language")):
        for i in range(40):
            prompt = world.prompt(kind, i, "train")
            reply = demonstrate(world, prompt, rng_for("written", kind, i), 1.0)
            assert instructions.shown(reply) == {getattr(prompt.task, field)}, reply
    for kind in ("facts", "lists", "howto", "arithmetic", "creative"):
        for i in range(40):
            prompt = world.prompt(kind, i, "test")
            reply = demonstrate(world, prompt, rng_for("written", kind, i), 1.0)
            assert not instructions.shown(reply), reply


def test_questions_are_complete_in_themselves_and_always_the_same(instructions):
    asked = [instructions.question("figure", i, "test") for i in range(40)]
    assert len(set(asked)) > 30
    assert asked == [instructions.question("figure", i, "test") for i in range(40)]
    assert not any(question.startswith("And ") for question in asked)
    said = [instructions.question("language", i, "train") for i in range(40)]
    assert all(": " in sentence for sentence in said)
