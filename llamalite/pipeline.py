"""What of the chain is stale, and how to run one stage or all. The stages: `llamalite.stages`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

from llamalite import stages
from llamalite.artifacts import (
    MANIFEST,
    Artifact,
    code_hash,
    deciding,
    draft_of,
    drafting,
    fingerprint,
    recover,
    resumable,
    to_plain,
)
from llamalite.disk import locked
from llamalite.presets import RunPreset, get_preset
from llamalite.processes import Group, joined
from llamalite.progress import Parts, heard_by
from llamalite.stages import Stage, get_stage

_MACHINES = (
    *("parallel", "refit.parallel", "training.parallel", "tuning.parallel"),
    "feedback.tuning.parallel",
)
"""Where the settings of a stage that several processes share say how many they are."""


class Events:
    """What a run tells its audience; the default says nothing. The terminal has its own."""

    def planned(self, folder: Path, rows: list[tuple[Stage, str]]) -> None:
        """Before anything runs: every stage with "done", "stale", "resume" or "to do"."""

    def started(self, stage: Stage) -> None:
        """A stage begins."""

    def progressed(self, stage: Stage, parts: Parts) -> None:
        """How far a stage has come, told often; no parts when it does nothing that is counted."""

    def finished(self, stage: Stage, artifact: Artifact) -> None:
        """A stage's artifact is in place."""

    def noticed(self, message: str) -> None:
        """Something the user would want to know."""


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
    until: str = "",
    force: tuple[str, ...] = (),
    folder: str | Path | None = None,
    events: Events | None = None,
) -> dict[str, Artifact]:
    """Bring every stage up to date, to `until` where it is named; their artifacts by name.

    A stage runs again when its config, its seed or the content of its inputs changed, or when it
    is named in `force`. Interrupted stages resume. `folder` overrides `<out>/<preset>-seed<seed>`.
    Under torchrun or srun every process calls this; the first leads, the others take part in
    training and in the sampling of the stages that tune. Raises ValueError for an unknown
    preset or stage, for another number of processes than a stage is set up for, and when another
    run holds the folder.
    """
    chosen = get_preset(preset) if isinstance(preset, str) else preset
    for name in (*force, until):
        stages.chain(chosen, name)  # a wrong name is said before anything is locked or made
    folder = Path(folder) if folder else run_folder(out, chosen.name, seed)
    events = events or Events()
    done: dict[str, Artifact] = {}
    with joined() as group:
        if not group.leads:
            return follow(group, chosen, folder, seed)
        with locked(folder):
            rows = plan_states(chosen, seed, folder, until, force)
            events.planned(folder, rows)
            for stage, state in rows:
                if state != "done":
                    check_processes(stage, stage.config(chosen), group)
                    check_packages(stage)
            other_code = []
            for stage in stages.chain(chosen, until):
                inputs = {role: done[name] for role, name in stage.inputs_in(chosen).items()}
                config = stage.config(chosen)
                fresh = None
                if stage.name not in force:
                    fresh = find_fresh(stage, config, inputs, folder, seed)
                if fresh and fresh.manifest["code_hash"] != code_hash():
                    other_code.append(stage.name)
                done[stage.name] = fresh or run_stage(
                    stage, config, inputs, folder, seed, events, group
                )
            _notice_other_code(events, other_code)
        group.tell({"end": list(done)})
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

    Those are named before the first is made. Inputs made with other settings than the preset's are
    used as they are, and said so: a changed earlier stage is brought up to date by `run_stages`.
    """
    chosen = get_preset(preset) if isinstance(preset, str) else preset
    *earlier, stage = stages.chain(chosen, name)
    folder = run_folder(out, chosen.name, seed)
    events = events or Events()
    with joined() as group:
        if not group.leads:
            return follow(group, chosen, folder, seed)[name]
        with locked(folder):
            inputs: dict[str, Artifact] = {}
            read = [each for each in earlier if each.name in _ancestors(stage, chosen)]
            for needed in read:
                recover(folder / needed.name)
            absent = [each.name for each in read if not (folder / each.name).exists()]
            if absent:
                events.noticed(f"{name} reads what is missing; making first: {', '.join(absent)}")
            for needed in read:
                roles = needed.inputs_in(chosen)
                its_inputs = {role: inputs[name] for role, name in roles.items()}
                inputs[needed.name] = _standing(
                    needed, chosen, its_inputs, folder, seed, events, group
                )
            config = stage.config(chosen)
            its_inputs = {role: inputs[name] for role, name in stage.inputs_in(chosen).items()}
            made = find_fresh(stage, config, its_inputs, folder, seed)
            if made:
                events.noticed(f"{made.path} is up to date")
                _notice_other_code(events, [name] * (made.manifest["code_hash"] != code_hash()))
            else:
                made = run_stage(stage, config, its_inputs, folder, seed, events, group)
        group.tell({"end": [name]})
    return made


def _standing(
    stage: Stage,
    preset: RunPreset,
    inputs: Mapping[str, Artifact],
    folder: Path,
    seed: int,
    events: Events,
    group: Group,
) -> Artifact:
    """A stage's artifact as it stands, whatever it was made with; made if it lacks."""
    config = stage.config(preset)
    if not (folder / stage.name).exists():
        return run_stage(stage, config, inputs, folder, seed, events, group)
    artifact = Artifact.open(folder / stage.name)
    changed = differences(artifact.manifest["config"], to_plain(config))
    if changed:
        events.noticed(f"using {artifact.path}, made with {', '.join(changed)}")
    return artifact


