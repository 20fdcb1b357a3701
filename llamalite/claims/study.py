"""A study: the runs a claim needs, the rule fixed before them, and what to measure on them."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from llamalite.artifacts import Artifact
from llamalite.claims.rules import Measurement, Rule
from llamalite.claims.statements import CLAIMS, Claim
from llamalite.presets import RunPreset

STUDY_MODULES = (
    "llamalite.claims.studies_exact",
    "llamalite.claims.studies_pretraining",
    "llamalite.claims.studies_data",
    "llamalite.claims.studies_ablations",
    "llamalite.claims.studies_serving",
    "llamalite.claims.studies_contamination",
    "llamalite.claims.studies_audit",
    "llamalite.claims.studies_sft",
    "llamalite.claims.studies_reward",
    "llamalite.claims.studies_margins",
    "llamalite.claims.studies_raters",
    "llamalite.claims.studies_sampling",
    "llamalite.claims.studies_ppo",
    "llamalite.claims.studies_rounds",
    "llamalite.claims.studies_ghost",
    "llamalite.claims.studies_safety",
    "llamalite.claims.studies_distillation",
    "llamalite.claims.studies_benchmarks",
    "llamalite.claims.studies_red_team",
    "llamalite.claims.studies_real_models",
)

Preset = TypeVar("Preset", bound=RunPreset)
Arms = Mapping[str, RunPreset]
"""The runs a study compares: a preset with other settings, by the arm's name."""


@dataclass(frozen=True)
class Finished:
    """What a measuring function sees: one seed's runs, all stages done."""

    preset: RunPreset
    seed: int
    arms: Mapping[str, Mapping[str, Artifact]]
    """Arm -> stage -> artifact."""


@dataclass(frozen=True)
class Study:
    """How one claim is measured."""

    claim: Claim
    rule: Rule
    measure: Callable[[Finished], Measurement]
    arms: Callable[[RunPreset], Arms]
    """Settings of every arm; depends on the preset only, so all seeds share them."""
    until: str
    """Last stage every arm runs, after all that it rests on."""

    @property
    def trains(self) -> bool:
        """Whether it needs any runs; if not, it is the same for every seed and preset."""
        return bool(self.until)


STUDIES: dict[str, Study] = {}


def claim(
    claim_id: str,
    rule: Rule,
    *,
    arms: Callable[[RunPreset], Arms] | None = None,
    until: str = "",
) -> Callable[[Callable[[Finished], Measurement]], Callable[[Finished], Measurement]]:
    """Register the decorated function as the measurement of a claim.

    It gets one seed's finished runs and returns numbers, or one number per item, by name. The rule
    stands in the decorator so that it is fixed in code before anything is measured.
    """
    if claim_id not in CLAIMS:
        raise ValueError(f"no claim is called {claim_id}")
    if bool(arms) != bool(until):
        raise ValueError(f"{claim_id}: arms and until belong together")

    def register(measure: Callable[[Finished], Measurement]) -> Callable[[Finished], Measurement]:
        if claim_id in STUDIES and STUDIES[claim_id].measure.__module__ != measure.__module__:
            raise ValueError(f"{claim_id} has two studies")
        nothing: Callable[[RunPreset], Arms] = lambda preset: {}  # noqa: E731
        STUDIES[claim_id] = Study(CLAIMS[claim_id], rule, measure, arms or nothing, until)
        return measure

    return register


def all_studies() -> dict[str, Study]:
    """Every registered study, in the ledger's order."""
    for module in STUDY_MODULES:
        importlib.import_module(module)
    return {name: STUDIES[name] for name in CLAIMS if name in STUDIES}


def with_settings(preset: RunPreset, **stages: Mapping[str, Any]) -> RunPreset:
    """A preset with some settings of some stages replaced: `with_settings(p, sft={"epochs": 1})`.

    A mapping given for a setting that is itself a dataclass replaces only the named fields of it.
    """
    changed = {stage: _replaced(preset.config(stage), new) for stage, new in stages.items()}
    return dataclasses.replace(preset, **changed)


def own_arm(preset: RunPreset) -> Arms:
    """The preset as it is, the only arm of a study that compares models of one run."""
    return {"own": preset}


def extended(kind: type[Preset], preset: RunPreset, **more: Any) -> Preset:
    """A preset as one of a kind that says more: `extended(CleanedPreset, p, cleaned=config)`."""
    own = {field.name: getattr(preset, field.name) for field in dataclasses.fields(RunPreset)}
    return kind(**own, **more)


def _replaced(config: Any, new: Mapping[str, Any]) -> Any:
    fields = {
        name: _replaced(getattr(config, name), value)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(getattr(config, name))
        else value
        for name, value in new.items()
    }
    return dataclasses.replace(config, **fields)
