"""How long an instruction holds, by hand-made replies; and the figures drawn from the results."""

import re

import pytest

from llamalite.ghost_attention.consistency import by_turn, lost_at, over_turns, summarise
from llamalite.ghost_attention.figures import attention_maps, consistency_curves, turn_curves
from llamalite.ghost_attention.writing import Script

KEPT = "Vegun has a cat. Rain will come, says Old Marrow."
LOST = "Vegun has a cat."
OTHER = "Vegun has a cat. Ahoy, says Captain Brell."


def scripts_of(instructions):
    marrow = instructions.instruct([("figure", "Old Marrow")], 0, "test")
    both = instructions.instruct([("figure", "Old Marrow"), ("hobby", "chess")], 0, "test")
    questions = ("a?", "b?", "c?", "d?")
    return [
        Script("0", "figure", marrow, questions),
        Script("1", "figure+hobby", both, questions),
        Script("2", "plain", None, questions),
    ]


def test_shares_by_turn_are_those_counted_by_hand(instructions):
    replies = [[KEPT, KEPT, LOST], [KEPT, KEPT + " Now I would like a game of chess."]]
    found = summarise(instructions.shown, scripts_of(instructions)[:2], replies, 50)
    shares = [(each["turn"], each["mean"], each["n"]) for each in found["kept"]["by_turn"]]
    assert shares == [(1, 0.5, 2), (2, 1.0, 2), (3, 0.0, 1)]
    assert found["kept"]["over_turns"]["mean"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["kept"]["lost_at"] == 3
    assert found["spurious"]["over_turns"]["mean"] == 0
    assert [each["mean"] for each in found["kinds"]["figure+hobby"]] == [0.0, 1.0]


def test_what_nobody_asked_for_is_spurious(instructions):
    figure, _, plain = scripts_of(instructions)
    found = summarise(instructions.shown, [plain], [[LOST, OTHER, LOST, LOST]], 50)
    assert found["kept"] is None
    assert [each["mean"] for each in found["spurious"]["by_turn"]] == [0, 1, 0, 0]
    assert found["spurious"]["over_turns"]["mean"] == 0.25
    found = summarise(instructions.shown, [figure], [[OTHER, KEPT]], 50)
    assert found["kept"]["over_turns"]["mean"] == 0.5
    assert found["spurious"]["over_turns"]["mean"] == 0.5


def test_what_the_question_itself_names_is_asked_for(instructions):
    lumo = "Lo boku amar lo mitu."
    script = Script(
        "0", "plain", None, ("Say this in Lumo: the goat loves the cat.", "Who is Ann?")
    )
    found = summarise(instructions.shown, [script], [[lumo, lumo]], 50)
    assert [each["mean"] for each in found["spurious"]["by_turn"]] == [0, 1]


def test_intervals_hold_their_mean_and_no_dialogue_gives_none():
    turns = by_turn([[True]] * 6 + [[False]] * 4, 500)
    assert turns[0]["low"] < turns[0]["mean"] == 0.6 < turns[0]["high"]
    assert over_turns([[True, True], [True, True]])["low"] == 1.0
    assert over_turns([])["mean"] is None
    assert by_turn([]) == []


@pytest.mark.parametrize(
    ("means", "turn"),
    [([1, 0.9], None), ([1, 0.4, 0.2], 2), ([1, 0.4, 0.8, 0.1], 4), ([0.2, 0.9], None)],
)
def test_lost_is_where_it_stays_below_half(means, turn):
    assert lost_at([{"turn": i + 1, "mean": mean} for i, mean in enumerate(means)]) == turn


# --- figures -------------------------------------------------------------------------------------
def curve(*means):
    return [
        {"turn": i + 1, "mean": m, "low": m / 2, "high": m, "n": 9} for i, m in enumerate(means)
    ]


RESULT = {
    "models": {
        "before": {"trained": {"kept": {"by_turn": curve(1.0, 0.25)}}, "plain": {"kept": None}},
        "after": {"trained": {"kept": {"by_turn": curve(1.0, 0.75)}}, "plain": {"kept": None}},
    }
}
MAPS = {
    "by_turn": {"before": curve(0.5, 0.125), "after": curve(0.5, 0.375)},
    "map": {
        "bin": 4,
        "instruction": "Act as Old Marrow.",
        "instruction_tokens": 3,
        "turn_starts": [0, 6],
        "tokens": 10,
        "models": {
            "before": [[1.0, 0, 0], [0.5, 0.5, 0], [0.1, 0.2, 0.7]],
            "after": [[1.0, 0, 0], [0.5, 0.5, 0], [0.6, 0.2, 0.2]],
        },
    },
}


def test_curves_are_the_numbers_of_the_file():
    drawing = consistency_curves(RESULT)
    lines = drawing.figure.axes[0].get_lines()
    assert [list(line.get_ydata()) for line in lines] == [[1.0, 0.25], [1.0, 0.75]]
    assert [line.get_label() for line in lines] == [
        "without Ghost Attention",
        "with Ghost Attention",
    ]
    assert "0.25 (0.12 to 0.25) at turn 2" in drawing.alt
    with pytest.raises(ValueError, match="the group 'held_out'"):
        consistency_curves(RESULT, "held_out")
    with pytest.raises(ValueError, match="no curve has a measured turn"):
        turn_curves({"a": []}, "t", "l")


def test_maps_are_the_numbers_of_the_file_and_hold_no_picture():
    drawing = attention_maps(MAPS)
    values = drawing.figure.axes[1].collections[0].get_array()
    assert values.tolist() == MAPS["map"]["models"]["after"]
    svg = drawing.svg()
    assert "0.38 (0.19 to 0.38) on the instruction at turn 2" in drawing.alt
    assert not re.search(r"<script|<image", svg)
