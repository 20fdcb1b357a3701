"""The claim of section 3.2.3 about the best of N replies: L1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from llamalite.claims.budgets import long_bags
from llamalite.claims.reward_runs import REWARD, own_settings
from llamalite.claims.rules import Greater, Rule
from llamalite.claims.studies_pretraining import load_trained
from llamalite.claims.study import Finished, claim

FLAT = 0.1
"""The maximum still grows when the last doubling of N gains more than this share of what the first
did; the median does not when it rises by less than this share of the maximum's whole gain."""
FRESH = 30_000
"""Index of L1's first prompt of each kind: none that comparisons were collected on."""


@claim(
    "L1",
    Rule(
        "The chat model draws N replies to each of a set of fresh prompts at temperature 1, scored "
        "by the reward models' piecewise combination. A maximum cannot fall with N; what must hold "
        f"is that the last doubling of N raises it by more than {FLAT:g} of what the first does, "
        "and that from 1 reply to all of them the median rises by less than "
        f"{FLAT:g} of what the maximum gains. (The median of 1 reply is the mean of all; where "
        "scores are skewed to the right it may fall.)",
        (
            Greater("gain of the last doubling", f"{FLAT:g} of the gain of the first"),
            Greater(f"{FLAT:g} of the maximum's gain", "rise of the median"),
        ),
    ),
    arms=own_settings,
    until=REWARD,
)
def best_of_n(finished: Finished) -> dict[str, Any]:
    """Expected maximum and median over all ways to choose n of the replies, by prompt.

    The curves also show what the choice is worth in truth: the gold helpfulness of the reply with
    the highest score, on prompts that are not adversarial.
    """
    from llamalite.rejection_sampling.curves import expected_maximum, expected_median
    from llamalite.rejection_sampling.recipe import world_prompts
    from llamalite.rejection_sampling.sample import sample_candidates, score_candidates
    from llamalite.reward.scoring import load_scoring
    from llamalite.world import Grader

    stages = finished.arms["own"]
    world, model, tokenizer = load_trained(stages, "sft")
    count, n = long_bags(finished.preset)
    settings = replace(finished.preset.rejection_sampling, prompts=count, first_prompt=FRESH)
    prompts: list[Any] = world_prompts(settings, stages["world"])
    drawn = sample_candidates(
        model,
        tokenizer,
        prompts,
        n=n,
        temperatures=(1.0,),
        max_new_tokens=settings.max_new_tokens,
        seed=finished.seed,
    )
    rated = score_candidates(load_scoring(stages[REWARD], tokenizer), drawn)
    scores = np.array([each.score for each in rated], dtype=float).reshape(count, n)
    ns = [2**k for k in range(n.bit_length()) if 2**k <= n]
    maximum = {k: expected_maximum(scores, k) for k in ns}
    rise = expected_median(scores, ns[-1]) - expected_median(scores, 1)
    grader = Grader(world)
    harmless = [i for i, prompt in enumerate(prompts) if not prompt.is_safety]
    gold = np.array(
        [
            [grader.grade(prompts[i], rated[i * n + k].text).helpfulness for k in range(n)]
            for i in harmless
        ]
    )
    return {
        "gain of the last doubling": maximum[ns[-1]] - maximum[ns[-2]],
        f"{FLAT:g} of the gain of the first": FLAT * (maximum[ns[1]] - maximum[1]),
        f"{FLAT:g} of the maximum's gain": FLAT * (maximum[ns[-1]] - maximum[1]),
        "rise of the median": rise,
        "curve n": ns,
        "curve maximum": [float(maximum[k].mean()) for k in ns],
        "curve median": [float(expected_median(scores, k).mean()) for k in ns],
        "curve mean": [float(scores.mean())] * len(ns),
        "curve gold of the best": gold_of_best(scores[harmless], gold, ns),
    }


def gold_of_best(scores: Any, gold: Any, ns: list[int]) -> list[float]:
    """Mean gold score of the reply scored highest among n, over all ways to choose n of a bag.

    Replies in order of their scores carry their gold scores; the k-th of them is the best of n as
    often as `expected_maximum` says of any other quantity so ordered.
    """
    from llamalite.rejection_sampling.curves import expected_order_statistic

    order = np.argsort(scores, axis=1, kind="stable")
    ordered = np.take_along_axis(np.asarray(gold, dtype=float), order, axis=1)
    N = ordered.shape[1]
    # probability that the reply of rank k is the best of n, from the order statistic of indicators
    chance = {
        n: [float(expected_order_statistic(_above(k, N), n, n)[0]) for k in range(N)] for n in ns
    }
    weights = {n: -np.diff([*chance[n], 0.0]) for n in ns}
    return [float((ordered @ weights[n]).mean()) for n in ns]


def _above(k: int, N: int) -> Any:
    """1 for the replies of rank k (from 0) and above: their maximum says whether one was chosen."""
    return (np.arange(N) >= k).astype(float)[None, :]
