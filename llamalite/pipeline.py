"""The order of the stages, what is stale, and how to run one or all. Llama 2, figure 4.

A stage is a row of `STAGES`: its name, the paper's section, what it reads, and the recipe that does
the work. A later stage of the paper is one more row and one more folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from llamalite.artifacts import MANIFEST, Artifact, drafting, fingerprint, recover, to_plain
from llamalite.presets import RunPreset, get_preset


@dataclass(frozen=True)
class Stage:
    """One link of the chain."""

    name: str
    """Verb on the command line, folder of the artifact, and field of the run preset."""
    section: str
    """Section of the Llama 2 paper; empty where the paper has none."""
    summary: str
    """One line for help and tables."""
    inputs: tuple[str, ...]
    """Stages whose artifacts it reads."""
    recipe: str
    """Module with `run(config, inputs, draft, seed)`; imported only when the stage runs."""


STAGES: tuple[Stage, ...] = (
    Stage(
        name="world",
        section="",
        summary="build the micro-world: facts, sources, prompts and the truth to grade by",
        inputs=(),
        recipe="llamalite.world.recipe",
    ),
    Stage(
        name="tokenizer",
        section="2.2",
        summary="train the SentencePiece tokenizer on the corpus",
        inputs=("world",),
        recipe="llamalite.text.recipe",
    ),
    Stage(
        name="pretrain",
        section="2",
        summary="pretrain the base model on the weighted mixture of sources",
        inputs=("world", "tokenizer"),
        recipe="llamalite.pretraining.recipe",
    ),
    Stage(
        name="sft",
        section="3.1",
        summary="fine-tune it on demonstrations into the first chat model",
        inputs=("world", "tokenizer", "pretrain"),
        recipe="llamalite.sft.recipe",
    ),
    Stage(
        name="evaluate",
        section="2.3, 3.4",
        summary="measure base and chat models against the world's truth",
        inputs=("world", "pretrain", "sft"),
        recipe="llamalite.evaluation.recipe",
    ),
)


class Events:
    """What a run tells its audience; the default says nothing. The terminal has its own."""

    def planned(self, folder: Path, rows: list[tuple[Stage, str]]) -> None:
        """Before anything runs: every stage with "done", "stale", "resume" or "to do"."""

    def started(self, stage: Stage) -> None:
        """A stage begins."""

    def finished(self, stage: Stage, artifact: Artifact) -> None:
        """A stage's artifact is in place."""

    def noticed(self, message: str) -> None:
        """Something the user would want to know."""


def get_stage(name: str) -> Stage:
    """The stage of that name; ValueError that lists the names otherwise."""
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise ValueError(f"unknown stage {name!r}; choose among {', '.join(s.name for s in STAGES)}")


def run_folder(out: str | Path, preset: str, seed: int) -> Path:
    """Where the artifacts of one preset and seed live; ValueError for a negative seed."""
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    return Path(out) / f"{preset}-seed{seed}"


def run_stages(
    preset: str | RunPreset = "laptop",
    seed: int = 0,
    out: str | Path = "runs",
    *,
    until: str = STAGES[-1].name,
    force: tuple[str, ...] = (),
    folder: str | Path | None = None,
    events: Events | None = None,
) -> dict[str, Artifact]:
    """Bring every stage up to `until` up to date and return their artifacts by name.

    A stage runs again when its config, its seed or the content of its inputs changed, or when it
    is named in `force`. Interrupted stages resume. `folder` overrides `<out>/<preset>-seed<seed>`.
    Raises ValueError for an unknown preset or stage, and when another run holds the folder.
    """
    chosen = get_preset(preset) if isinstance(preset, str) else preset
    last = STAGES.index(get_stage(until))
    for name in force:
        get_stage(name)
    folder = Path(folder) if folder else run_folder(out, chosen.name, seed)
    events = events or Events()
    done: dict[str, Artifact] = {}
    with locked(folder):
        events.planned(folder, plan_states(chosen, seed, folder, until, force))
        for stage in STAGES[: last + 1]:
            inputs = {name: done[name] for name in stage.inputs}
            config = chosen.config(stage.name)
            fresh = None if stage.name in force else find_fresh(stage, config, inputs, folder, seed)
            done[stage.name] = fresh or run_stage(stage, config, inputs, folder, seed, events)
    return done


