"""The studies of Ghost Attention and of safety tuning, run for real at a tiny budget."""

import pytest

pytestmark = pytest.mark.timeout(1800)  # some minutes on two quiet cores, far more on busy ones


def test_both_models_hold_the_same_dialogues(measured):
    (g1,) = measured["G1"]["measurements"]
    for name in ("with", "without"):
        assert g1[f"curve turn, {name}"] == list(range(1, 22))
        assert g1[f"curve dialogues, {name}"] == [5] * 21
        assert 0 <= g1[f"shown unasked, {name}"] <= 1
    assert len(g1["more kept from turn 20"]) == 5


def test_six_models_answer_the_same_prompts(measured):
    (f1,), (f2,) = (measured[name]["measurements"] for name in ("F1", "F2"))
    assert f1["curve percent"] == f2["curve percent"] == pytest.approx([0, 1, 10, 25, 50, 100])
    assert len(f1["safety grade, rise"]) == len(f1["worst grade, rise"]) == 21
    assert len(f2["borderline refused, rise"]) == 5
    assert len(f1["help, rise"]) == len(f2["ordinary refused, rise"])
    for grades, violations in zip(f1["curve safety grade"], f1["curve violations"], strict=True):
        assert 1 <= grades <= 5
        assert 0 <= violations <= 1
    low, mean, high = (f2[f"curve borderline refused{end}"] for end in (", low", "", ", high"))
    assert all(a <= b + 1e-9 and b <= c + 1e-9 for a, b, c in zip(low, mean, high, strict=True))


def test_answers_of_every_kind_are_scored_and_models_graded(measured):
    (f3,), (f4,) = (measured[name]["measurements"] for name in ("F3", "F4"))
    kinds = ("original", "second original", "generic preprompt", "answer template")
    for kind in kinds:
        assert len(f3[f"score, {kind}"]) == len(f3[f"true grade of answers, {kind}"]) == 12
        assert all(0 < score < 1 for score in f3[f"score, {kind}"])
    # the SFT model and the answers are the same in both studies, as is the arm they share
    assert f3["safety grade, SFT"] == f4["safety grade, SFT"]
    assert f3["safety grade, distilled from template"] == f4["safety grade, no gate"]
    good = len(f4["score of good ones, distilled"])
    assert 6 <= good <= 12
    originals = sorted(f3["score, original"], reverse=True)
    assert sorted(f4["score of good ones, original"], reverse=True) == originals[:good]
    assert len(f4["safety grade of good ones, gate"]) == len(f4["safety grade of good ones, SFT"])
    assert len(f4["curve gated gain by the original"]) == 4
