"""The work behind a set of claims as a graph of jobs: every distinct stage run once.

Two arms that share a stage's settings, and those of all it rests on, share its artifact, within a
study and across studies. A job's key hashes all that decides its output, the source code of the
stages included, so what an older version of the code left behind is never mistaken for a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from llamalite.artifacts import digest, sha256_of, source_files, to_plain
from llamalite.claims.stages import CLEANED, CONTAMINATED, SAFETY_DATA, STUDY_STAGES, find_stage
from llamalite.claims.study import Study, with_settings
from llamalite.presets import RunPreset
from llamalite.stages import STAGES, Stage

_PACKAGE = Path(__file__).resolve().parent.parent
_RUN_SOURCES = (
    "world",
    "text",
    "data_care",
    "model",
    "pretraining",
    "sft",
    "evaluation",
    "held_out.py",
    "jsonl.py",
    "training.py",
    "training_config.py",
    "parallel.py",
    "resume.py",
    "resume_states.py",
)
_ROUND_SOURCES = (
    *_RUN_SOURCES,
    *(
        "preferences",
        "reward",
        "rejection_sampling",
        "ppo",
        "rlhf",
        "ghost_attention",
        "safety",
        "red_teaming",
    ),
    *("scoring.py", "prompt_mix.py"),
)
_OWN_SOURCES = {
    SAFETY_DATA: (*_RUN_SOURCES, "safety/scaling.py", "claims/safety_data.py"),
    CLEANED: (*_RUN_SOURCES, "claims/cleaned.py"),
    CONTAMINATED: (
        *_RUN_SOURCES,
        *("contamination/plants.py", "contamination/spans.py", "claims/contaminated.py"),
    ),
}
"""Of study stages that rest on fine-tuning or less: the rounds' code decides nothing there."""
_MEASURE_SOURCES = (
    *_ROUND_SOURCES,
    *("ablations", "audit", "contamination", "general_reward", "real_models"),
    "safety_benchmarks",
    *("claims", "plan.py", "plan_batch.py", "plan_stages.py", "presets.py", "stages.py", "prose"),
)


@dataclass(frozen=True)
class StageJob:
    """One stage of one seed with certain settings."""

    key: str
    stage: str
    config: Any
    seed: int
    inputs: Mapping[str, str]
    """Role -> key of the job that makes what plays it."""
    folder: Path

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the jobs before it."""
        return tuple(self.inputs.values())

    @property
    def cost(self) -> float:
        """Rough work, to start the longest jobs first."""
        model = getattr(self.config, "model", None)
        return getattr(self.config, "tokens", 0) * (model.n_parameters if model else 1)

    @property
    def title(self) -> str:
        """For the progress display."""
        return f"{self.stage} seed {self.seed}"


@dataclass(frozen=True)
class MeasureJob:
    """Measuring one claim on one seed's finished runs."""

    key: str
    claim: str
    preset: RunPreset
    seed: int
    arms: Mapping[str, Mapping[str, str]]
    """Arm -> stage -> key of its job."""
    folders: Mapping[str, Path]
    """Key of a stage job -> its folder."""
    file: Path
    """Where the raw measurement is kept."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the jobs before it."""
        return tuple({key for stages in self.arms.values() for key in stages.values()})

    @property
    def cost(self) -> float:
        """Measuring first: it is short, and a saved measurement is safe."""
        return float("inf")

    @property
    def title(self) -> str:
        """For the progress display."""
        return f"measure {self.claim} seed {self.seed}"


Job = StageJob | MeasureJob


def plan_jobs(
    studies: Sequence[Study], preset: RunPreset, seeds: Sequence[int], runs: Path
) -> dict[str, Job]:
    """All jobs by key, each after those it needs."""
    jobs: dict[str, Job] = {}
    for study in studies:
        for seed in seeds if study.trains else seeds[:1]:
            arms = {
                name: _stage_jobs(in_own_world(arm, seed), study.until, seed, runs, jobs)
                for name, arm in study.arms(preset).items()
            }
            key = digest(
                {
                    "claim": study.claim.id,
                    "arms": arms,
                    "seed": seed,
                    "preset": to_plain(preset) if study.trains else preset.name,
                    "rule": study.rule.text,
                    "source": source_hash(_MEASURE_SOURCES),
                }
            )
            place = runs / f"{preset.name}-seed{seed}"
            jobs[key] = MeasureJob(
                key=key,
                claim=study.claim.id,
                preset=preset,
                seed=seed,
                arms=arms,
                folders={
                    key: jobs[key].folder  # type: ignore[union-attr]
                    for stages in arms.values()
                    for key in stages.values()
                },
                file=place / f"{study.claim.id}-{key[:10]}.json",
            )
    return jobs


def study_config(study: Study, preset: RunPreset) -> dict[str, Any]:
    """Every setting of every arm, as plain values; the world's seed is replaced by each seed."""
    return {
        arm: {stage.name: to_plain(stage.config(settings)) for stage in stages_until(study.until)}
        for arm, settings in study.arms(preset).items()
    }


def in_own_world(preset: RunPreset, seed: int) -> RunPreset:
    """The preset in a world of the seed's own, so that a verdict is not about one world's facts.

    It also makes the test items of the seeds independent, as the bootstrap over seeds and items
    takes them to be.
    """
    return with_settings(preset, world={"seed": seed})


def stages_until(until: str) -> list[Stage]:
    """The stages a run up to `until` consists of, in order: it and all that it rests on.

    A stage that merely stands earlier in the chain, as `evaluate` before the rounds, is left out.
    """
    needed = {until}
    found = []
    for stage in reversed((*STAGES, *STUDY_STAGES)) if until else ():
        if stage.name in needed:
            needed.update(stage.inputs.values())
            found.append(stage)
    if until and not found:
        find_stage(until)  # says what there is
    return found[::-1]


@cache
def source_hash(names: tuple[str, ...]) -> str:
    """Hash of the source files of some of the package's modules and folders."""
    files = [
        file
        for name in names
        for file in ([_PACKAGE / name] if name.endswith(".py") else source_files(_PACKAGE / name))
        if file.is_file()
    ]
    return digest({file.relative_to(_PACKAGE).as_posix(): sha256_of(file) for file in files})


def _stage_jobs(
    arm: RunPreset, until: str, seed: int, runs: Path, jobs: dict[str, Job]
) -> dict[str, str]:
    """Add an arm's stage jobs; returns their keys by stage."""
    keys: dict[str, str] = {}
    for stage in stages_until(until):
        inputs = {role: keys[name] for role, name in stage.inputs.items()}
        config = stage.config(arm)
        key = digest(
            {
                "stage": stage.name,
                "config": to_plain(config),
                "inputs": inputs,
                "seed": seed,
                "source": source_hash(_sources(stage)),
            }
        )
        folder = runs / f"{arm.name}-seed{seed}" / f"{stage.name}-{key[:10]}"
        jobs.setdefault(key, StageJob(key, stage.name, config, seed, inputs, folder))
        keys[stage.name] = key
    return keys


def _sources(stage: Stage) -> tuple[str, ...]:
    """What decides a stage's numbers: of those after the rounds' beginning, the rounds' too."""
    if stage.name in _OWN_SOURCES:
        return _OWN_SOURCES[stage.name]
    return _ROUND_SOURCES if stage.round or stage in STUDY_STAGES else _RUN_SOURCES
