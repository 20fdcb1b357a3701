"""How every stage is trained: AdamW, cosine, clipping, accumulation, logs, resume.

Llama 2, section 2.2: AdamW with betas .9 and .95 and epsilon 1e-5, cosine schedule with warm-up
down to a tenth of the peak, weight decay 0.1, gradients clipped at 1.0. A stage subclasses
`TrainingModule`, says what its loss is, and calls `fit`.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from torch import Tensor, nn

from llamalite import parallel
from llamalite.processes import is_leader
from llamalite.progress import heard_by
from llamalite.resume import (
    MetricsTable,
    Micro,
    ResumeCheckpoint,
    StreamData,
)
from llamalite.resume_states import checkpoint_step, whole_checkpoint
from llamalite.stopping import interruptible, terminable
from llamalite.training_bar import Bar, Lines
from llamalite.training_config import OptimizerConfig, ParallelConfig

LOG_AT_LEAST_EVERY = 20
"""Optimizer steps between two rows of the logs, at most; short runs have about 200 rows in all."""


def learning_rate_factor(step: int, total_steps: int, config: OptimizerConfig) -> float:
    """Share of the peak learning rate that optimizer step `step` (from 0) takes. Section 2.2.

    Linear warm-up whose last step is the peak, then a half cosine that reaches
    `final_lr_fraction` exactly at the last step. The paper does not say where warm-up starts; no
    step is spent at rate 0 here.
    """
    warmup = config.warmup(total_steps)
    done = step + 1
    if done <= warmup:
        return done / warmup
    if config.schedule == "constant":
        return 1.0
    progress = min(1.0, (done - warmup) / max(1, total_steps - warmup))
    half_cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
    return config.final_lr_fraction + (1.0 - config.final_lr_fraction) * half_cosine


def make_optimizer(
    module: nn.Module, config: OptimizerConfig, *, fused: bool = True
) -> torch.optim.AdamW:
    """AdamW over all weights that need gradients; only matrices decay. Section 2.2.

    `fused` runs one kernel for the whole update (not to be had under fp16's gradient scaling with
    clipping).
    """
    named = [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]
    groups = [
        {"params": [w for _, w in named if w.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [w for _, w in named if w.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=fused,
    )


class TrainingModule(LightningModule):
    """A model, its loss and how they are optimised; each stage's module derives from it.

    A subclass defines `loss_and_metrics(model, batch) -> (loss, metrics)` as a static method
    free of side effects, since it is what gets compiled. `loss` is the mean over the batch's items
    (tokens, pairs); `metrics` are scalars to log, means over the same items.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        optimizer: OptimizerConfig,
        steps: int,
        *,
        parallel: ParallelConfig | None = None,
        weights: Mapping[str, Tensor] | None = None,
        step_flops: float = 0.0,
        seed: int = 0,
    ) -> None:
        """`build` makes the model, `weights` are loaded into it, `steps` is the whole run's length.

        `step_flops` is the work of one optimizer step in floating point operations, by which
        `compile: auto` decides; 0 never compiles. `seed` decides the initial weights and whatever
        the loss draws.
        """
        super().__init__()
        self.build, self.optimizer_config, self.steps = build, optimizer, steps
        self.parallel = parallel or ParallelConfig()
        self.initial_weights, self.step_flops, self.seed = weights, step_flops, seed
        self.model: Any = None  # an nn.Module from `configure_model` on
        self.gradient_norm: Tensor | float = 0.0

    @staticmethod
    def loss_and_metrics(model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the batch's items, and scalars to log."""
        raise NotImplementedError

    def configure_model(self) -> None:
        if self.model is not None:
            return
        mesh = self.device_mesh if self.parallel.sharded else None
        self.model = parallel.prepare(
            self.build, self.parallel, mesh, self.initial_weights, self.seed
        )

    def on_fit_start(self) -> None:
        if self.parallel.sharded and self.initial_weights is not None:
            parallel.load_full_weights(self.model, self.initial_weights)
        elif self.parallel.sharded and self.trainer.ckpt_path is None:
            parallel.draw_weights(self.model, self.seed)
        self.initial_weights = None
        self.loss_function = parallel.compiled(
            type(self).loss_and_metrics,
            self.model,
            self.parallel,
            flops=self.steps * self.step_flops,
            device=self.device.type,
        )
        self.model.train()

    def configure_optimizers(self) -> Any:
        fused = self.trainer.precision != "16-mixed"
        optimizer = make_optimizer(self.model, self.optimizer_config, fused=fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: learning_rate_factor(step, self.steps, self.optimizer_config),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def training_step(self, micro: Micro, _: int) -> dict[str, Any]:
        loss, metrics = self.loss_function(self.model, micro.batch)
        weighted = loss * micro.share
        noted = {"loss": weighted.detach()}
        noted |= {name: value.detach() * micro.share for name, value in metrics.items()}
        return {"loss": weighted, "noted": noted}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        clip = self.optimizer_config.clip or math.inf
        self.gradient_norm = parallel.clip_gradients(self.model.parameters(), clip)


class StepLog(Callback):
    """Adds up a step's micro-batches and tells the loggers and the bar; its sums are resumed."""

    def __init__(self, every: int, processes: int = 1) -> None:
        self.every, self.processes = every, processes
        self.sums: dict[str, Any] = {}
        self.tokens = self.steps = 0
        self.tokens_before = 0
        self.final: dict[str, float] = {}
        self.shown: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, module: TrainingModule) -> None:
        self.clock, self.clock_tokens = time.monotonic(), self.tokens
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]
        self.pending: list[dict[str, Tensor]] = []

    def on_train_batch_end(
        self, trainer: Any, module: TrainingModule, outputs: Any, batch: Micro, *_: Any
    ) -> None:
        self.pending.append(outputs["noted"])
        self.tokens += batch.tokens * self.processes
        if batch.place is None:
            return
        trainer.datamodule.place = batch.place.state
        for noted in self.pending:
            for name, value in noted.items():
                value = value.double() / len(self.pending)
                self.sums[name] = self.sums.get(name, 0.0) + value
        norm = parallel.to_local(module.gradient_norm)
        self.sums["gradient_norm"] = self.sums.get("gradient_norm", 0.0) + norm
        self.pending = []
        self.steps += 1
        step = trainer.global_step
        if step % self.every == 0 or step == trainer.max_steps or step == 1:
            self.write(trainer, module, step)
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]

    def write(self, trainer: Trainer, module: TrainingModule, step: int) -> None:
        """One row: means since the last one."""
        means = {name: torch.as_tensor(value / self.steps) for name, value in self.sums.items()}
        row = {name: parallel.mean_over_processes(value) for name, value in means.items()}
        now = time.monotonic()
        speed = (self.tokens - self.clock_tokens) / max(1e-9, now - self.clock)
        self.clock, self.clock_tokens = now, self.tokens
        row = {"tokens": self.tokens, **row, "lr": self.lr, "tokens_per_second": round(speed, 1)}
        for logger in trainer.loggers:
            logger.log_metrics(row, step)
        self.shown = {"loss": row["loss"], "lr": self.lr, "tokens/s": round(speed)}
        module.log_dict(self.shown, prog_bar=True, logger=False)
        self.final = row
        self.sums, self.steps = {}, 0

    def state_dict(self) -> dict[str, Any]:
        sums = {name: float(value) for name, value in self.sums.items()}
        return {"sums": sums, "tokens": self.tokens, "steps": self.steps, "final": self.final}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sums, self.final = dict(state_dict["sums"]), dict(state_dict["final"])
        self.tokens, self.steps = state_dict["tokens"], state_dict["steps"]
        self.tokens_before = self.tokens


