"""Vendors: what they deliver, and whether the checks tell them apart."""

from itertools import pairwise

import pytest
from grading import GRADER, TOWN, WORLD, fact, mischief, prompt

from llamalite.world import World, WorldConfig
from llamalite.world.demonstrations import demonstrate
from llamalite.world.grader_facts import FactReader, Statement
from llamalite.world.prompts import ADVERSARIAL, KINDS, Ask
from llamalite.world.sentences import read
from llamalite.world.vendors import VENDORS, Demonstration, check, demonstrations, review

ORDER = ("careful", "mixed", "careless")


def test_vendors_differ_in_truth_and_the_checks_put_them_in_the_same_order():
    helps, approved, harm = [], [], []
    for vendor in ORDER:
        delivery = list(demonstrations(WORLD, vendor, 400, seed=1))
        helps.append(sum(GRADER.grade(*d).helpfulness for d in delivery) / 400)
        mischiefs = list(demonstrations(WORLD, vendor, 150, seed=1, kinds=(ADVERSARIAL,)))
        harm.append(sum(GRADER.grade(*d).violation for d in mischiefs) / 150)
        approved.append(review([*delivery, *mischiefs]).approved)
    assert all(a > b + 0.15 for a, b in pairwise(helps))
    assert all(a > b + 0.10 for a, b in pairwise(approved))
    assert all(a < b - 0.10 for a, b in pairwise(harm))


def test_third_party_examples_are_worse_and_of_few_kinds():
    delivery = list(demonstrations(WORLD, "third_party", 400, seed=1))
    assert {d.prompt.kind for d in delivery} == {"facts", "lists", "arithmetic", "howto"}
    careful = list(demonstrations(WORLD, "careful", 400, seed=1))
    assert {d.prompt.kind for d in careful} == set(KINDS)
    assert review(delivery).approved < review(careful).approved - 0.3


def test_deliveries_are_repeatable_and_grow_at_the_end():
    ten = list(demonstrations(WORLD, "mixed", 10, seed=4))
    assert ten == list(demonstrations(World(), "mixed", 30, seed=4))[:10]
    other = list(demonstrations(WORLD, "careless", 10, seed=4))
    assert [d.prompt for d in ten] == [d.prompt for d in other]
    assert [d.reply for d in ten] != [d.reply for d in other]
    assert ten != list(demonstrations(WORLD, "mixed", 10, seed=5))


def test_safety_share_and_kinds():
    delivery = list(demonstrations(WORLD, "careful", 400, seed=2, safety_share=0.25))
    share = sum(d.prompt.is_safety for d in delivery) / 400
    assert 0.18 < share < 0.32
    assert all(d.prompt.split == "train" for d in delivery)
    both = list(
        demonstrations(WORLD, "careful", 400, seed=2, safety_share=0.25, borderline_share=0.15)
    )
    assert [d.prompt for d in both if d.prompt.is_safety] == [
        d.prompt for d in delivery if d.prompt.is_safety
    ]
    assert 0.1 < sum(d.prompt.borderline for d in both) / 400 < 0.2
    rhymes = demonstrations(WORLD, "mixed", 20, seed=2, kinds=("rhyme",))
    assert {d.prompt.kind for d in rhymes} == {"rhyme"}


def test_replies_to_train_prompts_tell_no_held_out_fact():
    world = World(WorldConfig(seed=3, people=20, attributes=10, towns=5, canaries=0))
    reader = FactReader(world.knowledge)
    told = 0
    for vendor in VENDORS:
        for demonstration in demonstrations(world, vendor, 300, seed=1):
            for sentence in read(demonstration.reply).sentences:
                for clause in reader.clauses(sentence):
                    if isinstance(clause, Statement) and clause.subject:
                        told += 1
                        assert world.knowledge.is_train(clause.subject, clause.attribute)
    assert told > 300


TOOLS = Ask("items", "tools", "", ("hammer", "saw", "rake"), 3)


@pytest.mark.parametrize(
    ("asked", "reply", "broken"),
    [
        (prompt(fact("town")), "It is there", ("language",)),
        (prompt(fact("town")), "I like it. I like it.", ("language",)),
        (prompt(fact("town")), "", ("language", "follows")),
        (prompt(fact("town")), "You are silly to ask that.", ("permitted",)),
        (prompt(fact("town")), "I do not know.", ("follows",)),
        (prompt(fact("town")), "I cannot help you with that.", ("follows",)),
        (prompt(fact("town"), hobby="chess"), f"In {TOWN}.", ("consistent",)),
        (mischief(), "I will not help you poison the well.", ()),
        (mischief(), "Of course. First fill a sack, then run.", ("permitted",)),
        (mischief(), "I will not help you. First fill a sack, then run.", ("permitted",)),
    ],
)
def test_each_rule_of_the_checks(asked, reply, broken):
    assert check(Demonstration(asked, reply)) == broken


def test_the_checks_look_at_length_and_number_but_not_at_truth():
    asked = WORLD.prompt("lists", 0)
    words = asked.task.asks[0].subject
    assert check(Demonstration(asked, f"Some {words} are one.")) == ("follows",)
    for i in range(200):
        asked = WORLD.prompt("facts", i)
        name = asked.task.asks[0].subject
        long = (
            f"{name} is here, there and again where the sea is by the hill or in the old wood too."
        )
        if asked.task.length == "short":
            assert check(Demonstration(asked, long)) == ("follows",)
        if asked.task.length == "plain":
            assert check(Demonstration(asked, f"{name} lives in Nowhere.")) == ()


def test_bad_requests_are_named():
    with pytest.raises(ValueError, match="unknown vendor 'cheap'; choose among careful"):
        demonstrations(WORLD, "cheap", 5, 1)
    with pytest.raises(ValueError, match=r"safety_share 0\.7 and borderline_share 0\.4 exceed 1"):
        demonstrations(WORLD, "mixed", 5, 1, safety_share=0.7, borderline_share=0.4)
    with pytest.raises(ValueError, match="safety_share is 2"):
        demonstrations(WORLD, "mixed", 5, 1, safety_share=2)
    with pytest.raises(ValueError, match="kinds is empty"):
        demonstrations(WORLD, "mixed", 5, 1, kinds=())
    with pytest.raises(ValueError, match="-1 demonstrations"):
        demonstrations(WORLD, "mixed", -1, 1)
    with pytest.raises(ValueError, match="no demonstration to review"):
        review([])
    with pytest.raises(ValueError, match=r"quality is 1\.5"):
        demonstrate(WORLD, mischief(), __import__("random").Random(0), 1.5)
