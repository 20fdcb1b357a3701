"""How any stage is optimised and on what machine. No torch is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Compile = Literal["auto", "on", "off"]
"""auto compiles where there is enough to do to pay for it."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its schedule. Llama 2, section 2.2; the paper's values where it prints one."""

    lr: float = 3e-4
    """Peak learning rate; in the paper 3e-4 to 13B, 1.5e-4 above, 2e-5 for SFT."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay rates of AdamW's two moments."""
    eps: float = 1e-5
    """AdamW's epsilon, added to the root of the second moment."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices. The gains of RMSNorm are spared: the paper does not say
    which weights it decays, this follows the usual practice since GPT-3."""
    clip: float = 1.0
    """Largest global norm of the gradient; 0 turns clipping off."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """cosine decays to final_lr_fraction of the peak, constant stays there (PPO)."""
    warmup_steps: int = 0
    """Linear warm-up in optimizer steps, at least; the paper pretrains with 2000."""
    warmup_fraction: float = 0.0
    """Linear warm-up as a share of all steps; the longer of the two counts."""
    final_lr_fraction: float = 0.1
    """Learning rate of the last step as a share of the peak."""

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}; it must be above 0")
        if self.eps <= 0:
            raise ValueError(f"eps is {self.eps}; it must be above 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas is {self.betas}; give two numbers in [0, 1)")
        for name in ("weight_decay", "clip", "warmup_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in ("warmup_fraction", "final_lr_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule is {self.schedule!r}; choose cosine or constant")

    def warmup(self, total_steps: int) -> int:
        """Steps of warm-up in a run of `total_steps`, never more than the run has."""
        return min(total_steps, max(self.warmup_steps, round(self.warmup_fraction * total_steps)))


@dataclass(frozen=True)
class ParallelConfig:
    """The machine: devices, sharding, precision, compilation. Not in the paper beyond "FSDP"."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """auto takes a GPU where there is one."""
    data_parallel: int = 1
    """Processes among which weights and batch are sharded (FSDP2)."""
    tensor_parallel: int = 1
    """Processes among which every weight matrix is split; a divisor of heads and of kv heads."""
    nodes: int = 1
    """Machines that share the processes evenly."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: fp32 on CPU; on GPU bf16 where the chip computes in it, else fp16."""
    compile: Compile = "auto"
    """torch.compile of model and loss together, and compiled operations while replies are sampled;
    auto where there is enough of either to pay for it."""
    activation_checkpointing: bool = False
    """Recompute each block in the backward pass: less memory, about a third more work."""
    checkpoint_seconds: float = 60.0
    """Longest work lost to an interruption, in seconds of training."""
    checkpoint_steps: int = 0
    """Also write the resume state every so many optimizer steps; 0 leaves it to the clock."""
    keep_checkpoints: int = 1
    """Newest resume states kept of a stage; from 2 on a damaged one costs the work since the one
    before it, and not the stage's."""

    def __post_init__(self) -> None:
        for name in ("data_parallel", "tensor_parallel", "nodes", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.processes % self.nodes:
            raise ValueError(
                f"{self.processes} processes do not divide among {self.nodes} nodes; "
                "make data_parallel x tensor_parallel a multiple of nodes"
            )
        for name, choices in (
            ("accelerator", ("auto", "cpu", "gpu")),
            ("precision", ("auto", "fp32", "bf16", "fp16")),
            ("compile", get_args(Compile)),
        ):
            check_choice(name, getattr(self, name), choices)
        for name in ("checkpoint_seconds", "checkpoint_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")

    def check_divides(self, name: str, size: int, accumulation: int) -> None:
        """ValueError where a batch of `size` rows does not divide among processes and parts."""
        parts = self.data_parallel * accumulation
        if size % parts:
            raise ValueError(
                f"{name} {size} does not divide into {parts} parts "
                f"(data_parallel x accumulation); choose a multiple of {parts}"
            )

    @property
    def processes(self) -> int:
        """Number of processes, one per device."""
        return self.data_parallel * self.tensor_parallel

    @property
    def sharded(self) -> bool:
        """Whether more than one process shares the model."""
        return self.processes > 1


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """ValueError where a setting is none of its choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