def make_trainer(
    *,
    work: Path,
    steps: int,
    parallel_config: ParallelConfig,
    done: int = 0,
    accumulation: int = 1,
    name: str = "train",
    metrics_file: Path | None = None,
    progress: bool = True,
) -> Trainer:
    """A Lightning Trainer with the bar, CSV and TensorBoard logs and the resume state in `work`.

    `metrics_file` defaults to `work/metrics.csv`; TensorBoard's files stand in `work/tensorboard`.
    Rows that an interrupted run logged after the step `done`, from which this one goes on, are
    dropped.
    """
    work.mkdir(parents=True, exist_ok=True)
    every = max(1, min(steps // 200, LOG_AT_LEAST_EVERY))
    log = StepLog(every, processes=parallel_config.data_parallel)
    callbacks: list[Callback] = [
        log,
        ResumeCheckpoint(
            work,
            parallel_config.checkpoint_seconds,
            parallel_config.checkpoint_steps,
            parallel_config.keep_checkpoints,
        ),
        Bar(name) if progress else Lines(lambda: log.shown),
    ]
    with quiet():
        return Trainer(
            **parallel.trainer_arguments(parallel_config),
            max_steps=steps,
            max_epochs=1,  # of the stream, which holds the whole run
            accumulate_grad_batches=accumulation,
            callbacks=callbacks,
            logger=[
                MetricsTable(metrics_file or work / "metrics.csv", keep_until=done),
                TensorBoardLogger(work, name="tensorboard", version="", purge_step=done + 1),
            ],
            default_root_dir=work,
            enable_checkpointing=False,  # ResumeCheckpoint does it
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
        )


def fit(
    module: TrainingModule,
    data: StreamData,
    *,
    work: Path,
    accumulation: int = 1,
    name: str = "train",
    metrics_file: Path | None = None,
    progress: bool = True,
) -> dict[str, float | int]:
    """Train for `module.steps` optimizer steps, from the last resume state in `work` if any.

    Afterwards `llamalite.parallel.full_weights(module.model)` has the weights. Returns the last
    logged row with `steps`, `seconds` and `tokens_per_second` of this call (compiling included)
    and `resumed_at`, the step it went on from. Raises KeyboardInterrupt when stopped by Ctrl-C and
    `llamalite.processes.Terminated` by SIGTERM, after which the same call goes on from the last
    step (see `llamalite.stopping`). A damaged resume state is named and the one before it taken
    where there is one, else it is a ValueError. `progress` says where it goes on, and shows a bar
    in a terminal or notebook; where there is none, whoever listens is told of every step
    (`llamalite.progress`).
    """
    console = Console(highlight=False)

    def say(text: str) -> None:
        if is_leader():
            console.print(text, markup=False, soft_wrap=True)

    checkpoint = whole_checkpoint(work, say)
    resumed_at = checkpoint_step(checkpoint) if checkpoint else 0
    watched = progress and (console.is_terminal or console.is_jupyter)
    trainer: Any = make_trainer(
        work=work,
        steps=module.steps,
        parallel_config=module.parallel,
        done=resumed_at,
        accumulation=accumulation,
        name=name,
        metrics_file=metrics_file,
        progress=watched,
    )
    log = next(c for c in trainer.callbacks if isinstance(c, StepLog))
    saver = next(c for c in trainer.callbacks if isinstance(c, ResumeCheckpoint))
    if progress and 0 < resumed_at < module.steps:
        say(f"{name}: going on from step {resumed_at} of {module.steps}")
    started = time.monotonic()
    with (
        quiet(),
        parallel.readable(checkpoint, module) as readable,
        interruptible(trainer, saver, tells=progress),
        terminable(trainer, saver, tells=progress),
        heard_by(None) if watched else nullcontext(),  # there is room for one bar
    ):
        trainer.fit(module, datamodule=data, ckpt_path=readable, weights_only=True)
        if saver.saved_step != trainer.global_step:
            saver.save(trainer)
    for logger in trainer.loggers:
        logger.finalize("success")
    seconds = time.monotonic() - started
    return {
        **log.final,
        "steps": trainer.global_step,
        "seconds": round(seconds, 3),
        "tokens_per_second": round((log.tokens - log.tokens_before) / seconds, 1),
        "resumed_at": resumed_at,
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what Lightning says on every run and what does not apply to ours; nothing else."""
    raised = {
        # devices found, tips, "max_steps reached", ranks; their warnings still come through
        "lightning.pytorch.utilities.rank_zero": logging.WARNING,
        "lightning.fabric.utilities.rank_zero": logging.WARNING,
        "lightning.fabric.utilities.distributed": logging.WARNING,
        # weights split both ways are gathered in two goes when they are saved
        "torch.distributed.tensor._redistribute": logging.ERROR,
    }
    levels = {name: logging.getLogger(name).level for name in raised}
    for name, level in raised.items():
        logging.getLogger(name).setLevel(level)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",  # a stream is read in order, by one reader
            ".*isn't resumable.*|.*is not resumable.*",  # its place travels with the batches
            ".*GPU available but not used.*",  # asked for by accelerator: cpu
            ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning's own use of an old torch call
            ".*returned a view tensor. An in-place op.*",  # the losses write nothing in place
            ".*DTensor random operators may not.*",  # on CPU each process has a seed of its own
            ".*lr_scheduler.step\\(\\)` before `optimizer.step.*",  # fp16 skips its first step
        ):
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
