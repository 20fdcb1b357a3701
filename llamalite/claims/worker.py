"""What runs in a worker process: one stage or one measurement, on one thread."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llamalite.artifacts import Artifact, peak_memory_bytes, write_json
from llamalite.claims.jobs import MeasureJob, StageJob
from llamalite.processes import Terminated

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
"""Environment of a worker: independent runs go faster as one-thread processes side by side."""


def run_stage_job(job: StageJob, inputs: Mapping[str, Path]) -> None:
    """Make a stage's artifact unless it stands; resume it if it was interrupted."""
    from llamalite.claims.stages import find_stage
    from llamalite.disk import locked
    from llamalite.pipeline import find_fresh, run_stage

    stage = find_stage(job.stage)
    with locked(job.folder), _logged(job.folder / "log.txt"):
        _one_thread()
        artifacts = {name: Artifact.open(path) for name, path in inputs.items()}
        if not find_fresh(stage, job.config, artifacts, job.folder, job.seed):
            try:
                run_stage(stage, job.config, artifacts, job.folder, job.seed)
            except Terminated:  # the runner hears of failures alone, and goes on with other jobs
                raise ChildProcessError("SIGTERM ended it; its last step is saved") from None


def run_measure_job(job: MeasureJob, *, inline: bool = False) -> dict[str, Any]:
    """Measure, and keep the raw measurement; one that was kept is only read.

    `inline` is for studies without runs: no log file, and the caller's threads.
    """
    kept = read_measurement(job)
    if kept is not None:
        return kept
    from llamalite.claims.study import Finished, all_studies

    job.file.parent.mkdir(parents=True, exist_ok=True)
    began, cpu_began = time.time(), time.process_time()
    with _logged(None if inline else job.file.with_suffix(".log")):
        if not inline:
            _one_thread()
        arms = {
            arm: {stage: Artifact.open(job.folders[key] / stage) for stage, key in stages.items()}
            for arm, stages in job.arms.items()
        }
        measurement = all_studies()[job.claim].measure(Finished(job.preset, job.seed, arms))
    made = {
        artifact.path: artifact.manifest for each in arms.values() for artifact in each.values()
    }
    record = {
        "key": job.key,
        "measurement": _plain(measurement),
        "seconds": time.time() - began + sum(m["seconds"] for m in made.values()),
        "cpu_seconds": time.process_time()
        - cpu_began
        + sum(m["cpu_seconds"] for m in made.values()),
        "peak_memory_bytes": max(
            peak_memory_bytes(), *(m["peak_memory_bytes"] for m in made.values()), 0
        ),
    }
    write_json(job.file, record)
    return record


def read_measurement(job: MeasureJob) -> dict[str, Any] | None:
    """A kept measurement of exactly this job, or None."""
    try:
        record = json.loads(job.file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return record if isinstance(record, dict) and record.get("key") == job.key else None


def _plain(measurement: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays and NumPy numbers as JSON values."""
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in measurement.items()
    }


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@contextmanager
def _logged(path: Path | None) -> Iterator[None]:
    """Send everything the process prints to a file, so that workers leave the terminal alone."""
    if path is None:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            os.close(saved[0])
            os.close(saved[1])
