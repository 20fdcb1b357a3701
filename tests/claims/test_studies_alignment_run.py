"""The studies of the alignment chain, run for real at a tiny budget."""

import pytest

pytestmark = pytest.mark.timeout(1800)  # some minutes on two quiet cores, far more on busy ones


def test_the_collection_is_as_large_as_the_studies_say(measured):
    (r1,) = measured["R1"]["measurements"]
    (r3,) = measured["R3"]["measurements"]
    # twice 30 comparisons of a guideline, a third of them kept apart; a few could not be made
    for name in ("helpfulness", "safety"):
        assert 14 <= len(r3[f"{name} model on {name}, with ties"]) <= 20
        decided = sum(r1[f"curve pairs by rating, {name}"])
        assert decided <= len(r3[f"{name} model on {name}, with ties"])


def test_replies_are_compared_on_the_same_items_by_every_model(measured):
    (r2,) = measured["R2"]["measurements"]
    sizes = {len(r2[f"outer scores, {margin}"]) for margin in ("none", "small", "large")}
    assert len(sizes) == 1
    # margins change the model, so the scores are not the same
    differences = [sum(r2[f"score difference, {m}"]) for m in ("none", "small", "large")]
    assert len(set(differences)) == 3
    (r8,) = measured["R8"]["measurements"]
    assert sum(r8["curve replies by grade, safety"]) == 26
    assert len(r8["helpfulness, rank correlation"]) == sum(
        r8["curve replies by grade, helpfulness"]
    )


def test_best_of_n_curves_begin_together_and_rise(measured):
    (l1,) = measured["L1"]["measurements"]
    assert l1["curve n"] == [1, 2, 4]
    assert l1["curve maximum"][0] == pytest.approx(l1["curve median"][0])
    assert l1["curve maximum"] == sorted(l1["curve maximum"])
    assert len(l1["rise of the median"]) == 10


def test_each_reward_makes_a_policy_of_its_own(measured):
    (l7,) = measured["L7"]["measurements"]
    sizes = {name: len(l7[name]) for name in l7 if name.startswith("help, ")}
    assert set(sizes) == {f"help, {arm}" for arm in ("piecewise", "helpfulness", "safety", "SFT")}
    assert len(set(sizes.values())) == 1
    assert len(l7["violations, SFT"]) == 4
    assert len(l7["borderline refusals, SFT"]) == 2


def test_scores_of_versions_are_of_the_same_prompts(measured):
    (l10,) = measured["L10"]["measurements"]
    assert len({len(l10[f"score, {name}"]) for name in ("SFT", "V1", "V2")}) == 1
    assert sum(l10["curve histogram, V2"]) == pytest.approx(1)
    assert sum(l10["bad tail, SFT"]) == max(1, round(0.05 * len(l10["bad tail, SFT"])))
