"""Claims of section 4.2.4 about context distillation: F3 (preprompts) and F4 (the gate)."""

from __future__ import annotations

from typing import Any

import numpy as np

from llamalite.claims.reward_runs import REWARD, collected, open_world, some
from llamalite.claims.rules import Greater, Rule
from llamalite.claims.stages import SAFETY
from llamalite.claims.studies_margins import sigmoid
from llamalite.claims.studies_pretraining import load_trained
from llamalite.claims.studies_safety import ORDINARY, graded, taken
from llamalite.claims.study import Finished, claim, with_settings
from llamalite.presets import RunPreset
from llamalite.protocols import ADVERSARIAL, BORDERLINE

GOOD = 0.5
"""F4: an answer is good when its score is at least this quantile of its set's."""
SFT = "SFT"
GROUPS = (ADVERSARIAL, ORDINARY, BORDERLINE)
_NAMES = {
    "original": "original",
    "again": "second original",
    "generic": "generic preprompt",
    "template": "answer template",
}


def _ungated(preset: RunPreset, distil: str) -> RunPreset:
    return with_settings(collected(preset), safety={"distil": distil, "gate": "none"})


def _preprompts(preset: RunPreset) -> dict[str, RunPreset]:
    return {distil: _ungated(preset, distil) for distil in ("generic", "template")}


@claim(
    "F3",
    Rule(
        "The SFT model answers adversarial training prompts as they are, under a generic preprompt "
        "and under an answer template; the first round's safety reward model scores the answers "
        "without any preprompt (figure 16a). The mean score is higher under a generic preprompt "
        "than without, and higher under an answer template than under a generic preprompt. "
        "Distilled, which is to say tuned on these answers, all of them, so that no gate chooses, "
        "the SFT model gets a higher true safety grade on adversarial test prompts without "
        "preprompt than before, from either kind of answer. All must hold.",
        (
            Greater("score, generic preprompt", "score, original"),
            Greater("score, answer template", "score, generic preprompt"),
            Greater("safety grade, distilled from generic", f"safety grade, {SFT}"),
            Greater("safety grade, distilled from template", f"safety grade, {SFT}"),
        ),
    ),
    arms=_preprompts,
    until=SAFETY,
)
def preprompts_raise_scores(finished: Finished) -> dict[str, Any]:
    """Scores (0 to 1) and true grades of each kind of answer; grades of the models before and
    after. A second original, drawn without preprompt, is the control of the first."""
    from llamalite.world import Grader

    found: dict[str, Any] = {}
    stages = finished.arms["template"]  # the other arm drew the same answers
    rows = [row for row in _distilled(stages) if row.template is not None]
    asked = _asked(finished, stages)
    grader = Grader(open_world(stages))
    for kind, name in _NAMES.items():
        found[f"score, {name}"] = some(sigmoid([getattr(row, f"{kind}_score") for row in rows]), 0)
        found[f"true grade of answers, {name}"] = some(
            [grader.grade(asked[row.prompt_id], getattr(row, kind)).safety for row in rows], 0
        )
    models = {f"distilled from {arm}": (each, SAFETY) for arm, each in finished.arms.items()}
    for name, (each, model) in (models | {SFT: (stages, "sft")}).items():
        found |= _grades(graded(finished, each, model, GROUPS), name)
    return found


def _gates(preset: RunPreset) -> dict[str, RunPreset]:
    none = _ungated(preset, preset.safety.distil)
    return {"gate": with_settings(none, safety={"gate": "reward"}), "no gate": none}


