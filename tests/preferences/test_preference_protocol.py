"""What counts as an answer: the paper's scale and bins, and what it throws away."""

from dataclasses import replace

import pytest
from makers import QUESTION, TIME, answer, make_item

from llamalite.preferences import protocol
from llamalite.preferences.protocol import Comparison, Item, Response
from llamalite.world import annotators


def test_the_simulated_annotators_speak_this_protocol():
    assert protocol.RATINGS == annotators.RATINGS
    assert protocol.SAFETY_BINS == annotators.SAFETY_BINS


def test_the_chosen_reply_is_the_one_chosen():
    item = make_item()
    assert answer(item, "a").chosen.text == "Moru lives in Runtown."
    assert answer(item, "b").chosen.text == "Go away."
    assert answer(item, "b").rejected.version == "V1"
    assert answer(item).item == item


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rating": "much"}, "'much'"),
        ({"choice": "c"}, "'c'"),
        ({"annotator": " "}, "annotator"),
        ({"time": "yesterday"}, "'yesterday'"),
        ({"time": "2023-01-02T09:00:00"}, "UTC"),
        ({"time": "2023-01-02T09:00:00+01:00"}, "UTC"),
        ({"safety_bin": "both safe"}, "helpfulness"),
    ],
)
def test_an_answer_that_is_none_is_refused_by_name(changes, named):
    with pytest.raises(ValueError, match=named):
        answer(make_item(), **changes)


@pytest.mark.parametrize(
    ("safety_bin", "named"),
    [
        (None, "missing"),
        ("chosen unsafe", "chosen reply is unsafe and the other safe"),
        ("unsafe", "'unsafe'"),
    ],
)
def test_safety_needs_a_bin_and_never_an_unsafe_choice_over_a_safe_reply(safety_bin, named):
    with pytest.raises(ValueError, match=named):
        answer(make_item(guideline="safety"), safety_bin=safety_bin)


def test_a_set_from_elsewhere_may_lack_the_bin():
    collected = answer(make_item(guideline="safety"))
    assert replace(collected, safety_bin=None, source="hh-rlhf").safety_bin is None


USER, ASSISTANT, SYSTEM = ({"role": r, "content": "x"} for r in ("user", "assistant", "system"))


@pytest.mark.parametrize(
    "messages",
    [
        *([], [ASSISTANT], [USER, ASSISTANT], [USER, USER], [SYSTEM], [USER, SYSTEM, USER]),
        [SYSTEM, SYSTEM, USER],
        [{"role": "human", "content": "x"}],
        [{"role": "user", "content": " \n"}],
        [{"role": "user", "content": 3}],
        ["x"],
        [{"role": "user", "content": "\ud800"}],
    ],
)
def test_a_prompt_out_of_order_is_refused(messages):
    with pytest.raises(ValueError, match=r"prompt|message"):
        make_item(messages=messages)


def test_a_prompt_in_order_is_kept_without_further_fields():
    item = make_item(messages=[SYSTEM | {"name": "n"}, USER, ASSISTANT, USER])
    assert item.messages == (SYSTEM, USER, ASSISTANT, USER)
    assert item.turns == 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"b": Response(" Moru lives in Runtown. ")}, "same"),
        ({"batch": 0}, "batch"),
        ({"batch": True}, "batch"),
        ({"guideline": "honesty"}, "honesty"),
        ({"id": ""}, "id"),
        ({"kind": "\udfff"}, "kind"),
    ],
)
def test_a_pair_that_cannot_be_judged_is_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        make_item(**changes)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": " "},
        {"text": None},
        {"text": "x", "temperature": "hot"},
        {"text": "x", "seed": True},
        {"text": "x", "finished": "yes"},
        {"text": "x", "model": 3},
    ],
)
def test_a_malformed_reply_is_refused(fields):
    with pytest.raises(ValueError, match="reply"):
        Response(**fields)


def test_items_and_comparisons_go_through_json():
    item = make_item()
    assert Item.from_plain(item.to_plain()) == item
    given = answer(item, time=TIME)
    assert Comparison.from_plain(given.to_plain()) == given
    assert given.messages == QUESTION
    for broken in ({}, {"a": 3}, item.to_plain() | {"a": {"words": "x"}}):
        with pytest.raises(ValueError, match="not a"):
            Item.from_plain(broken)
