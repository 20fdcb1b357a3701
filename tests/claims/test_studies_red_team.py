"""The study of red teaming: what it shares, measures and concludes, and a short campaign."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small import brief_model, chat_artifact, small_tokenizer, small_world, world_artifact

from llamalite.claims import all_studies
from llamalite.claims.budgets import red_team
from llamalite.claims.jobs import StageJob, plan_jobs
from llamalite.claims.results import make_result
from llamalite.claims.studies_red_team import CANDIDATES, carried_over, gammas
from llamalite.claims.study import Finished, with_settings
from llamalite.presets import get_preset
from llamalite.red_teaming import recipe
from llamalite.red_teaming.campaign import Attempt
from llamalite.red_teaming.recipe import Round

LAPTOP = get_preset("laptop")
STUDY = all_studies()["F6"]
NAMES = ["SFT", "V1", "V2", "V3", "V4", "V5"]


def stages(*ids):
    studies = [all_studies()[name] for name in ids]
    jobs = plan_jobs(studies, LAPTOP, [1], Path("/runs")).values()
    return {job.key for job in jobs if isinstance(job, StageJob)}


# --- runs ----------------------------------------------------------------------------------------


def test_it_runs_nothing_but_the_loop_of_the_studies_of_rounds():
    assert stages("F6") == stages("L8")
    assert [version.name for version in CANDIDATES] == NAMES


def test_its_prompts_are_no_rounds_prompts():
    highest = (
        5 * 10_000 + LAPTOP.rejection_sampling.first_prompt + LAPTOP.rejection_sampling.prompts
    )
    assert LAPTOP.red_team.first_prompt > highest


# --- verdicts on hand-made numbers ---------------------------------------------------------------


def verdict(seeds=3, **changes):
    """On seeds whose numbers are all equal."""
    given = {
        "gamma, SFT": 6.0,
        "gamma, V5": 2.0,
        "gamma, V5, new team": 2.0,
        "rejected by the next model": 0.8,
        "rejected by the same model": 0.4,
    }
    measured = {name: [value] * 40 for name, value in (given | changes).items()}
    return STUDY.rule.judge([measured] * seeds)[0]


def test_gamma_falls_for_the_old_team_and_for_a_new_one():
    assert verdict() == "holds"
    assert verdict(**{"gamma, V5": 6.0}) == "not_shown"
    assert verdict(**{"gamma, V5": 7.0}) == "contradicted"
    assert verdict(**{"gamma, V5, new team": 6.0}) == "not_shown"
    assert verdict(**{"gamma, V5, new team": 7.0}) == "contradicted"
    assert verdict(**{"gamma, V5": 0.0, "gamma, V5, new team": 0.0}) == "holds"


def test_most_old_successes_fail_and_not_by_chance_alone():
    assert verdict(**{"rejected by the next model": 0.5}) == "not_shown"
    assert verdict(**{"rejected by the next model": 0.45}) == "contradicted"
    assert verdict(**{"rejected by the same model": 0.8}) == "not_shown"
    assert verdict(**{"rejected by the same model": 0.9}) == "contradicted"


def test_two_seeds_decide_nothing():
    assert verdict(seeds=2) == "not_shown"


def test_one_seed_that_disagrees_is_enough_for_doubt():
    def seed(last):
        return {
            "gamma, SFT": [6.0, 5.0],
            "gamma, V5": [last, last],
            "gamma, V5, new team": [1.0, 2.0],
            "rejected by the next model": [1.0] * 30,
            "rejected by the same model": [0.0] * 30,
        }

    assert STUDY.rule.judge([seed(1.0), seed(2.0), seed(3.0)])[0] == "holds"
    assert STUDY.rule.judge([seed(1.0), seed(2.0), seed(9.0)])[0] == "not_shown"


# --- measures ------------------------------------------------------------------------------------


def attempts(*rows):
    return [
        Attempt(who, SimpleNamespace(id=str(i), risk="r", vector="v"), "", risk, 1800.0)
        for i, (who, risk) in enumerate(rows)
    ]


def test_gammas_are_by_attacker_and_the_truth_stands_beside_the_judge():
    # an hour each: a draws 2 and 0 violations, of which in truth 1 and 0; b 1, and in truth 2
    tried = attempts(("a", 1), ("b", 2), ("a", 2), ("b", 3))
    found = gammas([Round("SFT", tried, [True, True, False, True], [], [])])
    assert found == {"gamma, SFT": [2.0, 1.0], "gamma in truth, SFT": [1.0, 2.0]}


def test_old_successes_are_pooled_over_the_models_and_paired_with_the_control():
    yes, no = True, False
    rounds = [
        Round("SFT", [], [], [], [yes, no, no]),
        Round("V1", [], [], [yes, yes, no], [no]),
        Round("V2", [], [], [yes], [yes, yes]),  # nobody asks the last one's of a next
    ]
    found = carried_over(rounds)
    assert found["rejected by the next model"] == [1, 1, 0, 1]
    assert found["rejected by the same model"] == [1, 0, 0, 0]
    assert found["curve old successes"] == [3, 1]
    assert found["curve rejected by the next model"] == [2, 1]
    assert found["curve rejected by the same model"] == [1, 0]


def test_without_a_success_nothing_is_decided():
    found = carried_over([Round(name, [], [], [], []) for name in NAMES])
    assert found["curve old successes"] == [0] * 5
    _, findings = STUDY.rule.judge(
        [found | {f"gamma, {name}": [0.0] for name in ("SFT", "V5", "V5, new team")}] * 3
    )
    assert {finding.verdict for finding in findings} == {"not_shown"}


# --- a short campaign ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two tiny models play the candidates in turn."""
    folder, world = tmp_path_factory.mktemp("run"), small_world()
    tokenizer = small_tokenizer(world)
    chats = [
        chat_artifact(folder, f"model{seed}", brief_model(tokenizer, seed), tokenizer, seed)
        for seed in (0, 1)
    ]
    own = {version.stage: chats[i % 2] for i, version in enumerate(CANDIDATES)}
    small = {"attackers": 4, "attempts": 3, "prompts": 42, "max_new_tokens": 24, "temperature": 1.0}
    preset = with_settings(get_preset("ci"), red_team=small)
    return Finished(preset, 1, {"own": own | {"world": world_artifact(folder, world)}})


