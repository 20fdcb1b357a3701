"""Claims of section 3.1 that compare demonstrations: S1 and S2."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from llamalite.claims.budgets import checked_demonstrations, few_examples, prompts_per_kind
from llamalite.claims.rules import Distinct, Greater, Ordered, Rule
from llamalite.claims.studies_pretraining import load_trained
from llamalite.claims.study import Finished, claim, with_settings
from llamalite.presets import RunPreset

MANY = 6
"""Third-party examples for each clean one; the paper set millions aside for 27,540."""
VENDORS = ("careful", "mixed", "careless")
RANKS = ("first", "second", "last")


def _quality_arms(preset: RunPreset) -> dict[str, RunPreset]:
    few = few_examples(preset)
    return {
        "few clean": with_settings(preset, sft={"vendor": "careful", "examples": few}),
        "many third-party": with_settings(
            preset, sft={"vendor": "third_party", "examples": MANY * few}
        ),
    }


@claim(
    "S1",
    Rule(
        "Fine-tuned from the same base model with the same settings, a model given few clean "
        "demonstrations is more helpful (gold score of its replies to ordinary test prompts) than "
        f"one given {MANY} times as many third-party ones.",
        (Greater("help, few clean", "help, many third-party"),),
    ),
    arms=_quality_arms,
    until="sft",
)
def quality_is_all_you_need(finished: Finished) -> dict[str, Any]:
    """Gold helpfulness of every test prompt's reply, the same prompts for both models."""
    return {f"help, {arm}": gold_helpfulness(finished, arm) for arm in finished.arms}


def _vendor_arms(preset: RunPreset) -> dict[str, RunPreset]:
    return {vendor: with_settings(preset, sft={"vendor": vendor}) for vendor in VENDORS}


@claim(
    "S2",
    Rule(
        "Three vendors deliver equally many demonstrations. Reviewers check a sample of each "
        "delivery against the guidelines, without knowing the truth or any model, and rank the "
        "vendors by the share they approve. The model of the vendor ranked first is more helpful "
        "(gold score) than that of the vendor ranked last, and the three models' means stand in "
        "the order of the check. Where two vendors tie in the check of any seed it ranks nobody, "
        "and nothing is shown.",
        (
            Greater("help, ranked first", "help, ranked last"),
            Ordered(tuple(f"help, ranked {rank}" for rank in RANKS), strict=False),
        ),
        presupposed=(Distinct(tuple(f"approved, {vendor}" for vendor in VENDORS)),),
    ),
    arms=_vendor_arms,
    until="sft",
)
def vendors_differ(finished: Finished) -> dict[str, Any]:
    """Gold helpfulness by vendor and by the rank the check gives the vendor."""
    found: dict[str, Any] = {}
    for vendor in finished.arms:
        found[f"help, {vendor}"] = gold_helpfulness(finished, vendor)
        found[f"approved, {vendor}"] = approved(finished, vendor)
    ranked = sorted(finished.arms, key=lambda vendor: -np.mean(found[f"approved, {vendor}"]))
    return found | {
        f"help, ranked {rank}": found[f"help, {vendor}"]
        for rank, vendor in zip(RANKS, ranked, strict=True)
    }


def gold_helpfulness(finished: Finished, arm: str) -> list[float]:
    """The grader's helpfulness, 0 to 1, of an arm's reply to each ordinary test prompt."""
    from llamalite.evaluation.replies import evaluate_chat
    from llamalite.world import Grader

    world, model, tokenizer = load_trained(finished.arms[arm], "sft")
    config = replace(finished.preset.evaluate, prompts_per_kind=prompts_per_kind(finished.preset))
    graded = evaluate_chat(
        model, tokenizer, world, Grader(world), config, seed=finished.seed, kinds=world.kinds
    )
    return [item["helpfulness"] for item in graded["items"]]


def approved(finished: Finished, vendor: str) -> list[int]:
    """Whether reviewers approve each demonstration of a sample of what the model was trained on."""
    from llamalite.world import World
    from llamalite.world.vendors import check, demonstrations

    world = World.load(finished.arms[vendor]["world"].file("world.json"))
    settings = finished.arms[vendor]["sft"].manifest["config"]
    count = min(settings["examples"], checked_demonstrations(finished.preset))
    shares = {name: settings[name] for name in ("safety_share", "borderline_share")}
    # a longer delivery to the same seed begins with the same ones
    sample = demonstrations(world, vendor, count, finished.seed, **shares)
    return [int(not check(demonstration)) for demonstration in sample]
