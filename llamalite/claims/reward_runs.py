"""What the studies of reward models share: their runs, and comparisons kept apart with the truth.

Three runs of the stage `reward` serve all of them. The margin of table 28 concerns the helpfulness
model alone and the auxiliary loss of table 29 the safety model alone, so one run can be an arm of
both comparisons: no model of it differs from its counterpart in more than one thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamalite.artifacts import Artifact
from llamalite.claims.budgets import comparisons
from llamalite.claims.study import with_settings
from llamalite.preferences.protocol import RATINGS
from llamalite.presets import RunPreset
from llamalite.protocols import Guideline
from llamalite.stages import get_stage

Stages = Mapping[str, Artifact]
PREFERENCES, REWARD = "preferences_1", "reward_1"
CLOSE = RATINGS.index("slightly")
"""From this place in `RATINGS` on a pair is close; before it there is a clear winner."""
_SAME = 1e-9


def own_settings(preset: RunPreset) -> dict[str, RunPreset]:
    """The preset's own reward models, on the studies' number of comparisons."""
    return {"own": collected(preset)}


def collected(preset: RunPreset) -> RunPreset:
    """The preset with as many comparisons as the studies of reward models need."""
    return with_settings(preset, preferences=comparisons(preset))


def margin_arms(preset: RunPreset) -> dict[str, RunPreset]:
    """The helpfulness model by its margin; "large" is also the arm without the auxiliary loss."""
    weights = {"none": 1.0, "small": 1.0, "large": 0.0}
    return {
        margin: with_settings(
            collected(preset), reward={"margin": margin, "auxiliary_weight": weight}
        )
        for margin, weight in weights.items()
    }


def auxiliary_arms(preset: RunPreset) -> dict[str, RunPreset]:
    """The safety model with and without its auxiliary loss."""
    arms = margin_arms(preset)
    return {"with": arms["small"], "without": arms["large"]}


class Apart(NamedTuple):
    """Comparisons of one guideline that no reward model has learned from."""

    pairs: list[Any]
    """Of `llamalite.reward.data.Pair`."""
    rating: NDArray[np.int64]
    """Place in `RATINGS`, by pair."""
    tie: NDArray[np.bool_]
    """Whether the truth has both replies equally good, so that the choice says nothing."""


def kept_apart(preset: RunPreset, stages: Stages, guideline: Guideline) -> Apart:
    """The test comparisons of a guideline, encoded, with what the truth says of them."""
    from llamalite.preferences.reading import read_comparisons
    from llamalite.reward.data import encode_pairs
    from llamalite.reward.rows import Encoder
    from llamalite.text.tokenizer import Tokenizer
    from llamalite.world import Grader

    world = open_world(stages)
    grader, prompts = Grader(world), asked(preset, stages, guideline)
    test = read_comparisons(stages[PREFERENCES].file("test.jsonl")).good
    mine = [each for each in test if each.guideline == guideline]
    encoder = Encoder(
        Tokenizer.load(stages["sft"].file("tokenizer.model")),
        stages[REWARD].manifest["config"]["sequence_length"],
    )
    pairs = encode_pairs(encoder, mine).pairs
    gaps = {}
    for each in mine:
        prompt = prompts[each.prompt_id]
        a, b = (grader.grade(prompt, reply.text) for reply in (each.a, each.b))
        gaps[each.id] = getattr(a, guideline) - getattr(b, guideline)
    return Apart(
        pairs,
        np.array([pair.rating for pair in pairs], dtype=int),
        np.array([abs(gaps[pair.id]) < _SAME for pair in pairs], dtype=bool),
    )


def scored(stages: Stages, model: str, apart: Apart) -> Any:
    """Both replies of every pair scored by a reward model: `llamalite.reward.metrics.Scored`."""
    from llamalite.reward.metrics import score_pairs
    from llamalite.reward.scorer import RewardScorer

    return score_pairs(RewardScorer.load(stages[REWARD].path / model), apart.pairs)


def open_world(stages: Stages) -> Any:
    """The world of a run."""
    from llamalite.world import World

    return World.load(stages["world"].file("world.json"))


def asked(preset: RunPreset, stages: Stages, guideline: Guideline) -> dict[str, Any]:
    """The prompts of a run's comparisons by id, as the world knows them."""
    from llamalite.preferences.prompts import choose_prompts

    config = get_stage(PREFERENCES).config(collected(preset))
    return {each.id: each for each in choose_prompts(open_world(stages), config, guideline)}


def some(values: Any, otherwise: float) -> list[float]:
    """The values, or where there are none the one that decides nothing."""
    found = np.asarray(values, dtype=float).tolist()
    return found or [otherwise]