def run_stage(
    stage: Stage,
    config: Any,
    inputs: Mapping[str, Artifact],
    folder: Path,
    seed: int,
    events: Events | None = None,
    group: Group | None = None,
) -> Artifact:
    """Run one stage whatever stands there, resuming its own interrupted draft; its artifact.

    Raises ValueError for another number of processes than the stage is set up for.
    """
    events, group = events or Events(), group or Group()
    check_processes(stage, config, group)
    check_packages(stage)
    events.started(stage)
    recipe: Callable[..., None] = import_module(stage.recipe).run
    path = folder / stage.name
    shared = stage.shared or bool(_machine(config)[1])
    drafted = drafting(
        path, stage.name, config, inputs, seed, files=stage.files, notice=events.noticed
    )
    with drafted as draft:
        if shared:
            group.tell({"train": stage.name})
        with heard_by(partial(events.progressed, stage)):
            recipe(config, dict(inputs), draft, seed)
        if shared:
            group.wait_until_done()
    artifact = Artifact.open(path)
    events.finished(stage, artifact)
    return artifact


def follow(group: Group, preset: RunPreset, folder: Path, seed: int) -> dict[str, Artifact]:
    """What all processes but the first do: train as they are told; the artifacts in the end."""
    while "train" in (order := group.listen()):
        stage = get_stage(order["train"])
        recipe: Callable[..., None] = import_module(stage.recipe).run
        # the leader has just verified them
        inputs = {
            role: Artifact.open(folder / name, verify=False)
            for role, name in stage.inputs_in(preset).items()
        }
        recipe(stage.config(preset), inputs, draft_of(folder / stage.name), seed)
        group.done()
    return {name: Artifact.open(folder / name, verify=False) for name in order["end"]}


def check_processes(stage: Stage, config: Any, group: Group) -> None:
    """ValueError where a stage is set up for another number of processes than will work on it."""
    where, wanted = _machine(config)
    if wanted and wanted != group.world:
        raise ValueError(
            f"{stage.kind}.{where} is set up for {wanted} process{'es' * (wanted > 1)} and "
            f"{group.world} started; start {wanted} (torchrun --nproc-per-node, srun) or set "
            f"{stage.kind}.{where}.data_parallel x tensor_parallel to {group.world}"
        )


def check_packages(stage: Stage) -> None:
    """ValueError where a package is missing that a stage imports, before anything is trained."""
    for package in stage.packages:
        if find_spec(package) is None:
            raise ValueError(
                f"the stage {stage.name} needs the package {package}, which is not installed; "
                "pip install 'llamalite[data]'"
            )


