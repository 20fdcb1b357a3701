"""The studies of PPO and of the rounds: what they share, measure and conclude."""

from pathlib import Path

import numpy as np
import pytest

from llamalite.claims import all_studies
from llamalite.claims.jobs import StageJob, plan_jobs, stages_until, study_config
from llamalite.claims.stages import find_stage
from llamalite.claims.studies_rounds import Judged, gained
from llamalite.evaluation.replies import Reply
from llamalite.presets import get_preset
from llamalite.rlhf.recipe import Judges
from llamalite.world import Annotator, Grader, World, WorldConfig

LAPTOP = get_preset("laptop")


def verdict(claim, **values):
    """The verdict on three seeds of 200 items each; a share gives so many items 1, the rest 0."""
    measured = {
        name: [1.0] * round(200 * share) + [0.0] * round(200 * (1 - share))
        for name, share in values.items()
    }
    return all_studies()[claim].rule.judge([measured] * 3)[0]


def stages(*ids):
    studies = [all_studies()[name] for name in ids]
    jobs = plan_jobs(studies, LAPTOP, [1], Path("/runs")).values()
    return [job for job in jobs if isinstance(job, StageJob)]


# --- runs ----------------------------------------------------------------------------------------


def test_the_studies_of_the_rounds_share_one_loop():
    names = [job.stage for job in stages("L5", "L8", "L10")]
    assert len(names) == len(set(names)) == 4 + 5 * 3 + 1
    assert "ppo_5" in names
    assert len(stages("L10")) == 4 + 2 * 3
    assert not {"evaluate", "versions"} & set(names)


def test_ppo_without_rounds_rests_on_the_reward_models_of_r1():
    assert [stage.name for stage in stages_until("ppo")][-3:] == [
        "preferences_1",
        "reward_1",
        "ppo",
    ]
    shared = {job.key for job in stages("R1")}
    assert shared < {job.key for job in stages("L7")}
    assert len(stages("L6", "L7")) == len(shared) + 3 + 3
    with pytest.raises(ValueError, match="unknown stage 'nothing'"):
        find_stage("nothing")
    with pytest.raises(ValueError, match="unknown stage 'nothing'"):
        stages_until("nothing")


def test_l6_changes_the_penalty_and_l7_the_reward():
    for claim, key, values in (
        ("L6", "beta", [0.0, LAPTOP.ppo.beta, 4 * LAPTOP.ppo.beta]),
        ("L7", "combination", ["piecewise", "helpfulness", "safety"]),
    ):
        arms = [arm["ppo"] for arm in study_config(all_studies()[claim], LAPTOP).values()]
        assert {name for name in arms[0] if len({str(arm[name]) for arm in arms}) > 1} == {key}
        assert [arm[key] for arm in arms] == values


# --- verdicts on hand-made numbers ---------------------------------------------------------------


def test_l6_is_a_higher_score_for_less_help():
    def l6(score, help_without):
        given = {"score, own": 0.5, "help, own": 0.5}
        return verdict("L6", **given, **{"score, none": score, "help, none": help_without})

    assert l6(0.8, 0.3) == "holds"
    assert l6(0.8, 0.8) == "contradicted"  # more score and more help: no hacking
    assert l6(0.5, 0.3) == "not_shown"
    assert l6(0.2, 0.3) == "contradicted"


def test_l7_is_against_either_reward_alone():
    def l7(**changes):
        given = {
            "help, piecewise": 0.6,
            "help, SFT": 0.4,
            "help, safety": 0.3,
            "violations, helpfulness": 0.4,
            "violations, piecewise": 0.1,
        }
        return verdict("L7", **(given | changes))

    assert l7() == "holds"
    assert l7(**{"help, SFT": 0.7}) == "contradicted"
    assert l7(**{"help, safety": 0.6}) == "not_shown"
    assert l7(**{"violations, helpfulness": 0.05}) == "contradicted"


def test_l5_is_more_help_for_no_more_violations():
    def l5(with_ppo, added):
        both = {"help, V5": with_ppo, "help, V5 without PPO": 0.5}
        return verdict("L5", **both, **{"added violations": added})

    assert l5(0.7, 0.0) == "holds"
    assert l5(0.3, 0.0) == "contradicted"
    assert l5(0.5, 0.0) == "not_shown"
    assert l5(0.7, 0.2) == "contradicted"
    assert l5(0.7, 0.02) == "not_shown"


def test_l8_is_a_rise_on_both_axes_and_more_than_half_from_v3():
    def l8(slope=0.2, **changes):
        given = {f"{axis}, V{n}": 0.7 for axis in ("helpfulness", "safety") for n in (3, 4, 5)}
        slopes = {f"{axis}, slope": slope for axis in ("helpfulness", "safety")}
        return verdict("L8", **(given | slopes | changes))

    assert l8() == "holds"
    assert l8(slope=0.0) == "not_shown"
    assert l8(**{"safety, V3": 0.5}) == "not_shown"
    assert l8(**{"helpfulness, V4": 0.3}) == "contradicted"


def test_what_the_loop_gains_is_counted_by_prompt():
    found = gained(
        {
            "help, SFT": [0.2, 0.4],
            "help, V5": [0.5, 0.6],
            "violations, SFT": [1.0, 1.0],
            "violations, V5": [0.0, 1.0],
            "borderline refusals, SFT": [1.0, 0.0],
            "borderline refusals, V5": [0.0, 0.0],
        }
    )
    assert found["help gained"] == pytest.approx([0.3, 0.2])
    assert found["violations beyond a fifth"] == pytest.approx([-0.2, 0.8])  # a fifth may remain
    assert found["borderline refusals added"] == pytest.approx([-1.0, 0.0])


def test_l10_is_a_shift_and_a_lost_tail():
    def l10(v1=0.5, v2=0.7, tail=0.0):
        scores = {"score, SFT": 0.3, "score, V1": v1, "score, V2": v2}
        return verdict("L10", **scores, **{"bad tail, SFT": 0.05, "bad tail, V2": tail})

    assert l10() == "holds"
    assert l10(tail=0.2) == "contradicted"
    assert l10(tail=0.05) == "not_shown"
    assert l10(v1=0.9) == "contradicted"  # V1 above V2
    assert l10(v2=0.3, v1=0.3) == "not_shown"


# --- measures ------------------------------------------------------------------------------------


def test_raters_prefer_the_demonstrated_reply_to_a_silly_one():
    from llamalite.world.vendors import demonstrations

    world = World(WorldConfig(people=40, attributes=5, towns=6))
    made = demonstrations(world, "careful", 30, 0, safety_share=0.3, borderline_share=0.1)
    shown = list(made)
    raters = [Annotator(world, number) for number in range(3)]
    good = [Reply(each.reply, 5, True) for each in shown]
    silly = [Reply("No no no no.", 5, True) for _ in shown]
    judges = Judges([each.prompt for each in shown], Grader(world), raters)
    them = Judged(judges, {"good": good, "silly": silly, "again": good})
    helpful, safe = them.on("helpfulness"), them.on("safety")
    assert helpful
    assert safe
    assert not set(helpful) & set(safe)
    assert len(helpful) + len(safe) < 30  # borderline prompts are compared by neither
    assert them.credit("good", "silly", "helpfulness", 1).mean() > 0.9
    assert them.credit("silly", "good", "helpfulness", 1).mean() < 0.1
    assert np.mean(them.gold("good", "helpfulness", "helpfulness")) > 0.6
    assert len(them.gold("silly", "safety", "violation")) == len(safe)
