"""What `llamalite benchmark` is told. No torch, and no lm-eval, is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class BenchmarkConfig:
    """Which checkpoints sit which tasks, and where the results go."""

    models: str = ""
    """Model folders or fetched models, as runs/laptop-seed0/pretrain,runs/laptop-seed0/sft,smollm2;
    a name of your own may stand before one, as base=runs/laptop-seed0/pretrain."""
    tasks: str = "world"
    """Names of tasks or groups, as arc_easy,mmlu: the micro-world's own (world: all of them; a
    group as world_group_math; a task as world_facts), those of lm-eval (`lm-eval ls tasks`; most
    fetch their data from the hub), or a task's YAML file."""
    world: str = ""
    """The world stage's folder whose exams are asked; of itself the one beside the first model."""
    shots: int | None = None
    """Solved examples before each question; of itself what the task says, else none."""
    limit: int = 0
    """Questions of each task, at most; 0 asks them all."""
    questions: int = 200
    """Questions of each exam of the micro-world, at most, spread evenly; 0 asks them all."""
    chat: bool = False
    """Put each question as a user's message in the chat format."""
    samples: bool = False
    """Write every question with its right answer and the model's score on it, a row each, to
    samples/MODEL/TASK.jsonl in --out: what `llamalite contamination --benchmark` reads."""
    batch_size: int = 64
    """Sequences scored or written at once."""
    out: str = "runs/benchmark"
    """Folder of benchmark.json, benchmark.svg, each model's results, the world's task files and,
    with --samples, the questions one by one."""
    force: bool = False
    """Measure again what stands in the folder already."""

    def __post_init__(self) -> None:
        for name in ("limit", "questions"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if self.shots is not None and self.shots < 0:
            raise ValueError(f"shots is {self.shots}; it must be at least 0")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; it must be at least 1")


def require_lm_eval() -> None:
    """ValueError that names the extra when lm-eval is not installed."""
    if find_spec("lm_eval") is None:
        raise ValueError(
            "benchmarks need the package lm-eval; pip install 'llamalite[eval]' brings it"
        )
