"""The studies of Ghost Attention and of safety tuning: what they share, measure and conclude."""

import json
from pathlib import Path

import numpy as np
import pytest

from llamalite.artifacts import Artifact, drafting
from llamalite.claims import all_studies
from llamalite.claims.jobs import StageJob, plan_jobs, stages_until, study_config
from llamalite.claims.safety_data import SafetyDataConfig, mix
from llamalite.claims.stages import STUDY_STAGES
from llamalite.claims.studies_distillation import best
from llamalite.claims.studies_ghost import kept_by_both
from llamalite.claims.studies_safety import courses, rises
from llamalite.presets import get_preset
from llamalite.sft.config import SFTConfig
from llamalite.world import Grader, World, WorldConfig
from llamalite.world.vendors import demonstrations

LAPTOP = get_preset("laptop")


def constant(n=200, /, **values):
    """Metrics of n equal items each."""
    return {name: [float(value)] * n for name, value in values.items()}


def verdict(claim, measured, seeds=3):
    return all_studies()[claim].rule.judge([measured] * seeds)[0]


def stages(*ids, seeds=(1,)):
    studies = [all_studies()[name] for name in ids]
    jobs = plan_jobs(studies, LAPTOP, seeds, Path("/runs")).values()
    return [job for job in jobs if isinstance(job, StageJob)]


# --- runs ----------------------------------------------------------------------------------------


def test_g1_rests_on_the_sft_model_alone():
    assert [job.stage for job in stages("G1")] == [
        *("world", "tokenizer", "pretrain", "sft", "ghost_attention_0"),
    ]
    (study_stage,) = (stage for stage in STUDY_STAGES if stage.name == "ghost_attention_0")
    assert study_stage.config(LAPTOP) is LAPTOP.ghost_attention


def test_f1_and_f2_share_six_models_of_one_base():
    names = [job.stage for job in stages("F1", "F2")]
    assert sorted(names) == sorted(["world", "tokenizer", "pretrain", *["safety_data"] * 6])
    arms = study_config(all_studies()["F1"], LAPTOP)
    assert list(arms) == ["0%", "1%", "10%", "25%", "50%", "100%"]
    assert [arm["safety_data"]["fraction"] for arm in arms.values()] == [0, 0.01, 0.1, 0.25, 0.5, 1]
    others = [{**arm["safety_data"], "fraction": None} for arm in arms.values()]
    assert all(other == others[0] for other in others)
    assert all(arm["pretrain"] == arms["0%"]["pretrain"] for arm in arms.values())
    assert len({job.key for job in stages("F1", seeds=(1, 2))}) == 18


def test_f3_and_f4_share_an_arm_and_the_reward_models_of_r1():
    names = [stage.name for stage in stages_until("safety_0")]
    assert names[-3:] == ["preferences_1", "reward_1", "safety_0"]
    both = stages("F3", "F4")
    assert sum(job.stage == "safety_0" for job in both) == 3
    assert {job.key for job in stages("R1")} < {job.key for job in both}


def test_f3_changes_the_answers_and_f4_the_gate():
    for claim, key, values in (
        ("F3", "distil", ["generic", "template"]),
        ("F4", "gate", ["reward", "none"]),
    ):
        arms = [arm["safety_0"] for arm in study_config(all_studies()[claim], LAPTOP).values()]
        assert {name for name in arms[0] if len({str(arm[name]) for arm in arms}) > 1} == {key}
        assert [arm[key] for arm in arms] == values
    f3 = study_config(all_studies()["F3"], LAPTOP)
    assert {arm["safety_0"]["gate"] for arm in f3.values()} == {"none"}


# --- verdicts on hand-made numbers ---------------------------------------------------------------


def g1(**changes):
    given = {
        "kept from turn 4, with": 0.8,
        "kept from turn 4, without": 0.1,
        "kept at turn 1, without": 0.9,
        "kept from turn 20, with": 0.7,
        "more kept from turn 20": 0.6,
    }
    return verdict("G1", constant(**(given | changes)))


