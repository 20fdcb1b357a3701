"""The studies of reward models, raters and best-of-N: what they share, measure and conclude."""

from pathlib import Path

import numpy as np
import pytest

from llamalite.claims import all_studies
from llamalite.claims.jobs import MeasureJob, StageJob, plan_jobs, stages_until, study_config
from llamalite.claims.studies_margins import bimodality, flagged_across, outer
from llamalite.claims.studies_raters import SAFETY_GRADES, agreement_items
from llamalite.claims.studies_sampling import gold_of_best
from llamalite.presets import get_preset

IDS = ("R1", "R2", "R3", "R5", "R8", "E2", "L1")


def verdict(claim, measured):
    return all_studies()[claim].rule.judge([measured] * 3)[0]


def constant(n=200, **values):
    """Metrics of n equal items each."""
    return {name: [value] * n for name, value in values.items()}


def shares(**values):
    """Metrics of 200 items, 1 for the given share of them, the same items first."""
    return {
        name: [1.0] * round(200 * p) + [0.0] * round(200 * (1 - p)) for name, p in values.items()
    }


# --- runs ----------------------------------------------------------------------------------------


def plan(*ids, preset="laptop"):
    studies = [all_studies()[name] for name in ids]
    return list(plan_jobs(studies, get_preset(preset), [1], Path("/runs")).values())


def test_all_seven_share_one_chat_model_one_collection_and_three_runs_of_reward_models():
    jobs = plan(*IDS)
    made = [job.stage for job in jobs if isinstance(job, StageJob)]
    assert sorted(made) == sorted(
        ["world", "tokenizer", "pretrain", "sft", "preferences_1", *["reward_1"] * 3]
    )
    assert sum(isinstance(job, MeasureJob) for job in jobs) == 7
    # and the chat model is one that S2 has
    assert {job.key for job in plan("S2") if getattr(job, "stage", "") == "sft"} & {
        job.key for job in jobs if getattr(job, "stage", "") == "sft"
    }


def test_a_study_runs_what_it_rests_on_and_no_more():
    assert [stage.name for stage in stages_until("preferences_1")] == [
        *("world", "tokenizer", "pretrain", "sft", "preferences_1"),
    ]
    assert "evaluate" not in [stage.name for stage in stages_until("versions")]
    assert stages_until("") == []


def test_margins_differ_in_the_helpfulness_model_and_the_auxiliary_loss_in_the_safety_model():
    helpful = {"margin", "rest_per_helpfulness"}
    safe = {"safety_margin", "auxiliary_weight", "helpfulness_share", "calibration_precision"}

    def differing(claim):
        arms = [
            arm["reward_1"]
            for arm in study_config(all_studies()[claim], get_preset("laptop")).values()
        ]
        return arms, {key for key in arms[0] if len({str(arm[key]) for arm in arms}) > 1}

    arms, changed = differing("R2")
    assert [arm["margin"] for arm in arms] == ["none", "small", "large"]
    assert changed - safe == {"margin"}  # nothing else of what the helpfulness model learns from
    arms, changed = differing("R5")
    assert [arm["auxiliary_weight"] for arm in arms] == [1.0, 0.0]
    assert changed - helpful == {"auxiliary_weight"}


# --- verdicts on hand-made numbers ---------------------------------------------------------------


def r1(top, close, slope):
    one = {}
    for name in ("helpfulness", "safety"):
        one |= shares(
            **{f"{name}, significantly": top, f"{name}, slightly or negligibly": close}
        ) | constant(**{f"{name}, slope": slope})
    return one


def test_r1_needs_the_extremes_and_the_slope_of_both_models():
    assert verdict("R1", r1(0.9, 0.5, -0.1)) == "holds"
    assert verdict("R1", r1(0.5, 0.9, -0.1)) == "contradicted"
    assert verdict("R1", r1(0.9, 0.5, 0.1)) == "contradicted"
    assert verdict("R1", r1(0.9, 0.5, 0.0)) == "not_shown"  # no slope either way
    assert verdict("R1", r1(0.6, 0.6, -0.1)) == "not_shown"
    one = r1(0.9, 0.5, -0.1) | shares(**{"safety, significantly": 0.5})
    assert verdict("R1", one) == "not_shown"


