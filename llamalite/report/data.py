"""The numbers of a run, gathered from its artifacts: what report.json holds and the page shows."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamalite.artifacts import Artifact
from llamalite.evaluation.bootstrap import bootstrap_interval
from llamalite.model.config import ModelConfig
from llamalite.pipeline import finished_stages
from llamalite.protocols import ADVERSARIAL, BORDERLINE
from llamalite.rlhf.rounds import ROUNDS, version_stage
from llamalite.stages import get_stage

FORMAT = 2
"""Raised when readers of report.json would misunderstand it."""
_TRAINED = ("pretrain", "sft")


def collect(folder: str | Path) -> dict[str, Any]:
    """Everything the report shows, as plain JSON values.

    Raises ValueError when the folder holds no finished stage.
    """
    folder = Path(folder)
    artifacts = finished_stages(folder)
    if not artifacts:
        raise ValueError(f"{folder} holds no finished stage; run `llamalite run` first")
    last = next(reversed(artifacts.values()))
    preset, _, _ = folder.resolve().name.rpartition("-seed")
    compared = _named(artifacts, "versions", "versions.json")
    return {
        "format": FORMAT,
        "preset": preset or folder.resolve().name,
        "seed": last.manifest["seed"],
        "versions": last.manifest["versions"],
        "model": _model(artifacts),
        "stages": [_stage(name, artifact) for name, artifact in artifacts.items()],
        "seconds": round(sum(a.manifest["seconds"] for a in artifacts.values()), 3),
        "peak_memory_bytes": max(a.manifest["peak_memory_bytes"] for a in artifacts.values()),
        "training": {
            name: _training(artifacts[name])
            for name in _TRAINED
            if name in artifacts and "metrics.csv" in artifacts[name].files
        },
        **_evaluation(artifacts.get("evaluate")),
        "rounds": compared.get("versions", {}),
        "after": compared.get("after", {}),
        "round_samples": compared.get("samples", []),
        "ppo": _ppo(artifacts),
        "red_team": _named(artifacts, "red_team", "red_team.json"),
        "judges": _judges(artifacts),
        "instructions": _named(artifacts, "ghost_attention", "consistency.json"),
        "distillation": _named(artifacts, "safety", "distillation.json"),
        "prose": _without_items(_named(artifacts, "prose", "prose.json"))
        | {"samples": _named(artifacts, "prose", "samples.json")}
        if "prose" in artifacts
        else {},
    }


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """Rows of a metrics.csv: numbers by column, without the cells that are empty or not finite."""
    rows = []
    with Path(path).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            numbers = {key: _number(cell) for key, cell in row.items() if key}
            rows.append({key: value for key, value in numbers.items() if value is not None})
    return rows


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _stage(name: str, artifact: Artifact) -> dict[str, Any]:
    made = artifact.manifest
    stage = get_stage(name)
    return {
        "name": name,
        "section": stage.section,
        "summary": stage.summary,
        "module": stage.recipe,
        "seconds": made["seconds"],
        "cpu_seconds": made["cpu_seconds"],
        "peak_memory_bytes": made["peak_memory_bytes"],
        "resumed": made["resumed"],
        "finished": made["finished"],
        "bytes": sum(file["bytes"] for file in artifact.files.values()),
        "config": made["config"],
        "config_hash": made["config_hash"],
        "metrics": made["metrics"],
    }


def _model(artifacts: Mapping[str, Artifact]) -> dict[str, Any] | None:
    """Dimensions of the base model and how much it read."""
    if "pretrain" not in artifacts:
        return None
    made = artifacts["pretrain"].manifest
    config = dict(made["config"]["model"])
    model = ModelConfig(**config)
    return {
        "parameters": model.n_parameters,
        "config": config,
        "tokens": made["metrics"].get("tokens", made["config"]["tokens"]),
        "kv_bytes_per_token_fp32": model.kv_bytes_per_token(4),
    }


def _training(artifact: Artifact) -> dict[str, Any]:
    """Logged rows, those of held-out losses after the others, and what was read."""
    rows = read_metrics(artifact.file("metrics.csv"))
    if "held_out.json" in artifact.files:
        rows += [
            {"step": row["step"], "held_out_loss": row["loss"]}
            for row in _json(artifact, "held_out.json")
        ]
    return {"rows": rows, "tokens_by_source": tokens_by_source(artifact.metrics)}


def tokens_by_source(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Tokens a stage took from each source, from its metrics; empty where it does not say."""
    found = (
        metrics.get("tokens_by_source") or metrics.get("mixture") or metrics.get("sources") or {}
    )
    if isinstance(found, Mapping):
        pairs = found.items()
    else:
        pairs = [(row.get("source"), row) for row in found if isinstance(row, Mapping)]
    counts = {
        str(source): value.get("tokens") if isinstance(value, Mapping) else value
        for source, value in pairs
    }
    return {source: n for source, n in counts.items() if isinstance(n, int | float) and n > 0}