def test_g1_is_lost_without_and_held_with():
    assert g1() == "holds"
    assert g1(**{"kept from turn 4, with": 0.1}) == "not_shown"  # a tie
    assert g1(**{"kept from turn 4, with": 0.05}) == "contradicted"
    assert g1(**{"kept from turn 4, without": 0.6}) == "contradicted"  # not lost
    assert g1(**{"kept at turn 1, without": 0.1}) == "not_shown"  # it never had it
    assert g1(**{"kept from turn 20, with": 0.4}) == "contradicted"  # more, but lost too
    assert g1(**{"kept from turn 20, with": 0.5, "more kept from turn 20": 0.3}) == "not_shown"
    assert g1(**{"more kept from turn 20": 0.2}) == "contradicted"


def f1(**changes):
    given = {
        "safety grade, rise": 0.4,
        "violations, rise": -0.2,
        "worst grade, rise": -0.1,
        "help, rise": 0.0,
    }
    return verdict("F1", constant(**(given | changes)))


def test_f1_is_safer_with_a_thinner_tail_and_as_helpful():
    assert f1() == "holds"
    assert f1(**{"help, rise": 0.029}) == f1(**{"help, rise": -0.029}) == "holds"
    assert f1(**{"help, rise": -0.1}) == f1(**{"help, rise": 0.1}) == "contradicted"
    assert f1(**{"help, rise": 0.03}) == "not_shown"
    assert f1(**{"safety grade, rise": 0}) == "not_shown"
    assert f1(**{"safety grade, rise": -0.1}) == "contradicted"
    assert f1(**{"violations, rise": 0}) == "not_shown"
    assert f1(**{"worst grade, rise": 0.1}) == "contradicted"


def test_f1_is_not_flat_by_want_of_prompts():
    # mean 0, but 20 prompts that scatter by a half do not show it within .03
    wide = constant(
        20, **{"safety grade, rise": 1, "violations, rise": -1, "worst grade, rise": -1}
    )
    assert verdict("F1", wide | {"help, rise": [0.5, -0.5] * 10}) == "not_shown"
    assert verdict("F1", wide | {"help, rise": [0.5, -0.5] * 5000}) == "holds"


def test_f2_is_a_rise_and_far_more_on_borderline_prompts():
    def f2(borderline, thrice):
        given = {"borderline refused, rise": borderline, "3 x ordinary refused, rise": thrice}
        return verdict("F2", constant(**given))

    assert f2(0.12, 0.01) == "holds"
    assert f2(0.12, 0.12) == "not_shown"
    assert f2(0.12, 0.3) == "contradicted"
    assert f2(0.0, -0.1) == "not_shown"
    assert f2(-0.1, -0.2) == "contradicted"


def f3(**changes):
    given = {
        "score, original": 0.6,
        "score, generic preprompt": 0.7,
        "score, answer template": 0.8,
        "safety grade, SFT": 3.0,
        "safety grade, distilled from generic": 3.5,
        "safety grade, distilled from template": 3.5,
    }
    return verdict("F3", constant(**(given | changes)))


def test_f3_is_an_order_of_answers_and_a_gain_of_the_models():
    assert f3() == "holds"
    assert f3(**{"score, answer template": 0.7}) == "not_shown"
    assert f3(**{"score, answer template": 0.6}) == "contradicted"
    assert f3(**{"score, original": 0.75}) == "contradicted"
    assert f3(**{"safety grade, distilled from generic": 3.0}) == "not_shown"
    assert f3(**{"safety grade, distilled from template": 2.9}) == "contradicted"


def test_f4_is_a_harm_and_its_avoidance():
    def f4(again, distilled, gate, none):
        given = {
            "score of good ones, second original": again,
            "score of good ones, distilled": distilled,
            "safety grade of good ones, gate": gate,
            "safety grade of good ones, no gate": none,
        }
        return verdict("F4", constant(**given))

    assert f4(0.7, 0.6, 4.0, 3.5) == "holds"
    assert f4(0.7, 0.7, 4.0, 3.5) == "not_shown"  # no harm to avoid
    assert f4(0.7, 0.8, 4.0, 3.5) == "contradicted"  # the reverse of harm
    assert f4(0.7, 0.6, 3.5, 3.5) == "not_shown"
    assert f4(0.7, 0.6, 3.5, 4.0) == "contradicted"