@claim(
    "F4",
    Rule(
        "Answers of the SFT model to adversarial prompts are good where the safety reward model "
        "scores them in the better half (figure 16b). Distillation harms them: on training prompts "
        "with a good original, the distilled answers' mean score is lower than that of second "
        "originals, drawn without preprompt. (Against the originals themselves any second draw "
        "looks worse, as these were picked for their scores.) The gate avoids it: on test prompts "
        "to which the SFT model's reply is good, the model distilled with the gate gets a higher "
        "true safety grade than the one distilled without. Both must hold.",
        (
            Greater("score of good ones, second original", "score of good ones, distilled"),
            Greater("safety grade of good ones, gate", "safety grade of good ones, no gate"),
        ),
    ),
    arms=_gates,
    until=SAFETY,
)
def gate_avoids_harm(finished: Finished) -> dict[str, Any]:
    """Scores on good training prompts, grades on good test prompts, and figure 16b's means."""
    from llamalite.model.checkpoint import read_json
    from llamalite.safety.recipe import FIGURES

    found: dict[str, Any] = {}
    stages = finished.arms["gate"]
    rows = _distilled(stages)
    good = best(np.array([row.original_score for row in rows]))
    scores = {
        "original": [row.original_score for row in rows],
        "second original": [row.again_score for row in rows],
        "distilled": [row.learned_score for row in rows],
    }
    for name, values in scores.items():
        found[f"score of good ones, {name}"] = some(sigmoid(values)[good], 0)
    found["kept by the gate"] = [float(row.kept) for row in rows]
    found["kept by the gate, good ones"] = some(np.array(found["kept by the gate"])[good], 0)
    for each in read_json(stages[SAFETY].file(FIGURES))["by_original"]:
        for name in ("ungated", "gated", "again"):
            found.setdefault(f"curve {name} gain by the original", []).append(each[name]["mean"])
    sft = graded(finished, stages, "sft", GROUPS)
    good = best(_scores(stages, sft[ADVERSARIAL]))
    models = {arm: graded(finished, each, SAFETY, GROUPS) for arm, each in finished.arms.items()}
    for name, replies in (models | {SFT: sft}).items():
        grades = np.array(taken(replies[ADVERSARIAL], "safety"))
        found[f"safety grade of good ones, {name}"] = some(grades[good], 0)
        found |= _grades(replies, name)
    return found


def best(scores: Any) -> Any:
    """Which scores are in the better half, that at the boundary with it."""
    return scores >= np.quantile(scores, GOOD)


def _distilled(stages: Any) -> list[Any]:
    """The answers of a run of the stage, `llamalite.safety.distillation.Distilled`."""
    from llamalite.safety.distillation import read_distilled
    from llamalite.safety.recipe import DISTILLED

    return read_distilled(stages[SAFETY].file(DISTILLED))


def _asked(finished: Finished, stages: Any) -> dict[str, Any]:
    """The prompts of the answers by id, as the world knows them."""
    from llamalite.prompt_mix import mixed_prompts

    config = finished.preset.safety
    prompts = mixed_prompts(
        open_world(stages),
        config.prompts,
        safety_share=1 - config.harmless_share,
        borderline_share=0.0,
        first=config.first_prompt,
    )
    return {prompt.id: prompt for prompt in prompts}


def _scores(stages: Any, items: list[dict[str, Any]]) -> Any:
    """Scores of graded replies by the safety reward model, the gate's; unbounded logits."""
    from llamalite.reward.scorer import RewardScorer

    _, _, tokenizer = load_trained(stages, "sft")
    scorer = RewardScorer.load(stages[REWARD].path / "safety", tokenizer)
    dialogues, replies, ended = (
        [item[key] for item in items] for key in ("messages", "reply", "finished")
    )
    return scorer(dialogues, replies, ended).numpy()


def _grades(replies: dict[str, list[dict[str, Any]]], name: str) -> dict[str, list[float]]:
    """Safety grades, violations, help and false refusals of a model's graded replies."""
    return {
        f"safety grade, {name}": taken(replies[ADVERSARIAL], "safety"),
        f"violations, {name}": taken(replies[ADVERSARIAL], "violation"),
        f"help, {name}": taken(replies[ORDINARY], "helpfulness"),
        f"borderline refused, {name}": taken(replies[BORDERLINE], "false_refusal"),
    }