def _evaluation(artifact: Artifact | None) -> dict[str, Any]:
    """Results of the evaluate stage without the single items, and the sample dialogues."""
    if artifact is None:
        return {"base": {}, "chat": {}, "gain": None, "samples": []}
    chat = _json(artifact, "chat.json")["models"]
    return {
        "base": _without_items(_json(artifact, "base.json")["models"]),
        "chat": _without_items(chat),
        "gain": helpfulness_gain(chat["base"]["items"], chat["chat"]["items"]),
        "samples": _json(artifact, "samples.json"),
    }


def _judges(artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """By round: what its reward models are worth, and what the best of N was worth to them."""
    found: dict[str, Any] = {}
    for number in range(1, ROUNDS + 1):
        tested = _named(artifacts, f"reward_{number}", "test.json")
        if tested:
            picked = f"rejection_sampling_{number}"
            sampled = picked in artifacts and "curves.json" in artifacts[picked].files
            curves = _json(artifacts[picked], "curves.json") if sampled else []
            found[str(number)] = {"accuracy": _accuracy(tested), "curves": curves}
    return found


def _accuracy(tested: Mapping[str, Any]) -> dict[str, Any]:
    """Each reward model's accuracy on its own comparisons, by rating, as estimates."""
    return {
        name: {
            rating: {**{key: each[key] for key in ("mean", "low", "high")}, "n": each["pairs"]}
            for rating, each in results[name]["by_rating"].items()
        }
        for name, results in tested["models"].items()
        if name in results
    }


def _ppo(artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """The course of the last round's PPO: its iterations, and its looks at held-out prompts."""
    stage = version_stage(ROUNDS)
    if stage not in artifacts:
        return {}
    artifact = artifacts[stage]
    return {
        "stage": stage,
        "iterations": read_metrics(artifact.file("iterations.csv")),
        "looks": _json(artifact, "evaluations.json"),
        "kept_iteration": artifact.metrics.get("kept_iteration"),
    }


def _named(artifacts: Mapping[str, Artifact], stage: str, name: str) -> Any:
    """A result file of a stage; empty where the stage has not run."""
    return _json(artifacts[stage], name) if stage in artifacts else {}


def helpfulness_gain(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """By how much one model's replies are more helpful than another's to the same ordinary prompts.

    Mean of the differences of gold scores with its 95 % bootstrap interval over prompts; None when
    both have no ordinary prompt in common.
    """
    scores = {item["id"]: item["helpfulness"] for item in before}
    differences = [
        item["helpfulness"] - scores[item["id"]]
        for item in after
        if item["kind"] not in (ADVERSARIAL, BORDERLINE) and item["id"] in scores
    ]
    if not differences:
        return None
    interval = bootstrap_interval(differences)
    rounded = {name: round(value, 6) for name, value in interval._asdict().items()}
    return {**rounded, "n": len(differences)}


def _json(artifact: Artifact, name: str) -> Any:
    return json.loads(artifact.file(name).read_text(encoding="utf-8"))


def _without_items(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_items(item) for key, item in value.items() if key != "items"}
    return value