def run_one(
    name: str,
    preset: str | RunPreset = "laptop",
    seed: int = 0,
    out: str | Path = "runs",
    *,
    events: Events | None = None,
) -> Artifact:
    """Run one stage on the inputs that stand in the run folder, making only those that lack.

    Inputs made with other settings than the preset's are used as they are, and said so: a changed
    earlier stage is brought up to date by `run_stages`, not here.
    """
    chosen = get_preset(preset) if isinstance(preset, str) else preset
    stage = get_stage(name)
    folder = run_folder(out, chosen.name, seed)
    events = events or Events()
    with locked(folder):
        inputs: dict[str, Artifact] = {}
        for needed in STAGES[: STAGES.index(stage)]:
            if needed.name not in _ancestors(stage):
                continue
            its_inputs = {key: inputs[key] for key in needed.inputs}
            config = chosen.config(needed.name)
            recover(folder / needed.name)
            if not (folder / needed.name).exists():
                inputs[needed.name] = run_stage(needed, config, its_inputs, folder, seed, events)
                continue
            artifact = Artifact.open(folder / needed.name)
            inputs[needed.name] = artifact
            changed = differences(artifact.manifest["config"], to_plain(config))
            if changed:
                events.noticed(f"using {artifact.path}, made with {', '.join(changed)}")
        config = chosen.config(stage.name)
        its_inputs = {key: inputs[key] for key in stage.inputs}
        fresh = find_fresh(stage, config, its_inputs, folder, seed)
        if fresh:
            events.noticed(f"{fresh.path} is up to date")
        return fresh or run_stage(stage, config, its_inputs, folder, seed, events)


def run_stage(
    stage: Stage,
    config: Any,
    inputs: Mapping[str, Artifact],
    folder: Path,
    seed: int,
    events: Events | None = None,
) -> Artifact:
    """Run one stage whatever stands there, resuming its own interrupted draft; its artifact."""
    events = events or Events()
    events.started(stage)
    recipe: Callable[..., None] = import_module(stage.recipe).run
    path = folder / stage.name
    with drafting(path, stage.name, config, inputs, seed) as draft:
        recipe(config, dict(inputs), draft, seed)
    artifact = Artifact.open(path)
    events.finished(stage, artifact)
    return artifact


def find_fresh(
    stage: Stage, config: Any, inputs: Mapping[str, Artifact], folder: Path, seed: int
) -> Artifact | None:
    """The stage's artifact if it stands and nothing it depends on changed, else None."""
    path = folder / stage.name
    recover(path)
    if not path.exists():
        return None
    artifact = Artifact.open(path)
    same = artifact.fingerprint == fingerprint(stage.name, config, inputs, seed)
    return artifact if same else None


def plan_states(
    preset: RunPreset, seed: int, folder: Path, until: str, force: tuple[str, ...] = ()
) -> list[tuple[Stage, str]]:
    """What `run_stages` would do with each stage: "done", "stale", "resume" or "to do"."""
    rows: list[tuple[Stage, str]] = []
    done: dict[str, Artifact] = {}
    for stage in STAGES[: STAGES.index(get_stage(until)) + 1]:
        path = folder / stage.name
        fresh = None
        if stage.name not in force and all(name in done for name in stage.inputs):
            inputs = {name: done[name] for name in stage.inputs}
            fresh = find_fresh(stage, preset.config(stage.name), inputs, folder, seed)
        if fresh:
            done[stage.name] = fresh
            rows.append((stage, "done"))
        elif path.with_name(path.name + ".partial").exists():
            rows.append((stage, "resume"))
        else:
            rows.append((stage, "stale" if path.exists() else "to do"))
    return rows


def finished_stages(folder: str | Path) -> dict[str, Artifact]:
    """Every finished stage of a run folder, in the order of the chain."""
    folder = Path(folder)
    found = {}
    for stage in STAGES:
        if (folder / stage.name / MANIFEST).exists():
            found[stage.name] = Artifact.open(folder / stage.name)
    return found


def differences(made: Any, wanted: Any, prefix: str = "") -> list[str]:
    """Settings that differ between two plain configs, as "key 1 instead of 2"."""
    if isinstance(made, dict) and isinstance(wanted, dict):
        rows = []
        for key in sorted(made.keys() | wanted.keys()):
            rows += differences(made.get(key), wanted.get(key), f"{prefix}{key}.")
        return rows
    if made == wanted:
        return []
    return [f"{prefix.rstrip('.')} {json.dumps(made)} instead of {json.dumps(wanted)}"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for one process; the system frees it however the process ends."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"another run is working in {folder}; wait for it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _ancestors(stage: Stage) -> set[str]:
    """Names of all stages a stage rests on, directly or not."""
    found: set[str] = set()
    for name in stage.inputs:
        found |= {name} | _ancestors(get_stage(name))
    return found