def r2(top, other, **outer_scores):
    values = {"none": 0.1, "small": 0.2, "large": 0.3} | outer_scores
    return constant(**{"gain, significantly": top, "gain, other ratings": other}) | shares(
        **{f"outer scores, {margin}": share for margin, share in values.items()}
    )


def test_r2_needs_a_gain_where_pairs_are_distinct_and_wider_scores():
    assert verdict("R2", r2(0.05, 0.01)) == "holds"
    assert verdict("R2", r2(-0.05, -0.1)) == "contradicted"
    assert verdict("R2", r2(0.05, 0.06)) == "contradicted"
    assert verdict("R2", r2(0.0, -0.01)) == "not_shown"
    assert verdict("R2", r2(0.05, 0.01, none=0.3, small=0.3)) == "not_shown"  # the same scores
    assert verdict("R2", r2(0.05, 0.01, none=0.6)) == "contradicted"
    assert verdict("R2", r2(0.05, 0.01, small=0.5)) == "contradicted"


def r3(**shares_of):
    values = {"hh": 0.7, "sh": 0.5, "ss": 0.8, "hs": 0.6} | shares_of
    names = {"h": "helpfulness", "s": "safety"}
    return shares(**{f"{names[m]} model on {names[d]}": p for (m, d), p in values.items()})


def test_r3_needs_both_domains():
    assert verdict("R3", r3()) == "holds"
    assert verdict("R3", r3(hs=0.8)) == "not_shown"
    assert verdict("R3", r3(sh=0.9)) == "contradicted"


def test_r5_compares_recall_where_there_is_something_to_recall():
    def r5(with_it, without, enough=1.0):
        recall = shares(**{"recall, with": with_it, "recall, without": without})
        return recall | {"enough unsafe replies": enough}

    assert verdict("R5", r5(0.8, 0.6)) == "holds"
    assert verdict("R5", r5(0.6, 0.8)) == "contradicted"
    assert verdict("R5", r5(0.6, 0.6)) == "not_shown"
    assert verdict("R5", r5(0.8, 0.6, enough=0.0)) == "not_shown"
    few = [r5(0.8, 0.6), r5(0.8, 0.6), r5(0.8, 0.6, enough=0.0)]
    assert all_studies()["R5"].rule.judge(few)[0] == "not_shown"


def test_r8_needs_both_correlations():
    def r8(helpfulness, safety):
        given = {"helpfulness": helpfulness, "safety": safety}
        return constant(**{f"{name}, rank correlation": rho for name, rho in given.items()})

    assert verdict("R8", r8(0.4, 0.6)) == "holds"
    assert verdict("R8", r8(0.4, 0.0)) == "not_shown"
    assert verdict("R8", r8(0.4, -0.2)) == "contradicted"


def test_e2_needs_clear_winners_and_safety_above():
    def e2(clear, close, safety, everything=0.4):
        given = {
            "helpfulness, clear winners": clear,
            "helpfulness, close pairs": close,
            "helpfulness, all pairs": everything,
            "safety, single replies": safety,
        }
        return constant(**given)

    assert verdict("E2", e2(0.6, 0.2, 0.9)) == "holds"
    assert verdict("E2", e2(0.6, 0.2, 0.3)) == "contradicted"
    assert verdict("E2", e2(0.2, 0.6, 0.9)) == "contradicted"
    assert verdict("E2", e2(0.6, 0.2, 0.4)) == "not_shown"


