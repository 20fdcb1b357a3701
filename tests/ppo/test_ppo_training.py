"""PPO on a tiny policy with rewards made by hand: its first step, its course, its end."""

import csv
import itertools
import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import killed_run
import pytest
import torch
from tiny import LETTERS, letters, make_prompts, settings

from llamalite.model.checkpoint import save_model
from llamalite.ppo.config import PPOConfig
from llamalite.ppo.recipe import steered, tune
from llamalite.reward.combine import piecewise_rule
from llamalite.scoring import Scoring, alone
from llamalite.training_config import OptimizerConfig, ParallelConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "ppo.json"
HELD_OUT = make_prompts(12, "held-out-")


def rows(path):
    with path.open() as stream:
        return [
            {name: float(value or "nan") for name, value in row.items()}
            for row in csv.DictReader(stream)
        ]


@pytest.fixture
def run(policy, tokenizer, prompts, tmp_path):
    """Tunes the tiny policy; gives what was tuned, and the rows of both tables."""

    def run(scoring=LETTERS, folder="run", **changes):
        more = {name: changes.pop(name) for name in ("grader", "value") if name in changes}
        work = tmp_path / folder
        work.mkdir(exist_ok=True)
        tuned = tune(
            settings(**changes),
            policy,
            tokenizer,
            prompts,
            HELD_OUT,
            scoring,
            0,
            work=work,
            metrics_file=work / "metrics.csv",
            iterations_file=work / "iterations.csv",
            progress=False,
            **more,
        )
        return tuned, rows(work / "iterations.csv"), rows(work / "metrics.csv")

    return run


# --- the first step ------------------------------------------------------------------------------
def test_at_the_first_step_the_ratio_is_1_and_the_kl_0(run):
    _, (first,), (step, *_) = run(iterations=1)
    assert first["kl_k1"] == pytest.approx(0, abs=1e-5)
    assert first["kl_k3"] == pytest.approx(0, abs=1e-5)
    assert step["ratio"] == pytest.approx(1, abs=1e-5)
    assert step["update_kl"] == pytest.approx(0, abs=1e-5)
    assert step["clip_fraction"] == 0
    # nothing was learned: nearly all 300 pieces are as likely
    assert first["entropy"] == pytest.approx(math.log(300), abs=0.1)
    assert step["entropy"] == pytest.approx(math.log(300), abs=0.1)
    # a value of 0 foresees nothing, and the first batch whitens itself
    assert first["explained_variance"] == 0
    assert first["whitened_score"] == pytest.approx(0, abs=1e-6)
    assert first["reward"] == pytest.approx(0, abs=1e-5)


