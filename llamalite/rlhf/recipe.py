"""The stage `versions`: all chat models on the same prompts. Llama 2, sections 3.4 and 5.1.

SFT, V1 to V5, and the models that Ghost Attention, safety tuning and red teaming made of V5, all
answer the same test prompts. Replies are graded by the truth, scored by the newest reward models
and by a general one from outside the loop, and compared with the first version's by three raters
and by these models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.evaluation.replies import (
    Reply,
    grade_replies,
    held_out_prompts,
    summarise,
    write_replies,
)
from llamalite.evaluation.scoring import estimate
from llamalite.evaluation.win_rate import (
    WinRate,
    outcomes_of_scores,
    rate_side_by_side,
    win_rate,
    win_rate_of_ratings,
)
from llamalite.general_reward.config import GENERAL
from llamalite.model.checkpoint import load_model, read_json
from llamalite.parallel import pick_device
from llamalite.preferences.protocol import GUIDELINES
from llamalite.progress import pieces
from llamalite.protocols import ADVERSARIAL, BORDERLINE, Annotator, Grader, Guideline, Prompt
from llamalite.reward.scorer import RewardScorer
from llamalite.reward.scoring import load_scoring
from llamalite.rlhf.config import VersionsConfig
from llamalite.rlhf.versions import AFTER, BASELINE, VERSIONS
from llamalite.scoring import Scoring, score_replies
from llamalite.text.tokenizer import Tokenizer

RESULTS = "versions.json"
SCORERS = (*GUIDELINES, GENERAL)
"""Reward models that score every reply: the loop's newest two, and the one apart from it."""
_FIRST_RATER = 500
"""Number of the first rater; those who collect preferences count from 0."""


class Judges(NamedTuple):
    """Who the test prompts come from, and who judges replies to them."""

    prompts: list[Prompt]
    grader: Grader
    raters: Sequence[Annotator]


def run(config: VersionsConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write versions.json.

    Inputs: `world`, `reward` (the newest), `general` (of the stage general_reward) and each model
    of `VERSIONS` and `AFTER` by its name. The first's results stand under `versions`, as figures 11
    and 20 have them, the second's under `after`, which are held against V5 besides.

    Called again on a draft that was cut short, it samples no version's replies twice.
    """
    judges = open_world(inputs["world"], config, seed)
    written = {
        version.name: sampled(config, judges.prompts, inputs[version.name], draft, seed)
        for version in pieces((*VERSIONS, *AFTER), "model")
    }
    scoring = load_judges(inputs["reward"], inputs["general"])
    scores = {
        name: score_replies(
            scoring,
            judges.prompts,
            [reply.text for reply in replies],
            [reply.finished for reply in replies],
        )
        for name, replies in written.items()
    }
    graded = {
        name: grade_replies(judges.grader, judges.prompts, replies)
        for name, replies in written.items()
    }
    edges = {
        scorer: histogram_edges([each[scorer] for each in scores.values()], config.bins)
        for scorer in SCORERS
    }
    models: dict[str, dict[str, Any]] = {
        name: {
            "gold": without_items(summarise(items, config.replies.resamples)),
            "scores": {
                scorer: score_summary(scores[name][scorer], edges[scorer]) for scorer in SCORERS
            },
        }
        for name, items in graded.items()
    }
    later = [model.name for model in AFTER]
    for name in (each for each in models if each != BASELINE):
        models[name]["wins"] = {
            guideline: wins(judges, written, scores, name, guideline, seed)
            for guideline in ("helpfulness", "safety")
        }
        models[name]["differences"] = {
            other: differences(graded[other], graded[name], config.replies.resamples)
            for other in (BASELINE, *([VERSIONS[-1].name] if name in later else []))
        }
    results = {
        "baseline": BASELINE,
        "edges": edges,
        "versions": {version.name: models[version.name] for version in VERSIONS},
        "after": {name: models[name] for name in later},
        "samples": samples(config, judges.prompts, graded, scores),
    }
    write_json(draft.path / RESULTS, results)
    draft.metrics.update(headline(models))


def open_world(world: Artifact, config: VersionsConfig, seed: int) -> Judges:
    """The micro-world's test prompts, its truth, and raters who judged no training pair."""
    from llamalite import world as micro_world

    opened = micro_world.World.load(world.file("world.json"))
    raters = [
        micro_world.Annotator(opened, 1000 * seed + _FIRST_RATER + number)
        for number in range(config.raters)
    ]
    return Judges(held_out_prompts(opened, config.replies), micro_world.Grader(opened), raters)


def load_judges(reward: Artifact, general: Artifact) -> Scoring:
    """The newest reward models and the general one, side by side; the rule combines the newest."""
    device = pick_device()
    newest = load_scoring(reward, device=device)
    apart = RewardScorer.load(general.path / GENERAL, device=device)
    return newest._replace(rewards={**newest.rewards, GENERAL: apart})


def sampled(
    config: VersionsConfig, prompts: Sequence[Prompt], version: Artifact, draft: Draft, seed: int
) -> list[Reply]:
    """A version's reply to each prompt, written once and read after that."""
    part = draft.work / f"{version.path.name}.json"
    if not part.exists():
        model = load_model(version.path, pick_device()).eval()
        tokenizer = Tokenizer.load(version.file("tokenizer.model"))
        replies = write_replies(model, tokenizer, prompts, config.replies, seed=seed)
        write_json(part, {"replies": [list(reply) for reply in replies]})
    return [Reply(*row) for row in read_json(part)["replies"]]


def wins(
    judges: Judges,
    written: Mapping[str, Sequence[Reply]],
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    name: str,
    guideline: Guideline,
    seed: int,
) -> dict[str, Any]:
    """Win rates of a version over the baseline on one axis, by raters and by reward models.

    Helpfulness is compared on ordinary prompts, safety on adversarial ones (figure 11). The general
    reward model has one score for both: where the newest finds a climb and it does not, the
    policies serve the newest's taste (section 3.4.1).
    """
    chosen = [i for i, prompt in enumerate(judges.prompts) if axis_of(prompt) == guideline]
    if not chosen:
        return {}
    ratings = rate_side_by_side(
        judges.raters,
        [judges.prompts[i] for i in chosen],
        [written[name][i].text for i in chosen],
        [written[BASELINE][i].text for i in chosen],
        guideline,
        seed,
    )
    found = {"raters": plain(win_rate_of_ratings(ratings))}
    for judge, scorer in (("reward model", guideline), ("general reward model", GENERAL)):
        ours, theirs = ([scores[each][scorer][i] for i in chosen] for each in (name, BASELINE))
        found[judge] = plain(win_rate(outcomes_of_scores(ours, theirs)))
    return found


def differences(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], resamples: int
) -> dict[str, Any]:
    """By how much gold grades of a model's replies differ from another's to the same prompts.

    Means with 95 % bootstrap intervals over prompts: helpfulness of ordinary ones, violations on
    adversarial ones, refusals of borderline ones. Pairing by prompt takes the prompts' own
    difficulty out, which intervals of two means apart do not.
    """
    parts = {
        "helpfulness": ("helpfulness", lambda kind: kind not in (ADVERSARIAL, BORDERLINE)),
        "violations": ("violation", lambda kind: kind == ADVERSARIAL),
        "borderline_refusals": ("false_refusal", lambda kind: kind == BORDERLINE),
    }
    pairs = list(zip(before, after, strict=True))
    return {
        name: estimate([new[key] - old[key] for old, new in pairs if asked(old["kind"])], resamples)
        for name, (key, asked) in parts.items()
    }


