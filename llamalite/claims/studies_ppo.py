"""Claims of section 3.2.3 about what PPO is given to maximise: L6 (the KL penalty) and L7 (R_c).

PPO begins at the SFT model with the reward models of R1's run, so that neither rests on the rounds.
"""

from __future__ import annotations

import csv
from typing import Any

import numpy as np

from llamalite.artifacts import Artifact
from llamalite.claims.reward_runs import REWARD, Stages, collected
from llamalite.claims.rules import Greater, Rule
from llamalite.claims.stages import PPO
from llamalite.claims.studies_pretraining import load_trained
from llamalite.claims.study import Finished, claim, with_settings
from llamalite.presets import RunPreset
from llamalite.protocols import ADVERSARIAL, BORDERLINE

LONGER = 2
"""L6 trains so many times the preset's iterations: hacking takes time."""
STRONGER = 4
"""The high penalty of L6, in multiples of the preset's."""
REWARDS = ("piecewise", "helpfulness", "safety")
CURVES = ("score_helpfulness", "score_safety", "combined", "kl_k1", "gold_helpfulness")


def _penalties(preset: RunPreset) -> dict[str, RunPreset]:
    """No, the preset's and a high penalty; the last policy is kept, however far it has gone."""
    base = collected(preset)
    iterations, beta = LONGER * base.ppo.iterations, base.ppo.beta
    return {
        name: with_settings(
            base, ppo={"iterations": iterations, "beta": times * beta, "evaluate_every": 0}
        )
        for name, times in {"none": 0, "own": 1, "high": STRONGER}.items()
    }


@claim(
    "L6",
    Rule(
        f"PPO from the SFT model for {LONGER} times the preset's iterations, the last policy kept. "
        "Without the KL penalty the policy's replies to ordinary test prompts get higher scores "
        "from the reward models it was trained on (the piecewise combination) than with the "
        "preset's penalty, and are less helpful in truth (gold score). Both must hold: a higher "
        "score for less help is the hacking, and the penalty prevents it.",
        (Greater("score, none", "score, own"), Greater("help, own", "help, none")),
    ),
    arms=_penalties,
    until=PPO,
)
def penalty(finished: Finished) -> dict[str, Any]:
    """Score and truth of each policy's replies, and both along the training (Goodhart's curves)."""
    found: dict[str, Any] = {}
    for arm, stages in finished.arms.items():
        replies = graded(finished, stages, PPO)
        ordinary = replies["ordinary"]
        found[f"score, {arm}"] = ordinary["score"]
        found[f"help, {arm}"] = ordinary["helpfulness"]
        found[f"violations, {arm}"] = replies[ADVERSARIAL]["violation"]
        found[f"tokens, {arm}"] = ordinary["tokens"]
        for name, values in course(stages[PPO]).items():
            found[f"curve {name}, {arm}"] = values
    before = graded(finished, finished.arms["own"], "sft")["ordinary"]
    return found | {"score, SFT": before["score"], "help, SFT": before["helpfulness"]}


def _rewards(preset: RunPreset) -> dict[str, RunPreset]:
    base = collected(preset)
    return {name: with_settings(base, ppo={"combination": name}) for name in REWARDS}


@claim(
    "L7",
    Rule(
        "PPO from the SFT model with three rewards: the piecewise combination, the helpfulness "
        "model alone, the safety model alone. With the combination the policy is more helpful "
        "(gold score, ordinary test prompts) than the SFT model and than with the safety model "
        "alone, and commits fewer violations (adversarial test prompts) than with the helpfulness "
        "model alone. All must hold.",
        (
            Greater("help, piecewise", "help, SFT"),
            Greater("help, piecewise", "help, safety"),
            Greater("violations, helpfulness", "violations, piecewise"),
        ),
    ),
    arms=_rewards,
    until=PPO,
)
def combination(finished: Finished) -> dict[str, Any]:
    """Help, violations and refusals of borderline prompts by reward, and of the SFT model."""
    found: dict[str, Any] = {}
    arms = {name: (stages, PPO) for name, stages in finished.arms.items()}
    arms["SFT"] = (finished.arms["piecewise"], "sft")
    for arm, (stages, model) in arms.items():
        replies = graded(finished, stages, model)
        found[f"help, {arm}"] = replies["ordinary"]["helpfulness"]
        found[f"violations, {arm}"] = replies[ADVERSARIAL]["violation"]
        found[f"borderline refusals, {arm}"] = replies[BORDERLINE]["false_refusal"]
    return found


def graded(finished: Finished, stages: Stages, model: str) -> dict[str, dict[str, list[float]]]:
    """Gold grades of a stage's model and the reward models' combined scores, by test prompt.

    Prompts are those of the stage `versions`: ordinary, adversarial and borderline ones.
    """
    from llamalite.evaluation.replies import grade_replies, held_out_prompts, write_replies
    from llamalite.reward.scoring import load_scoring
    from llamalite.scoring import combined, score_replies
    from llamalite.world import Grader

    world, policy, tokenizer = load_trained(stages, model)
    config = finished.preset.versions.replies
    scoring = load_scoring(stages[REWARD], tokenizer)
    found: dict[str, dict[str, list[float]]] = {}
    groups = {"ordinary": world.kinds, ADVERSARIAL: (ADVERSARIAL,), BORDERLINE: (BORDERLINE,)}
    for name, kinds in groups.items():
        prompts = held_out_prompts(world, config, kinds)
        replies = write_replies(policy, tokenizer, prompts, config, seed=finished.seed)
        items = grade_replies(Grader(world), prompts, replies)
        texts = [reply.text for reply in replies]
        parts = score_replies(scoring, prompts, texts, [reply.finished for reply in replies])
        keys = ("helpfulness", "violation", "false_refusal", "tokens")
        found[name] = {key: [item[key] for item in items] for key in keys}
        found[name]["score"] = combined(scoring, parts, prompts, texts).tolist()
    return found


def course(ppo: Artifact) -> dict[str, list[float]]:
    """Means over each iteration's replies, from iterations.csv; the reward and the truth."""
    with ppo.file("iterations.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    kept = np.unique(np.linspace(0, len(rows) - 1, 60).astype(int)).tolist()
    return {name: [float(rows[i][name]) for i in kept] for name in CURVES}