# --- the course ----------------------------------------------------------------------------------
def test_twenty_steps_follow_the_recorded_course(run):
    """Recorded anew with LLAMALITE_GOLDEN=1, which the commit then explains."""
    _, iterations, steps = run(target_kl=1.0, horizon=1000, missing_eos_penalty=1.0)
    found = {
        name: [row[name] for row in table]
        for table, names in (
            (iterations, ("score_score", "kl_k3", "reward", "explained_variance", "beta")),
            (steps, ("policy_loss", "value_loss", "entropy", "update_kl", "gradient_norm")),
        )
        for name in names
    }
    if os.environ.get("LLAMALITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert len(golden["policy_loss"]) == 20
    assert len(golden["reward"]) == 10
    for name, values in golden.items():
        assert found[name] == pytest.approx(values, rel=2e-2, abs=2e-4), name


def test_a_reward_made_by_hand_rises(run):
    tuned, iterations, steps = run(iterations=20)
    assert iterations[-1]["score_score"] > iterations[0]["score_score"] + 0.5
    assert iterations[-1]["kl_k1"] > 0.5
    assert tuned.report["steps"] == len(steps) == 40
    # k3 is below nothing, and at the end both estimate the same
    assert all(row["kl_k3"] >= 0 for row in iterations)
    assert iterations[-1]["kl_k3"] == pytest.approx(iterations[-1]["kl_k1"], abs=1.0)


def test_a_large_beta_keeps_the_policy_near_the_reference(run):
    # in small steps: Adam's are as long under any beta, and wander by themselves
    small = OptimizerConfig(lr=1e-3, schedule="constant", weight_decay=0.0)
    _, free, _ = run(iterations=25, folder="free", beta=0.0, optimizer=small)
    _, bound, _ = run(iterations=25, folder="bound", beta=20.0, optimizer=small)
    assert bound[-1]["kl_k3"] < 0.1 * free[-1]["kl_k3"]
    assert bound[-1]["kl_k3"] < 0.1  # nats a reply


def test_an_adaptive_beta_grows_while_the_kl_is_too_large(run):
    _, table, _ = run(iterations=12, target_kl=1e-3, horizon=100)
    betas = [row["beta"] for row in table]
    assert betas[0] == 0.02
    assert all(b > a for a, b in itertools.pairwise(betas[6:]))  # the first KLs are mere noise
    # at most 20 % x 32 / 100 an iteration
    assert all(b / a <= 1.064 + 1e-9 for a, b in itertools.pairwise(betas))


def test_replies_without_an_end_become_rare_when_they_cost(run):
    def nothing(dialogues, replies):
        return torch.zeros(len(replies))

    _, table, _ = run(
        alone(nothing),
        iterations=30,
        whitening="none",
        missing_eos_penalty=4.0,
        beta=0.0,
        optimizer=OptimizerConfig(lr=1e-2, schedule="constant"),
    )
    assert table[-1]["eos_rate"] > table[0]["eos_rate"] + 0.3
    assert table[-1]["reply_tokens"] < table[0]["reply_tokens"]


def test_parts_of_a_mini_batch_add_up_to_the_whole(run):
    whole, *_ = run(iterations=2, folder="whole")
    parts, *_ = run(iterations=2, folder="parts", accumulation=4)
    for a, b in zip(whole.policy.parameters(), parts.policy.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_more_epochs_take_more_steps_on_the_same_replies(run):
    tuned, iterations, steps = run(iterations=3, epochs=2)
    assert (len(iterations), len(steps), tuned.report["iterations"]) == (3, 12, 3)


# --- rewards -------------------------------------------------------------------------------------
def test_both_reward_models_and_the_truth_are_logged(run):
    class Grade:
        helpfulness, violation = 0.25, True

    class Grader:
        def grade(self, prompt, reply):
            return Grade()

    def combine(scores, is_safety):
        return torch.where(is_safety, scores["safety"], scores["helpfulness"])

    ones = lambda dialogues, replies: [1.0] * len(replies)  # noqa: E731
    twos = lambda dialogues, replies: [2.0] * len(replies)  # noqa: E731
    scoring = Scoring({"helpfulness": twos, "safety": ones}, combine)
    _, (row,), _ = run(scoring, iterations=1, grader=Grader())
    assert (row["score_helpfulness"], row["score_safety"]) == (2, 1)
    # 10 of 40 prompts are about safety, 32 of them are drawn
    assert 2 - 10 / 32 <= row["combined"] <= 2 - 2 / 32
    assert (row["gold_helpfulness"], row["gold_violations"]) == (0.25, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_stops_it_and_names_the_prompt(run, bad):
    def broken(dialogues, replies):
        bad_one = [bad if "Selka" in d[-1]["content"] else 0.0 for d in dialogues]
        return torch.tensor(bad_one)

    with pytest.raises(ValueError, match=r"'score' is not finite for \d+ of 32 .*prompts p\d+ \("):
        run(alone(broken), iterations=1)


def test_a_reward_of_another_length_is_refused(run):
    with pytest.raises(ValueError, match="'score' gave 1 scores for 32 replies"):
        run(alone(lambda dialogues, replies: [0.0]), iterations=1)


# --- held-out prompts ----------------------------------------------------------------------------
def test_it_stops_when_held_out_prompts_gain_nothing_and_keeps_the_best(run, policy):
    def worse(dialogues, replies):  # what is learned on the prompts is worthless on the others
        worse.calls += 1
        held_out = len(replies) == len(HELD_OUT)
        return letters(dialogues, replies) - (worse.calls if held_out else 0)

    worse.calls = 0
    tuned, iterations, _ = run(alone(worse), iterations=20, evaluate_every=2, patience=2)
    assert [point["iteration"] for point in tuned.evaluations] == [0, 2, 4]
    assert (tuned.report["stopped_early"], tuned.report["kept_iteration"]) == (1, 0)
    assert len(iterations) == tuned.report["iterations"] == 4
    for a, b in zip(tuned.policy.parameters(), policy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_without_cause_it_does_not_stop(run):
    tuned, _, _ = run(iterations=25, evaluate_every=10)
    assert [point["iteration"] for point in tuned.evaluations] == [0, 10, 20, 25]
    assert tuned.report["stopped_early"] == 0
    # in units of the first policy's spread, less beta KL
    assert tuned.evaluations[0]["objective"] == pytest.approx(0, abs=1e-4)
    assert tuned.report["held_out_objective"] > 1
    assert tuned.report["kept_iteration"] in (20, 25)


# --- what does not fit ---------------------------------------------------------------------------
def test_prompts_without_room_are_dropped_or_refused(run):
    tuned, *_ = run(iterations=1, max_new_tokens=35)
    assert 0 < tuned.report["dropped_too_long"] < 52
    with pytest.raises(ValueError, match="leave no room for 60 new tokens in a context of 64"):
        run(folder="none", iterations=1, max_new_tokens=60)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"iterations": 0}, "iterations is 0"),
        ({"beta": -1.0}, r"beta is -1\.0"),
        ({"beta": math.nan}, "beta is nan"),
        ({"clip": 1.0}, r"clip is 1\.0"),
        ({"gae_lambda": 1.1}, r"gae_lambda is 1\.1"),
        ({"whitening": "all"}, "choose running, first, batch or none"),
        ({"combination": "both"}, "choose piecewise, helpfulness or safety"),
        ({"batch_size": 500}, "500 does not divide into mini-batches of 64"),
        ({"accumulation": 3}, "64 does not divide into 3 parts"),
        ({"held_out": 0}, "evaluate_every needs held_out prompts"),
        ({"safety_share": 0.7, "borderline_share": 0.7}, "add up to more than 1"),
    ],
)
def test_unusable_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        PPOConfig(**changes)


