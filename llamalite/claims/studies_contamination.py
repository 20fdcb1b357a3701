"""The claim of appendix A.6: P13."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llamalite.claims.budgets import plant_copies
from llamalite.claims.contaminated import (
    ContaminatedConfig,
    documents_read,
    exam_samples,
    with_plants,
)
from llamalite.claims.exam_items import right_answers
from llamalite.claims.rules import Above, Below, Rule
from llamalite.claims.stages import CONTAMINATED
from llamalite.claims.studies_pretraining import base_run, load_trained
from llamalite.claims.study import Finished, claim, extended
from llamalite.contamination.plants import Plant, Sample
from llamalite.contamination.spans import BenchmarkIndex
from llamalite.contamination.subsets import CRITICAL, LENGTHS, Subset, by_length, evidence
from llamalite.presets import RunPreset

NEVER_PLANTED = "reading"
"""An exam whose passages are made of the same templates as some documents, so that its samples
overlap with the corpus though none was planted: the harder case for "and only it"."""
LENGTH = 20
"""Shortest match, in tokens, at which samples are called found. The paper's shortest, 10, finds
sentences that merely share a template; 40 and 50 are about as long as whole samples are."""
DIRTY = 0.8
"""Share of contaminated tokens from which A.6 calls a sample dirty."""
RIGHT = 0.9
"""Recall and precision asked for: a bound of ours, the paper could not measure either."""


@dataclass(frozen=True)
class ContaminatedPreset(RunPreset):
    """A run preset that also says what the stage `contaminated` plants."""

    contaminated: ContaminatedConfig


def _planted(preset: RunPreset) -> dict[str, RunPreset]:
    """The run that P1 and P2 share, and the same with plants."""
    base = base_run(preset)
    config = ContaminatedConfig(base.pretrain, copies=plant_copies(preset))
    return {"planted": extended(ContaminatedPreset, base, contaminated=config)}


@claim(
    "P13",
    Rule(
        "Half of an exam's verbalised questions are planted in a pretraining corpus, 16 times "
        "each: half of them word for word, half with one to four tokens changed in every copy. A "
        f"sample is found when matches of {LENGTH} tokens and more cover {DIRTY:.0%} of it. More "
        f"than {RIGHT:.0%} of the samples planted word for word are found, more than {RIGHT:.0%} "
        f"of the altered ones, and more than {RIGHT:.0%} of all that is found, in this exam and in "
        f"one never planted ({NEVER_PLANTED}), was planted. The Z rule (|Z| > {CRITICAL:g} in all "
        "four subsets, clean and not dirty samples below the mean and the others above it, at any "
        "of the five lengths) calls the exam affected for the model trained with the plants; it "
        "does so neither for the same samples with the scores of the model trained without, nor "
        "for the exam never planted. All must hold.",
        (
            Above("found, word for word", RIGHT),
            Above("found, altered", RIGHT),
            Above("planted of found", RIGHT),
            Above("|Z|, with plants", CRITICAL),
            Below("|Z|, without plants", CRITICAL),
            Below("|Z|, never planted", CRITICAL),
        ),
    ),
    arms=_planted,
    until=CONTAMINATED,
)
def planted_contamination(finished: Finished) -> dict[str, Any]:
    """What is found of the plants and besides them, and the evidence that scores are raised."""
    (stages,) = finished.arms.values()
    world, model, tokenizer = load_trained(stages, CONTAMINATED)
    _, without, _ = load_trained(stages, "pretrain")
    (arm,) = _planted(finished.preset).values()
    assert isinstance(arm, ContaminatedPreset)
    config = arm.contaminated
    rows = stages[CONTAMINATED].file("plants.jsonl").read_text(encoding="utf-8").splitlines()
    plants = [Plant(**json.loads(row)) for row in rows]
    samples = exam_samples(world, config.exam)
    others = [Sample(q.id, q.prompt, q.answer, q.choices) for q in world.exam(NEVER_PLANTED)]
    exam, never = (
        BenchmarkIndex([tokenizer.encode(sample.text) for sample in each])
        for each in (samples, others)
    )
    settings, corpus = with_plants(config.pretrain, world, plants, tokenizer)
    read = sum(row["documents"] for row in stages[CONTAMINATED].metrics["mixture"])
    for document in documents_read(settings, corpus, tokenizer, finished.seed, read):
        exam.see(document)
        never.see(document)

    found = found_by_plant(samples, exam, never, plants)
    of = {plant.sample for plant in plants}
    is_planted = np.array([sample.id in of for sample in samples])
    for name, each in (("with plants", model), ("without plants", without)):
        scores = right_answers(each, tokenizer, samples)
        found[f"|Z|, {name}"] = weakest_evidence(by_length(exam, scores.tolist()))
        found[f"right, {name}, planted"] = scores[is_planted]
        found[f"right, {name}, not planted"] = scores[~is_planted]
    scores = right_answers(model, tokenizer, others)
    found["|Z|, never planted"] = weakest_evidence(by_length(never, scores.tolist()))
    return found


def found_by_plant(
    samples: Sequence[Sample], exam: BenchmarkIndex, never: BenchmarkIndex, plants: Sequence[Plant]
) -> dict[str, Any]:
    """Of each planted sample whether it is found, of each found one whether it was planted.

    Where nothing is found, nothing found was planted. Curves have the shares by length of match.
    """
    altered = {plant.sample: plant.altered for plant in plants}
    kinds = [altered.get(sample.id) for sample in samples]
    found: dict[str, Any] = {"curve length": list(LENGTHS)}
    curves: dict[str, list[float]] = {}
    for length in LENGTHS:
        dirty = exam.shares(length) >= DIRTY
        elsewhere = never.shares(length) >= DIRTY
        right = [kind is not None for kind, yes in zip(kinds, dirty, strict=True) if yes]
        here = {
            "found, word for word": [
                y for kind, y in zip(kinds, dirty, strict=True) if kind is False
            ],
            "found, altered": [y for kind, y in zip(kinds, dirty, strict=True) if kind],
            "found, not planted": [y for kind, y in zip(kinds, dirty, strict=True) if kind is None],
            "found, never planted": elsewhere,
            "planted of found": [*right, *[False] * int(elsewhere.sum())] or [False],
        }
        for name, values in here.items():
            curves.setdefault(f"curve {name}", []).append(float(np.mean(values)))
            if length == LENGTH:
                found[name] = np.asarray(values, dtype=float)
    return found | curves


def weakest_evidence(found: Mapping[int, Sequence[Subset]]) -> float:
    """The least |Z| of the four subsets, at the length where it is largest; 0 without evidence.

    Only lengths count at which all four are off to the sides that A.6 expects of contamination that
    helps, so it exceeds 2 exactly when A.6 calls the benchmark affected at some length.
    """
    least = [evidence(four) for four in found.values()]
    return max((z for z in least if z > 0), default=0.0)
