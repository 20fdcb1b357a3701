"""`llamalite benchmark`: checkpoints side by side on lm-eval's tasks, as the paper's table 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llamalite.artifacts import versions
from llamalite.disk import write_json
from llamalite.harness.config import BenchmarkConfig, require_lm_eval
from llamalite.real_models.folder import named_models


def benchmark(config: BenchmarkConfig) -> dict[str, Any]:
    """Measure what is not measured yet, print the table, write the files.

    Returns what benchmark.json holds: `models` {label: folder}, `tasks` {label: {task: result}}
    (see `llamalite.harness.results.measure`), `groups` {label: {group: metrics}} as lm-eval takes
    their means, `members` {group: what stands in it}. Stopped and started again, it goes on after
    the last finished task. Raises ValueError in one line for what cannot be used.
    """
    require_lm_eval()
    from llamalite.harness.table import print_table, score_plot
    from llamalite.harness.tasks import load_tasks, quiet

    models = named_models(config.models)
    names = [name.strip() for name in config.tasks.split(",") if name.strip()]
    if not names:
        raise ValueError("--tasks names none; name some, as world or arc_easy,mmlu")
    folder = Path(config.out)
    world = Path(config.world) if config.world else next(iter(models.values())).parent / "world"
    with quiet():
        loaded = load_tasks(names, world, folder / "tasks", config.questions, config.shots)
        tasks = {label: _sit(label, path, loaded, config) for label, path in models.items()}
        groups = {label: _group_scores(loaded, results) for label, results in tasks.items()}
    result: dict[str, Any] = {
        "settings": asdict(config),
        "models": {label: str(path) for label, path in models.items()},
        "tasks": tasks,
        "groups": groups,
        "aliases": {name: group.alias or name for name, group in loaded.groups.items()},
        "members": {name: list(members) for name, members in loaded.members.items()},
        "versions": versions(),
    }
    write_json(folder / "benchmark.json", result)
    print_table(result)
    if drawing := score_plot(result):
        drawing.save(folder / "benchmark.svg")
    print(f"written: {folder}")
    if config.samples:
        print(f"question by question, for llamalite contamination: {folder / 'samples'}")
    return result


def _sit(label: str, path: Path, loaded: Any, config: BenchmarkConfig) -> dict[str, Any]:
    """A checkpoint's result on every task, from its files where it stands there."""
    from llamalite.harness.lm import LlamaliteLM
    from llamalite.harness.results import checkpoint_hash, measure, stored, task_key, write_result

    checkpoint = checkpoint_hash(path)
    lm: LlamaliteLM | None = None
    results = {}
    for name, task in loaded.tasks.items():
        place = Path(label.replace("/", "-"), name)
        file = Path(config.out, "results", f"{place}.json")
        samples = Path(config.out, "samples", f"{place}.jsonl") if config.samples else None
        key = task_key(config, checkpoint, task)
        found = None if config.force else stored(file, key, samples)
        if found is None:
            lm = lm or LlamaliteLM(str(path), batch_size=config.batch_size)
            found = measure(lm, name, task, key, config, samples)
            write_result(file, found)
            score = found["metrics"][found["main"]]["value"]
            print(f"{label}  {name}  {found['main']} {score:.3f}  {found['seconds']:.1f} s")
        results[name] = found
    return results


def _group_scores(loaded: Any, results: Mapping[str, Any]) -> dict[str, Any]:
    """Each group's metrics, as lm-eval takes means over what stands in it."""
    from llamalite.harness.results import plain_metrics

    raw = {}
    for name, found in results.items():
        raw[name] = {"sample_len": found["n"]}
        for metric, score in found["metrics"].items():
            metric, _, filtered = metric.partition(",")
            raw[name][f"{metric},{filtered or 'none'}"] = score["value"]
            if score["stderr"] is not None:
                raw[name][f"{metric}_stderr,{filtered or 'none'}"] = score["stderr"]
    return {name: plain_metrics(group.aggregate(raw)) for name, group in loaded.groups.items()}
