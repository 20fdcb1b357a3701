"""A paper preset's own path at shrunken width, on this machine, before anyone pays for a cluster.

What stays: the preset's kind of model (grouped heads or not, relative depth and feed-forward
width), its axes of sharding, activation checkpointing, accumulation, optimizer and schedule. What
shrinks: every size, and the number of processes along each axis. Not in the paper.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from llamalite.model.config import ModelConfig
from llamalite.pipeline import run_folder, run_stages
from llamalite.presets import RunPreset, get_preset
from llamalite.processes import started
from llamalite.training_config import ParallelConfig

PIECES, CONTEXT, WIDTH = 400, 128, 64
"""Vocabulary, context and width of a shrunken model."""
AGREEMENT = 1e-4
"""Largest difference of a loss between one process and several, in fp32."""

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class RehearsalConfig:
    """Which preset, on how many processes of this machine, for how long."""

    preset: str = "70b"
    """A paper preset: 7b, 13b, 34b, 70b. Others have no layout to rehearse, and get FSDP."""
    processes: int = 2
    """1, 2 or 4 processes, along the preset's own axes: tensor parallel where it has that, FSDP
    with the rest."""
    steps: int = 6
    """Optimizer steps."""
    precision: Precision = "fp32"
    """fp32, whose losses equal those of one process; or bf16, the preset's own."""
    out: str = "runs/rehearsal"
    """Folder of the two runs, `one` and `shared`. What stands there is used again."""

    def __post_init__(self) -> None:
        if self.processes not in (1, 2, 4):
            raise ValueError(f"processes is {self.processes}; give 1, 2 or 4")
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; it must be at least 1")


def shrunken_model(model: ModelConfig) -> ModelConfig:
    """The same kind of model, 64 wide: a 16th of its blocks, its grouping of heads, its F by D."""
    group = model.n_heads // model.n_kv_heads
    kv_heads = 4 if group == 1 else 2
    return replace(
        model,
        vocab_size=PIECES,
        dim=WIDTH,
        n_layers=max(1, model.n_layers // 16),
        n_heads=kv_heads * group,
        n_kv_heads=kv_heads,
        head_dim=WIDTH // (kv_heads * group),
        ffn_dim=round(WIDTH * model.ffn_dim / model.dim / 8) * 8,
        max_seq_len=CONTEXT,
    )


def shrunken_layout(
    parallel: ParallelConfig, processes: int, precision: Precision = "fp32"
) -> ParallelConfig:
    """The preset's layout on few processes of one machine, without compiling.

    Two are split by tensor parallelism if the preset has any, else by FSDP; more have two of the
    former and the rest of the latter.
    """
    tensor = min(parallel.tensor_parallel, 2, processes)
    return replace(
        parallel,
        data_parallel=processes // tensor,
        tensor_parallel=tensor,
        nodes=1,
        accelerator="cpu",
        precision=precision,
        compile="off",
        checkpoint_seconds=0.0,
        checkpoint_steps=2,
    )


def shrunken(
    preset: RunPreset, processes: int, steps: int = 6, precision: Precision = "fp32"
) -> RunPreset:
    """A preset whose world, tokenizer and pretraining take seconds on a CPU.

    The data, the initial weights and the schedule do not depend on `processes`.
    """
    pretrain = preset.pretrain
    rows = 4 * min(pretrain.accumulation, 2)  # four data-parallel processes, each accumulating
    return replace(
        preset,
        world=replace(preset.world, people=20, attributes=4, towns=4, canaries=4),
        tokenizer=replace(preset.tokenizer, vocab_size=PIECES, sample_documents=300),
        pretrain=replace(
            pretrain,
            model=shrunken_model(pretrain.model),
            sequence_length=CONTEXT,
            batch_size=rows,
            accumulation=min(pretrain.accumulation, 2),
            tokens=steps * rows * CONTEXT,
            held_out=1,
            optimizer=replace(pretrain.optimizer, lr=1e-2, warmup_steps=2),
            parallel=shrunken_layout(pretrain.parallel, processes, precision),
        ),
    )


def rehearse(config: RehearsalConfig) -> None:
    """Pretrain on one process and on several, and print both losses of every step.

    Of several processes each calls it, as started by torchrun; else it starts them itself. Raises
    ValueError where the losses differ.
    """
    if started()[1] > 1:
        _pretrain(config, "shared")
        return
    if config.processes == 1:
        _pretrain(config, "one")
    else:  # in processes of their own, which keep their bars to themselves
        _launch(replace(config, processes=1), [])
        several = ["torch.distributed.run", "--standalone"]
        _launch(config, [*several, "--nproc-per-node", str(config.processes), "-m"])
    print_losses(config)


def _pretrain(config: RehearsalConfig, name: str) -> None:
    preset = shrunken(get_preset(config.preset), config.processes, config.steps, config.precision)
    run_stages(preset, out=Path(config.out) / name, until="pretrain")


def _launch(config: RehearsalConfig, launcher: list[str]) -> None:
    """The same verb in a process of its own, or by a launcher in several."""
    verb = ["llamalite", "rehearse", "--preset", config.preset]
    verb += ["--processes", str(config.processes), "--steps", str(config.steps)]
    verb += ["--precision", config.precision]
    print(" ".join(["torchrun" if launcher else "python -m", *launcher[1:], *verb]), flush=True)
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *verb, "--out", config.out],
        env={"OMP_NUM_THREADS": "1", **os.environ},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        said = (lines or [f"the process ended with {done.returncode}"])[0]
        raise ValueError(said.removeprefix("llamalite: error: "))


def losses(config: RehearsalConfig, name: str) -> list[float]:
    """The loss of every step of the run `one` or `shared`."""
    table = run_folder(Path(config.out) / name, config.preset, 0) / "pretrain" / "metrics.csv"
    with table.open(newline="", encoding="utf-8") as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


def print_losses(config: RehearsalConfig) -> None:
    """Both courses side by side; ValueError where they part in fp32."""
    one = losses(config, "one")
    shared = losses(config, "shared") if config.processes > 1 else one
    layout = shrunken(get_preset(config.preset), config.processes).pretrain.parallel
    about = f"FSDP {layout.data_parallel} x tensor parallel {layout.tensor_parallel}"
    print(f"{'step':>4}  {'one process':>11}  {about}")
    for step, (left, right) in enumerate(zip(one, shared, strict=True), 1):
        print(f"{step:>4}  {left:>11.5f}  {right:.5f}")
    apart = max(abs(left - right) for left, right in zip(one, shared, strict=True))
    print(f"largest difference {apart:.1e}")
    if config.precision == "fp32" and apart > AGREEMENT:
        raise ValueError(
            f"the losses of {config.processes} processes differ by {apart:.1e} from those of one; "
            f"at most {AGREEMENT} is rounding: report it with {config.out}"
        )
