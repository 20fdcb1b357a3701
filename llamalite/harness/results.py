"""One checkpoint on one task, measured once: a file for each, which the next run goes on from.

Where samples are asked for, a second file has them, and the result that file's sha256.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval.evaluator import evaluate

from llamalite.artifacts import code_hash, digest
from llamalite.disk import sha256_of, write_json
from llamalite.harness.config import BenchmarkConfig
from llamalite.harness.lm import LlamaliteLM
from llamalite.harness.samples import question_by_question
from llamalite.jsonl import write_rows

SAMPLES = "samples_sha256"
"""Key of a result: sha256 of the file of its samples."""
_FEWSHOT_SEED = 1234  # lm-eval's own
_NO_METRIC = ("alias", "name", "sample_len", "sample_count")


def checkpoint_hash(folder: Path) -> str:
    """Hash of all files of a model folder that decide what it answers."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ValueError(f"{folder} holds no safetensors file; give a model's folder")
    files = [*weights, folder / "config.json", *folder.glob("tokenizer*")]
    return digest({file.name: sha256_of(file) for file in files})


def task_key(config: BenchmarkConfig, checkpoint: str, task: Any) -> str:
    """Hash of what decides a result: weights, questions and examples, how they are asked, code."""
    asked = {k: v for k, v in task.dump_config().items() if k not in ("dataset_kwargs", "metadata")}
    shown = task.fewshot_docs() if task.get_config("num_fewshot") else []
    return digest(
        {
            "checkpoint": checkpoint,
            "task": json.loads(json.dumps(asked, default=str)),
            "questions": digest([json.dumps(doc, default=str) for doc in task.eval_docs]),
            "shown": digest([json.dumps(doc, default=str) for doc in shown]),
            "limit": config.limit,
            "chat": config.chat,
            "lm_eval": version("lm_eval"),
            "code": code_hash(),
        }
    )


def stored(file: Path, key: str, samples: Path | None = None) -> dict[str, Any] | None:
    """A result that stands already, if it is of this key; a damaged file is none.

    Nor is one without its `samples`, where these are asked for.
    """
    try:
        result = json.loads(file.read_bytes())
        if not isinstance(result, dict) or result.get("key") != key:
            return None
        if samples and result.get(SAMPLES) != sha256_of(samples):
            return None
    except (OSError, ValueError):
        return None
    return result


def measure(
    lm: LlamaliteLM,
    name: str,
    task: Any,
    key: str,
    config: BenchmarkConfig,
    samples: Path | None = None,
) -> Any:
    """Ask a task's questions; the result as its file holds it. `samples` get a file of their own.

    `metrics` are {metric: {"value", "stderr"}} with a filter's name behind a comma where the task
    has several; `main` is the first. `chance` is what guessing gives where there are choices.
    """
    began = time.monotonic()
    task.set_fewshot_seed(_FEWSHOT_SEED)
    found: Any = evaluate(
        lm=lm,
        task_dict={"tasks": {name: task}},
        limit=config.limit or None,
        apply_chat_template=config.chat,
        fewshot_as_multiturn=True,
        log_samples=samples is not None,
        bootstrap_iters=1000,
    )
    metrics = plain_metrics(found["results"][name])
    main = next(iter(metrics))
    kept = {}
    if samples:
        asked = question_by_question(task, found["samples"][name], main)
        samples.parent.mkdir(parents=True, exist_ok=True)
        write_rows(samples, (each._asdict() for each in asked))
        kept = {SAMPLES: sha256_of(samples)}
    return {
        "key": key,
        "task": name,
        "n": found["n-samples"][name]["effective"],
        "shots": task.get_config("num_fewshot"),
        "main": main,
        "metrics": metrics,
        "chance": _chance(task),
        "seconds": round(time.monotonic() - began, 2),
        **kept,
    }


def plain_metrics(scores: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """lm-eval's "acc,none" and "acc_stderr,none" as {"acc": {"value", "stderr"}}."""
    metrics = {}
    for key, value in scores.items():
        name, _, filtered = key.partition(",")
        if key in _NO_METRIC or name.endswith("_stderr"):
            continue
        stderr = scores.get(f"{name}_stderr,{filtered}")
        metrics[name if filtered == "none" else f"{name},{filtered}"] = {
            "value": float(value),
            "stderr": float(stderr) if isinstance(stderr, float | int) else None,
        }
    return metrics


def _chance(task: Any) -> float | None:
    """What guessing among the choices gives, as a mean over the questions; None without choices."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return None
    choices = Counter(instance.doc_id for instance in task.instances)
    return round(sum(1 / count for count in choices.values()) / len(choices), 6)


def write_result(file: Path, result: Mapping[str, Any]) -> None:
    """Keep a result; the file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, result)