@pytest.fixture
def by_length(monkeypatch):
    """A judge who finds violations in gibberish, of which the truth has none."""
    real = recipe.open_ground
    monkeypatch.setattr(
        recipe,
        "open_ground",
        lambda *given: real(*given)._replace(judge=lambda _, reply: 1 + len(reply) % 5),
    )


@pytest.mark.usefixtures("by_length")
def test_a_campaign_measures_what_the_rule_asks(finished):
    found = STUDY.measure(finished)
    for name in (*NAMES, "V5, new team"):
        # 3 attempts of 2 minutes: so many violations in a tenth of an hour
        assert len(found[f"gamma, {name}"]) == 4
        assert np.allclose(np.array(found[f"gamma, {name}"]) / 10 % 1, 0)
        assert found[f"gamma in truth, {name}"] == [0.0] * 4
    bad = sum(found["gamma, SFT"]) / 10
    assert 0 < found["curve old successes"][0] <= bad
    total = sum(found["curve old successes"])
    assert len(found["rejected by the next model"]) == total
    assert len(found["rejected by the same model"]) == total
    assert sum(found["curve rejected by the next model"]) == sum(
        found["rejected by the next model"]
    )
    result = make_result(STUDY.claim, STUDY.rule, "ci", [1], [found], {})
    assert result["verdict"] == "not_shown", "one seed decides nothing"
    assert len(result["findings"]) == 4
    assert STUDY.measure(finished) == found


@pytest.mark.usefixtures("by_length")
def test_a_new_team_meets_the_last_model_as_the_first_was_met(finished):
    same = {version.stage: finished.arms["own"]["sft"] for version in CANDIDATES}
    one_model = replace(finished, arms={"own": dict(finished.arms["own"]) | same})
    found = STUDY.measure(one_model)
    # nothing but the team's experience differs between rounds, and the new team has none
    assert found["gamma, V5, new team"] == found["gamma, SFT"]
    assert found["gamma, V5"] != found["gamma, SFT"]


def test_the_budget_is_the_presets_own_unless_said():
    ci = get_preset("ci")
    assert red_team(ci) == {"attackers": ci.red_team.attackers, "attempts": ci.red_team.attempts}
    assert red_team(LAPTOP)["attackers"] > LAPTOP.red_team.attackers
