"""Run the studies of some claims and write their result files.

Independent jobs run as one-thread processes, two at a time. Everything finished is kept: stages as
artifacts, each seed's raw measurement as a file. A killed run goes on where it was.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from llamalite.artifacts import digest
from llamalite.claims.jobs import Job, MeasureJob, StageJob, plan_jobs, study_config
from llamalite.claims.results import code_state, make_result, write_result
from llamalite.claims.statements import parse_ids
from llamalite.claims.study import STUDY_MODULES, Study, all_studies
from llamalite.claims.worker import (
    ONE_THREAD,
    read_measurement,
    run_measure_job,
    run_stage_job,
)
from llamalite.presets import get_preset
from llamalite.stages import STAGES
from llamalite.world.config import EDITION

WORKERS = 2


def run_claims(
    ids: str | Sequence[str] = "all",
    seeds: int | Sequence[int] = 3,
    preset: str = "laptop",
    out: str | Path = "runs/results",
    runs: str | Path = "runs/claims",
    *,
    workers: int = WORKERS,
    quiet: bool = False,
) -> dict[str, dict[str, Any]]:
    """Measure claims and write `<out>/<preset>/<ID>.json`; returns the results by id.

    `ids` is "P1,P2", a list, or "all" (every claim that has a study); `seeds` a number (1, 2, ...
    up to it; seed 0 is for development) or the seeds themselves. Exact claims run once. Raises
    ValueError for unknown ids or presets, claims without a study yet, and failed jobs.
    """
    settings = get_preset(preset)
    chosen = _choose(ids)
    which = list(range(1, seeds + 1)) if isinstance(seeds, int) else list(seeds)
    if not which or len(set(which)) != len(which):
        raise ValueError(f"seeds is {seeds}; give at least one, each once")
    jobs = plan_jobs(chosen, settings, which, Path(runs).resolve())
    code = code_state()  # now: by the end of a long run the checkout may have moved on
    results: dict[str, dict[str, Any]] = {}
    with _display(quiet) as display:
        if code["git_changes"]:
            display.warned(_uncommitted(code))
        records = _execute(jobs, workers, display)
        for study in chosen:
            mine = [
                job
                for job in jobs.values()
                if isinstance(job, MeasureJob) and job.claim == study.claim.id
            ]
            result = make_result(
                study.claim,
                study.rule,
                preset,
                [job.seed for job in mine],
                [records[job.key]["measurement"] for job in mine],
                _provenance(study, settings, [records[job.key] for job in mine]) | code,
            )
            path = write_result(Path(out), result)
            results[study.claim.id] = result
            display.said(f"{study.claim.id} {result['verdict']:<13}{path}")
    return results


def _choose(ids: str | Sequence[str]) -> list[Study]:
    studies = all_studies()
    everything = isinstance(ids, str) and ids.strip().lower() == "all"
    wanted = parse_ids(ids if isinstance(ids, str) else ",".join(ids))
    missing = [name for name in wanted if name not in studies]
    if missing and not everything:
        raise ValueError(
            f"{', '.join(missing)} cannot be measured yet; studies exist for {', '.join(studies)}"
        )
    return [studies[name] for name in wanted if name in studies]


def _uncommitted(code: Mapping[str, Any]) -> str:
    files = code["git_changes"]
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return (
        f"WARNING: the results will name commit {code['git_commit'][:10]}, but the code that runs "
        f"is another: {len(files)} source file(s) differ from it ({', '.join(files[:5])}{more}). "
        "Commit first, unless the results are only for yourself."
    )


def _provenance(study: Study, preset: Any, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    config = study_config(study, preset)
    return {
        "config_hash": digest(config),
        "config": config,
        "world_edition": EDITION if study.trains else None,
        "seconds": sum(record["seconds"] for record in records),
        "cpu_seconds": sum(record["cpu_seconds"] for record in records),
        "peak_memory_bytes": max(record["peak_memory_bytes"] for record in records),
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _execute(jobs: Mapping[str, Job], workers: int, display: Any) -> dict[str, dict[str, Any]]:
    """Run all jobs in an order their needs allow; returns the measurements' records by key."""
    records: dict[str, dict[str, Any]] = {}
    for key, job in jobs.items():
        if isinstance(job, MeasureJob):
            kept = read_measurement(job)
            if kept is not None:
                records[key] = kept
            elif not job.arms:  # arithmetic: not worth a process
                records[key] = run_measure_job(job, inline=True)
    waiting = _wanted(jobs, records)
    display.planned(len(waiting))
    if not waiting:
        return records
    done = set(records)
    running: dict[Future[Any], str] = {}
    with _one_thread_environment(), _pool(workers) as pool:
        while waiting or running:
            ready = [k for k in waiting if all(n in done for n in jobs[k].needs)]
            ready.sort(key=lambda k: -jobs[k].cost)
            for key in ready[: workers - len(running)]:
                waiting.remove(key)
                running[_submit(pool, jobs[key], jobs)] = key
            display.running([jobs[key].title for key in running.values()])
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                key = running.pop(future)
                try:
                    outcome = future.result()
                except Exception as error:
                    pool.shutdown(cancel_futures=True)
                    raise ValueError(_failure(jobs[key], error)) from error
                if isinstance(jobs[key], MeasureJob):
                    records[key] = outcome
                done.add(key)
                display.finished()
    return records