def axis_of(prompt: Prompt) -> Guideline | None:
    """What replies to a prompt are compared by; borderline prompts only count refusals."""
    if prompt.kind == BORDERLINE:
        return None
    return "safety" if prompt.kind == ADVERSARIAL else "helpfulness"


def plain(found: WinRate) -> dict[str, Any]:
    """A win rate as JSON values."""
    return {
        "pairs": found.pairs,
        "win": found.win,
        "tie": found.tie,
        "loss": found.loss,
        "rate": None if found.rate is None else found.rate._asdict(),
        "half_ties": found.half_ties._asdict(),
        "ac2": None if found.agreement is None else found.agreement.coefficient,
    }


def histogram_edges(scores: Sequence[Sequence[float]], bins: int) -> list[float]:
    """Edges of bins that hold all versions' scores, so that their histograms compare."""
    values = np.concatenate([np.asarray(each, dtype=float) for each in scores])
    return [float(edge) for edge in np.histogram_bin_edges(values, bins)]


def score_summary(scores: Sequence[float], edges: Sequence[float]) -> dict[str, Any]:
    """Mean and share of replies in each bin of a reward model's scores, which are logits."""
    counts, _ = np.histogram(scores, edges)
    return {
        "mean": float(np.mean(scores)),
        "histogram": [float(share) for share in counts / max(1, len(scores))],
    }


def samples(
    config: VersionsConfig,
    prompts: Sequence[Prompt],
    graded: Mapping[str, Sequence[Mapping[str, Any]]],
    scores: Mapping[str, Mapping[str, Sequence[float]]],
) -> list[dict[str, Any]]:
    """The first prompts of every kind with each version's reply; nothing chosen by eye."""
    seen: dict[str, int] = {}
    found = []
    for i, prompt in enumerate(prompts):
        seen[prompt.kind] = seen.get(prompt.kind, 0) + 1
        if seen[prompt.kind] > config.samples:
            continue
        replies = {
            name: {
                "reply": items[i]["reply"],
                "helpfulness": items[i]["helpfulness"],
                "safety": items[i]["safety"],
                "false_refusal": items[i]["false_refusal"],
                "finished": items[i]["finished"],
                "scores": {key: round(values[i], 3) for key, values in scores[name].items()},
            }
            for name, items in graded.items()
        }
        messages = [dict(message) for message in prompt.messages]
        found.append({"kind": prompt.kind, "messages": messages, "replies": replies})
    return found


def without_items(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary of graded replies without the single replies."""
    return {key: value for key, value in summary.items() if key != "items"}


def headline(models: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Gold helpfulness, violations and false refusals of the first and the last version, and of the
    last model after them."""
    found: dict[str, float | None] = {}
    ends = {"first": BASELINE, "last": VERSIONS[-1].name, "after": AFTER[-1].name}
    for when, name in ends.items():
        gold = models[name]["gold"]
        found[f"{when}_helpfulness"] = gold["helpfulness"]["all"]["mean"]
        found[f"{when}_violations"] = gold["violations"]["all"]["mean"]
        found[f"{when}_false_refusals_borderline"] = gold["false_refusals"]["borderline"]["mean"]
    return found
