"""Claims of section 3.2.2 about the reward models as they are trained: R1, R3 and R8."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from llamalite.claims.budgets import prompts_per_kind
from llamalite.claims.influence import rank_correlation_items, slope_items
from llamalite.claims.reward_runs import CLOSE, REWARD, kept_apart, own_settings, scored, some
from llamalite.claims.rules import Above, Below, Greater, GreaterApart, Rule
from llamalite.claims.studies_pretraining import load_trained
from llamalite.claims.study import Finished, claim
from llamalite.preferences.protocol import GUIDELINES, RATINGS
from llamalite.protocols import ADVERSARIAL, BORDERLINE

CHANCE = 0.5
GRADES = {"helpfulness": ("likert", 7), "safety": ("safety", 5)}
"""The grade of single replies that each model should follow, and how many steps it has."""


@claim(
    "R1",
    Rule(
        "On comparisons kept apart each model, on those of its own guideline, agrees with the "
        "annotators' choice more often where they rated it significantly better than where "
        "slightly or negligibly, and over all four ratings the share of agreement falls (its "
        "least-squares slope per step of the rating is negative). All of it must hold for both "
        "models. Pairs whose replies the truth has equally good are left out and reported apart.",
        tuple(
            condition
            for name in GUIDELINES
            for condition in (
                GreaterApart(f"{name}, significantly", f"{name}, slightly or negligibly"),
                Below(f"{name}, slope"),
            )
        ),
    ),
    arms=own_settings,
    until=REWARD,
)
def accuracy_by_rating(finished: Finished) -> dict[str, Any]:
    """Whether each model orders each pair as the annotators did, by rating.

    A rating nobody gave counts as chance, which decides nothing.
    """
    stages = finished.arms["own"]
    found: dict[str, Any] = {}
    for name in GUIDELINES:
        apart = kept_apart(finished.preset, stages, name)
        right = scored(stages, name, apart).right
        decided, rating = right[~apart.tie], apart.rating[~apart.tie]
        found[f"{name}, significantly"] = some(decided[rating == 0], CHANCE)
        found[f"{name}, slightly or negligibly"] = some(decided[rating >= CLOSE], CHANCE)
        found[f"{name}, slope"] = some(slope_items(rating, decided), 0.0)
        found[f"{name}, all"] = some(decided, CHANCE)
        found[f"{name}, ties by the truth"] = some(right[apart.tie], CHANCE)
        of_rating = [decided[rating == place] for place in range(len(RATINGS))]
        found[f"curve pairs by rating, {name}"] = [len(each) for each in of_rating]
        found[f"curve accuracy by rating, {name}"] = [mean(each) for each in of_rating]
    return found


@claim(
    "R3",
    Rule(
        "Both models judge the same comparisons kept apart. On those collected by the helpfulness "
        "guideline the helpfulness model agrees with the annotators more often than the safety "
        "model, and on those by the safety guideline the safety model more often than the "
        "helpfulness model. Pairs rated negligibly better, or equally good by the truth, are left "
        "out.",
        (
            Greater("helpfulness model on helpfulness", "safety model on helpfulness"),
            Greater("safety model on safety", "helpfulness model on safety"),
        ),
    ),
    arms=own_settings,
    until=REWARD,
)
def own_domain(finished: Finished) -> dict[str, Any]:
    """Whether each of the two models is right about each pair, of either guideline."""
    stages = finished.arms["own"]
    found: dict[str, Any] = {}
    for domain in GUIDELINES:
        apart = kept_apart(finished.preset, stages, domain)
        counts = ~apart.tie & (apart.rating < len(RATINGS) - 1)
        for model in GUIDELINES:
            right = scored(stages, model, apart).right
            found[f"{model} model on {domain}"] = some(right[counts], CHANCE)
            found[f"{model} model on {domain}, with ties"] = some(right, CHANCE)
    return found


@claim(
    "R8",
    Rule(
        "The chat model replies once to each test prompt. The helpfulness model's scores of the "
        "replies to ordinary prompts rise with the true 7-point Likert grade, and the safety "
        "model's of those to adversarial and borderline prompts with the true 5-point safety "
        "grade: Spearman's rank correlation is above 0. Both must hold.",
        tuple(Above(f"{name}, rank correlation") for name in GUIDELINES),
    ),
    arms=own_settings,
    until=REWARD,
)
def pointwise(finished: Finished) -> dict[str, Any]:
    """Rank correlations of score and grade, mean scores by grade, and calibration.

    Beside them, for comparison, how far the mere length of a reply goes.
    """
    from llamalite.evaluation.replies import grade_replies, held_out_prompts, write_replies
    from llamalite.reward.metrics import pair_calibration
    from llamalite.reward.scorer import RewardScorer
    from llamalite.world import Grader

    stages = finished.arms["own"]
    world, model, tokenizer = load_trained(stages, "sft")
    config = replace(finished.preset.evaluate, prompts_per_kind=prompts_per_kind(finished.preset))
    found: dict[str, Any] = {}
    for name in GUIDELINES:
        kinds = world.kinds if name == "helpfulness" else (ADVERSARIAL, BORDERLINE)
        prompts = held_out_prompts(world, config, kinds)
        replies = write_replies(model, tokenizer, prompts, config, seed=finished.seed)
        graded = grade_replies(Grader(world), prompts, replies)
        key, steps = GRADES[name]
        grades = np.array([item[key] for item in graded])
        scorer = RewardScorer.load(stages[REWARD].path / name, tokenizer)
        dialogues = [prompt.messages for prompt in prompts]
        ended = [reply.finished for reply in replies]
        scores = scorer(dialogues, [reply.text for reply in replies], ended).numpy()
        found[f"{name}, rank correlation"] = rank_correlation_items(scores, grades)
        lengths = [reply.tokens for reply in replies]
        found[f"{name}, rank correlation of the length"] = rank_correlation_items(lengths, grades)
        by_grade = [scores[grades == grade] for grade in range(1, steps + 1)]
        found[f"curve replies by grade, {name}"] = [len(each) for each in by_grade]
        found[f"curve mean score by grade, {name}"] = [mean(each) for each in by_grade]
        apart = kept_apart(finished.preset, stages, name)
        calibration = pair_calibration(scored(stages, name, apart))
        found[f"{name}, calibration error"] = calibration["expected_error"]
        for axis in ("predicted", "observed", "count"):
            found[f"curve {axis}, {name}"] = [row[axis] for row in calibration["bins"]]
    return found


def mean(values: Any) -> float | None:
    """The mean, or None of nothing: for curves, not for rules."""
    return float(np.mean(values)) if len(values) else None