def _wanted(jobs: Mapping[str, Job], records: Mapping[str, Any]) -> list[str]:
    """Keys of the jobs to run: unmeasured measurements and all they rest on."""
    wanted: set[str] = set()
    stack = [k for k, job in jobs.items() if isinstance(job, MeasureJob) and k not in records]
    while stack:
        key = stack.pop()
        if key not in wanted:
            wanted.add(key)
            stack += jobs[key].needs
    return [key for key in jobs if key in wanted]


def _submit(pool: ProcessPoolExecutor, job: Job, jobs: Mapping[str, Job]) -> Future[Any]:
    if isinstance(job, MeasureJob):
        return pool.submit(run_measure_job, job)
    inputs = {}
    for role, key in job.inputs.items():
        before = jobs[key]
        assert isinstance(before, StageJob)
        inputs[role] = before.folder / before.stage
    return pool.submit(run_stage_job, job, inputs)


def _failure(job: Job, error: Exception) -> str:
    log = job.folder / "log.txt" if isinstance(job, StageJob) else job.file.with_suffix(".log")
    return f"{job.title} failed: {type(error).__name__}: {error}; see {log}"


def _pool(workers: int) -> ProcessPoolExecutor:
    # a fresh process for each job: its peak memory is the job's own
    return ProcessPoolExecutor(workers, mp_context=_processes(), max_tasks_per_child=1)


def _processes() -> BaseContext:
    """Fresh processes; on Linux they are forked off one that has imported everything.

    Where that one runs already, begun by other code of this process, it stays as it is.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    recipes = dict.fromkeys(stage.recipe for stage in STAGES)
    context.set_forkserver_preload([*STUDY_MODULES, *recipes])
    return context


@contextmanager
def _one_thread_environment() -> Iterator[None]:
    """Children inherit it before they import anything."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Quiet:
    """A display that shows nothing."""

    def planned(self, count: int) -> None: ...
    def running(self, titles: Sequence[str]) -> None: ...
    def finished(self) -> None: ...
    def said(self, line: str) -> None: ...
    def warned(self, line: str) -> None: ...


class _Bar(_Quiet):
    """A progress bar over all jobs, with the names of those at work."""

    def __init__(self, progress: Any) -> None:
        self.progress = progress
        self.task = progress.add_task("planning", total=None)

    def planned(self, count: int) -> None:
        self.progress.update(self.task, total=count)

    def running(self, titles: Sequence[str]) -> None:
        self.progress.update(self.task, description=", ".join(titles) or "done")

    def finished(self) -> None:
        self.progress.advance(self.task)

    def said(self, line: str) -> None:
        self.progress.console.print(line, soft_wrap=True)

    def warned(self, line: str) -> None:
        self.progress.console.rule(style="bold red")
        self.progress.console.print(line, style="bold red", soft_wrap=True, markup=False)
        self.progress.console.rule(style="bold red")


@contextmanager
def _display(quiet: bool) -> Iterator[_Quiet]:
    if quiet:
        yield _Quiet()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns) as progress:
        yield _Bar(progress)