def _machine(config: Any) -> tuple[str, int]:
    """Which of a stage's settings says how many processes share it, and how many.

    "" and 0 for stages that the first process does alone.
    """
    for where in _MACHINES:
        with suppress(AttributeError):
            return where, attrgetter(where)(config).processes
    return "", 0


def _notice_other_code(events: Events, stages: list[str]) -> None:
    if stages:
        events.noticed(
            f"{', '.join(stages)} made by other code than today's; "
            f"llamalite run --force {','.join(stages)} makes anew"
        )


def find_fresh(
    stage: Stage,
    config: Any,
    inputs: Mapping[str, Artifact],
    folder: Path,
    seed: int,
    *,
    reading: bool = False,
) -> Artifact | None:
    """The stage's artifact if it stands and nothing it depends on changed, else None.

    `reading` is for who does not hold the folder's lock: it leaves all as it is, and does not read
    files through to check them.
    """
    path = folder / stage.name
    if not reading:
        recover(path)
    if not path.exists():
        return None
    artifact = Artifact.open(path, verify=not reading)
    same = artifact.fingerprint == fingerprint(stage.name, config, inputs, seed, stage.files)
    return artifact if same else None


def plan_states(
    preset: RunPreset,
    seed: int,
    folder: Path,
    until: str,
    force: tuple[str, ...] = (),
    *,
    reading: bool = False,
) -> list[tuple[Stage, str]]:
    """What `run_stages` would do with each stage: "done", "stale", "resume" or "to do".

    A half-done draft is resumed only where settings, inputs and code are those of now. `reading`
    is for who does not hold the folder's lock.
    """
    rows: list[tuple[Stage, str]] = []
    done: dict[str, Artifact] = {}
    for stage in stages.chain(preset, until):
        path, config = folder / stage.name, stage.config(preset)
        state = "stale" if path.exists() else "to do"
        wanted = stage.inputs_in(preset)
        if all(name in done for name in wanted.values()):
            inputs = {role: done[name] for role, name in wanted.items()}
            fresh = find_fresh(stage, config, inputs, folder, seed, reading=reading)
            if fresh and stage.name not in force:
                done[stage.name], state = fresh, "done"
            elif resumable(path, fingerprint(stage.name, config, inputs, seed, stage.files)):
                state = "resume"
        rows.append((stage, state))
    return rows


def why_stale(preset: RunPreset, seed: int, folder: Path, until: str = "") -> str:
    """In one line what of a run would be made anew today, or was made by other code; "" if nothing.

    Of all stages that stand, or of `until` and those it rests on.
    """
    named = {until, *_ancestors(get_stage(until), preset)} if until else None
    stale: list[str] = []
    changed: list[str] = []
    other_code: list[str] = []
    for stage, state in plan_states(preset, seed, folder, until, reading=True):
        path = folder / stage.name
        if (named is not None and stage.name not in named) or not path.exists():
            continue
        made = Artifact.open(path, verify=False).manifest
        if state != "done":
            stale.append(stage.name)
            found = differences(deciding(made["config"]), deciding(stage.config(preset)))
            changed += [f"{stage.kind}.{each}" for each in found]
        elif made["code_hash"] != code_hash():
            other_code.append(stage.name)
    parts = []
    if stale:
        why = ", ".join(dict.fromkeys(changed)) or "what they read has changed"
        parts.append(f"{', '.join(stale)} stale against the preset {preset.name}: {why}")
    if other_code:
        parts.append(f"{', '.join(other_code)} made by other code than today's")
    return "; ".join(parts)


def finished_stages(folder: str | Path) -> dict[str, Artifact]:
    """Every finished stage of a run folder, in the order of the chain."""
    folder = Path(folder)
    found = {}
    for stage in stages.STAGES:
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


def _ancestors(stage: Stage, preset: RunPreset) -> set[str]:
    """Names of all stages a stage rests on with a preset's settings, directly or not."""
    found: set[str] = set()
    for name in stage.inputs_in(preset).values():
        found |= {name} | _ancestors(get_stage(name), preset)
    return found