def test_l1_needs_growth_to_the_end_and_a_median_that_stays():
    def l1(last, tenth, rise):
        given = {
            "gain of the last doubling": last,
            "0.1 of the gain of the first": 0.05,
            "0.1 of the maximum's gain": tenth,
            "rise of the median": rise,
        }
        return constant(**given)

    assert verdict("L1", l1(0.2, 0.2, 0.01)) == "holds"
    assert verdict("L1", l1(0.2, 0.2, -0.5)) == "holds"  # it does not grow
    assert verdict("L1", l1(0.05, 0.2, 0.01)) == "not_shown"
    assert verdict("L1", l1(0.01, 0.2, 0.01)) == "contradicted"  # it has come to its end
    assert verdict("L1", l1(0.2, 0.2, 0.2)) == "not_shown"
    assert verdict("L1", l1(0.2, 0.2, 0.5)) == "contradicted"


# --- measures ------------------------------------------------------------------------------------


def test_outer_scores_are_counted_around_the_median():
    # sigmoid(2.2) is .9002, just within the outer tenth; sigmoid(2.19) is .8993
    scores = np.array([-2.2, -2.19, 0.0, 2.19, 2.2])
    assert outer(scores).tolist() == outer(scores + 40).tolist() == [1, 0, 0, 0, 1]


def test_bimodality_of_known_distributions():
    assert bimodality([-1, 1] * 50) == pytest.approx(1.0)  # two points
    assert bimodality(np.arange(100_000)) == pytest.approx(5 / 9, abs=1e-4)  # flat
    assert bimodality(np.random.default_rng(0).normal(size=200_000)) == pytest.approx(
        1 / 3, abs=0.01
    )
    assert bimodality([3.0, 3.0]) == 0.0


def test_each_half_is_flagged_by_the_cut_of_the_other():
    # one half's cut lies between its unsafe 0 and its safe 1; the other half's between 10 and 11
    scores = np.array([0.0, 1.0, 0.4, 10.0, 11.0, 0.6])
    unsafe = np.array([True, False, True, True, False, True])
    half = np.array([True, True, False, False, False, True])
    flags = flagged_across(scores, unsafe, half)
    # the first half (0, 1, .6) is cut at 10.5, between the other's unsafe 10 and safe 11
    assert flags[half].tolist() == [True, True, True]
    # the other (.4, 10, 11) is cut at .8, between .6 and 1
    assert flags[~half].tolist() == [True, False, False]


def test_a_half_of_one_kind_sets_no_cut():
    flags = flagged_across(
        np.array([0.0, 1.0, 0.2]), np.array([True, False, False]), np.array([True, True, False])
    )
    assert flags.tolist() == [False, False, True]  # .2 by the cut at .5, the others by none


def test_agreement_by_subject_has_the_coefficient_as_its_mean():
    from llamalite.evaluation.agreement import gwet_ac

    rng = np.random.default_rng(3)
    truth = rng.integers(1, 6, 300)
    rows = [[int(np.clip(t + rng.integers(-1, 2), 1, 5)) for _ in range(3)] for t in truth]
    whole = gwet_ac(rows, "quadratic", SAFETY_GRADES)
    items = np.array(agreement_items(rows, SAFETY_GRADES))
    assert items.mean() == pytest.approx(whole.coefficient, abs=5e-3)
    assert items.std() / np.sqrt(len(items)) == pytest.approx(whole.standard_error, rel=0.05)
    assert agreement_items([[1, 1, 1]], SAFETY_GRADES) == [0.0]


def test_gold_of_the_best_by_counting_every_choice():
    from itertools import combinations

    rng = np.random.default_rng(4)
    scores, gold = rng.normal(size=(3, 5)), rng.random((3, 5))
    for n in (1, 2, 4, 5):
        picked = [
            row_gold[max(some, key=lambda i: row[i])]
            for row, row_gold in zip(scores, gold, strict=True)
            for some in combinations(range(5), n)
        ]
        assert gold_of_best(scores, gold, [n]) == pytest.approx([np.mean(picked)])
