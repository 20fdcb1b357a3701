"""The tables, worked by hand."""

import pytest
from makers import answer, make_item

from llamalite.preferences.protocol import Response
from llamalite.preferences.statistics import (
    agreement,
    bin_shares,
    rating_shares,
    sizes,
    statistics,
    version_wins,
)


def words(text):
    return len(text.split())


def said(role, number):
    return {"role": role, "content": " ".join(["w"] * number)}


def replies(a, b):
    return {"a": Response("a " * a), "b": Response("b " * b)}


def test_sizes_of_two_dialogues_worked_by_hand():
    one = make_item("x", messages=[said("user", 4)], **replies(6, 10))
    two = make_item(
        "y",
        messages=[said("system", 2), said("user", 3), said("assistant", 5), said("user", 7)],
        **replies(1, 2),
    )
    assert sizes([answer(one), answer(two)], words) == {
        "comparisons": 2,
        "turns_per_dialogue": 1.5,
        # 4 + (6 + 10) / 2 = 12 and 2 + 3 + 5 + 7 + (1 + 2) / 2 = 18.5
        "tokens_per_example": 15.25,
        "tokens_per_prompt": 4.0,  # 4, 2, 3, 7
        "tokens_per_response": pytest.approx(4.8),  # 6, 10, 5, 1, 2
    }


def test_an_example_of_one_turn_is_a_prompt_and_a_response_as_in_table_6():
    # the paper's sets of single turns: OpenAI Summarize 336.0 + 35.1 = 371.1, tokens
    item = make_item(messages=[said("user", 3360)], **replies(300, 402))
    found = sizes([answer(item)], words)
    assert (found["tokens_per_prompt"], found["tokens_per_response"]) == (3360, 351)
    assert found["tokens_per_example"] == 3711


def test_shares_of_ratings_and_bins():
    items = [make_item(f"i{i}", "safety") for i in range(4)]
    rated = [
        answer(item, rating=rating, safety_bin=safety_bin)
        for item, rating, safety_bin in zip(
            items,
            ("significantly", "negligibly", "negligibly", "slightly"),
            ("chosen safe", "both unsafe", "both safe", "both safe"),
            strict=True,
        )
    ]
    assert rating_shares(rated) == {
        "significantly": 0.25,
        "better": 0.0,
        "slightly": 0.25,
        "negligibly": 0.5,
    }
    assert bin_shares(rated) == {"chosen safe": 0.25, "both safe": 0.5, "both unsafe": 0.25}
    helpful = [answer(make_item())]
    assert bin_shares([*rated, *helpful]) == bin_shares(rated)
    assert bin_shares(helpful) == dict.fromkeys(("chosen safe", "both safe", "both unsafe"))


def test_the_newest_is_held_against_the_previous():
    # a is by V1, b by SFT
    given = [answer(make_item(f"i{i}"), choice) for i, choice in enumerate("aaab")]
    given += [answer(make_item("same", b=Response("No.", version="V1")))]
    [row] = version_wins(given)
    assert row == {
        "guideline": "helpfulness",
        "version": "SFT",
        "against": "V1",
        "won": 1,
        "lost": 3,
        "share": 0.25,
    }


def test_agreement_counts_pairs_of_people():
    # i0: a a b, one of three pairs agrees; i1: b b, one of one; i2: alone
    votes = {"i0": "aab", "i1": "bb", "i2": "a"}
    given = [
        answer(make_item(name), choice, annotator=f"p{k}")
        for name, choices in votes.items()
        for k, choice in enumerate(choices)
    ]
    assert agreement(given) == {"pairs": 4, "same_choice": 0.5}
    assert agreement([]) == {"pairs": 0, "same_choice": None}


def test_batches_are_told_apart_and_in_order():
    given = [answer(make_item(f"{b}{i}", batch=b), left="b") for b in (10, 2, 2) for i in "xyz"[:b]]
    given = list({each.id: each for each in given}.values())
    found = statistics(given, words)
    assert list(found["batches"]) == ["2", "10"]
    assert found["all"]["comparisons"] == 5
    assert found["batches"]["2"]["comparisons"] == 2
    assert found["all"]["chosen_left"] == 0.0
    assert found["all"]["by_guideline"] == {"helpfulness": 5, "safety": 0}
    assert found["all"]["ratings"]["safety"]["better"] is None