@pytest.mark.parametrize("claim", ["G1", "F1", "F2", "F3", "F4"])
def test_two_seeds_decide_nothing(claim):
    rule = all_studies()[claim].rule
    metrics = {
        name: 0.1
        for condition in rule.conditions
        for name in (getattr(condition, part, "") for part in ("metric", "high", "low"))
        if name
    }
    assert verdict(claim, constant(**metrics), seeds=2) == "not_shown"


# --- measures ------------------------------------------------------------------------------------


def test_dialogues_count_from_a_turn_that_both_models_reach():
    yes, no = True, False
    tuned = [[yes] * 22, [yes] * 19 + [no, no, yes], [yes] * 5, [no, yes]]
    untuned = [[yes] + [no] * 21, [no] * 22, [yes, yes, yes, yes], [yes] * 22]
    found = kept_by_both(tuned, untuned)
    # the fourth dialogue ends at turn 2, the third at turn 4
    assert found["kept at turn 1, with"] == [1, 1, 1]
    assert found["kept at turn 1, without"] == [1, 0, 1]
    assert found["kept from turn 4, with"] == pytest.approx([1, 17 / 19, 1])
    assert found["kept from turn 4, without"] == [0, 0, 1]
    assert found["kept from turn 20, with"] == pytest.approx([1, 1 / 3])
    assert found["kept from turn 20, without"] == [0, 0]
    assert found["more kept from turn 20"] == pytest.approx([1, 1 / 3])


def test_turns_nobody_reaches_decide_nothing():
    found = kept_by_both([[True] * 6], [[False] * 6])
    _, findings = all_studies()["G1"].rule.judge([found] * 3)
    assert {f.verdict for f in findings if "turn 20" in f.condition} == {"not_shown"}
    _, findings = all_studies()["G1"].rule.judge([kept_by_both([[True]], [[]])] * 3)
    assert {f.verdict for f in findings} == {"not_shown"}


def test_a_rise_is_the_fitted_line_from_end_to_end():
    table = np.random.default_rng(0).random((6, 40))
    fitted = np.polyfit(range(6), table, 1)[0] * 5
    assert rises(table) == pytest.approx(fitted)
    assert rises([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]]).tolist() == [2, 0]
    found = courses({"help": [[0, 1], [1, 1]]})
    assert found["help, rise"].tolist() == [1, 0]
    assert found["curve help"] == [0.5, 1]


def test_the_better_half():
    assert best(np.array([1.0, 4.0, 2.0, 3.0])).tolist() == [False, True, False, True]
    assert best(np.array([2.0, 2.0])).all()


@pytest.fixture
def world(tmp_path):
    made = World(WorldConfig(people=30, attributes=5, towns=6))
    with drafting(tmp_path / "world", "world", made.config, {}, 0) as draft:
        made.save(draft.path / "world.json")
    return made, Artifact.open(tmp_path / "world")


def test_mixes_have_all_the_helpful_and_a_part_of_the_safe(world):
    made, artifact = world
    sft = SFTConfig(examples=90, vendor="mixed", safety_share=0.3, borderline_share=0.3)

    def rows(fraction, seed=5):
        return [json.dumps(each) for each in mix(SafetyDataConfig(sft, fraction), artifact, seed)]

    none, half, whole = (rows(fraction) for fraction in (0.0, 0.5, 1.0))
    assert [len(each) for each in (none, half, whole)] == [90, 95, 100]
    assert set(none) < set(half) < set(whole)
    assert rows(1.0) == whole
    assert set(rows(0.0, seed=6)) != set(none)
    # of the helpful ones none is adversarial or borderline, the others all are adversarial
    helpful = demonstrations(made, "mixed", 90, 5)
    assert {
        each["content"] for row in none for each in json.loads(row) if each["role"] == "user"
    } == {m["content"] for d in helpful for m in d.prompt.messages if m["role"] == "user"}
    safe = {
        d.prompt.messages[-1]["content"]: d
        for d in demonstrations(made, "careful", 10, 5, safety_share=1.0)
    }
    added = [json.loads(row) for row in set(whole) - set(none)]
    assert {dialogue[-2]["content"] for dialogue in added} == set(safe)
    grader = Grader(made)
    assert all(d.prompt.is_safety for d in safe.values())
    assert sum(grader.grade(d.prompt, d.reply).violation for d in safe.values()) <= 1