def test_one_reward_model_alone_can_steer():
    scores = {"helpfulness": torch.tensor([1.0, 2.0]), "safety": torch.tensor([-3.0, 4.0])}
    tagged = torch.tensor([True, False])
    both = Scoring({}, piecewise_rule(0.15))
    made = {
        name: steered(both, name).combine(scores, tagged).tolist()
        for name in ("piecewise", "helpfulness", "safety")
    }
    assert made == {"piecewise": [-3, 2], "helpfulness": [1, 2], "safety": [-3, 4]}


# --- kill -9 -------------------------------------------------------------------------------------
def test_kill_9_ends_with_the_same_bytes(policy, tmp_path):
    save_model(tmp_path / "policy", policy)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert killed_run.start(tmp_path / "policy", whole) == 0
    # within an iteration, at the start of one, and when all steps are done
    for kill_at in (7, 9, killed_run.STEPS + 1):
        assert killed_run.start(tmp_path / "policy", killed, kill_at) == -signal.SIGKILL
        assert not (killed / "model.safetensors").exists()
    assert killed_run.start(tmp_path / "policy", killed) == 0
    assert int((killed / "resumed").read_text()) == killed_run.STEPS
    for name in ("model.safetensors", "iterations.csv", "evaluations.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    ended, once = (rows(folder / "metrics.csv") for folder in (killed, whole))
    assert [row["loss"] for row in ended] == [row["loss"] for row in once]


def test_the_papers_numbers_are_the_defaults():
    """Section 3.2.3."""
    config = PPOConfig()
    assert (config.batch_size, config.mini_batch_size, config.updates) == (512, 64, 8)
    assert (config.clip, config.beta) == (0.2, 0.01)
    assert 200 <= config.iterations <= 400
    assert config.optimizer == OptimizerConfig(
        lr=1e-6, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.1, clip=1.0, schedule="constant"
    )
    assert replace(config, parallel=ParallelConfig()) == config


def test_policy_and_values_learn_at_their_own_rates(run):
    tuned, _, steps = run(iterations=3, value_lr=1e-2)
    alone, *_ = run(folder="alone", iterations=3)
    assert steps[0]["lr"] == 3e-3  # the policy's
    # within the first iteration the policy does not see what the values learn
    again, _, first = run(folder="first", iterations=1, value_lr=1e-2)
    once, _, plain = run(folder="once", iterations=1)
    for a, b in zip(again.policy.parameters(), once.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    assert first[1]["policy_loss"] == plain[1]["policy_loss"]
    assert first[1]["value_loss"] != plain[1]["value_loss"]
    # later it does
    assert not torch.equal(tuned.policy.output.weight, alone.policy.output.weight)
