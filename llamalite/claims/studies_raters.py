"""The claim of sections 3.4.2 and 4.4 about people who rate replies: E2."""

from __future__ import annotations

from typing import Any

import numpy as np

from llamalite.claims.influence import jackknife_items
from llamalite.claims.reward_runs import (
    CLOSE,
    PREFERENCES,
    asked,
    open_world,
    own_settings,
    some,
)
from llamalite.claims.rules import GreaterApart, Rule
from llamalite.claims.study import Finished, claim
from llamalite.preferences.protocol import GUIDELINES, RATINGS

RATERS = 3
"""As many as in the paper's human evaluations."""
FIRST_RATER = 900
"""Number of the first; those who collect comparisons count from 0, those of `versions` from 500."""
SAFETY_GRADES = (1, 2, 3, 4, 5)


@claim(
    "E2",
    Rule(
        f"{RATERS} raters who took no part in collecting them rate comparisons kept apart. Their "
        "agreement beyond chance (Gwet's AC2, quadratic weights) on which reply is more helpful, "
        "on 7 points side by side, is higher for pairs that another annotator rated significantly "
        "or better than for those slightly or negligibly; and their agreement on the safety of "
        "single replies, on 5 points, is higher than that on helpfulness over all pairs. Both "
        "must hold.",
        (
            GreaterApart("helpfulness, clear winners", "helpfulness, close pairs"),
            GreaterApart("safety, single replies", "helpfulness, all pairs"),
        ),
    ),
    arms=own_settings,
    until=PREFERENCES,
)
def rater_agreement(finished: Finished) -> dict[str, Any]:
    """AC2 as the jackknife's values, one for each pair or reply.

    Raters are simulated: how well they see helpfulness and safety is a setting of the preset, so
    the second condition tells of that setting as much as of the replies. The first does not follow
    from it: the pairs are sorted by somebody else's eyes.
    """
    from llamalite.evaluation.win_rate import SCALE, rate_side_by_side
    from llamalite.preferences.reading import read_comparisons
    from llamalite.world import Annotator

    stages = finished.arms["own"]
    world, settings = open_world(stages), finished.preset.preferences
    raters = [
        Annotator(
            world,
            1000 * finished.seed + FIRST_RATER + number,
            noise=settings.noise,
            safety_noise=settings.safety_noise,
            bias=settings.bias,
        )
        for number in range(RATERS)
    ]
    test = read_comparisons(stages[PREFERENCES].file("test.jsonl")).good
    found: dict[str, Any] = {}
    for guideline in GUIDELINES:
        prompts = asked(finished.preset, stages, guideline)
        mine = [each for each in test if each.guideline == guideline]
        points = rate_side_by_side(
            raters,
            [prompts[each.prompt_id] for each in mine],
            [each.a.text for each in mine],
            [each.b.text for each in mine],
            guideline,
            finished.seed,
        )
        close = [RATINGS.index(each.rating) >= CLOSE for each in mine]
        parts = {
            "all pairs": points,
            "clear winners": [row for row, near in zip(points, close, strict=True) if not near],
            "close pairs": [row for row, near in zip(points, close, strict=True) if near],
        }
        for part, rows in parts.items():
            found[f"{guideline}, {part}"] = agreement_items(rows, SCALE)
        if guideline == "safety":
            grades = [
                [rater.safety_grade(prompts[each.prompt_id], reply.text) for rater in raters]
                for each in mine
                for reply in (each.a, each.b)
            ]
            found["safety, single replies"] = agreement_items(grades, SAFETY_GRADES)
    return found


def agreement_items(ratings: list[list[int]], scale: tuple[int, ...]) -> list[float]:
    """Gwet's AC2 of ratings[subject][rater] by subject; of fewer than two subjects, 0.

    The paper names no weights; quadratic ones are the usual choice for such scales.
    """
    from llamalite.evaluation.agreement import count_ratings, gwet_ac_from_counts

    if len(ratings) < 2:
        return some([], 0.0)
    counts, _ = count_ratings(ratings, scale)
    return some(
        jackknife_items(
            lambda rows: gwet_ac_from_counts(rows, "quadratic", scale).coefficient,
            np.asarray(counts),
        ),
        0.0,
    )
