"""What supervised fine-tuning consists of. Llama 2, section 3.1; no torch is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamalite.training_config import OptimizerConfig, ParallelConfig


@dataclass(frozen=True)
class SFTConfig:
    """Demonstrations and optimisation of the first chat model."""

    vendor: str = "ordinary"
    """Who writes the micro-world's demonstrations; the vendors differ in quality."""
    examples: int = 2_500
    """Number of demonstrations; the paper stopped at 27,540."""
    safety_share: float = 0.1
    """Share of demonstrations that answer adversarial prompts safely (section 4.2), 0 to 1."""
    data: str = ""
    """Your own demonstrations instead: a JSONL file of {"messages": [...]} rows."""
    held_out: float = 0.05
    """Share of the demonstrations kept aside for the held-out loss, 0 to 0.5."""
    epochs: int = 2
    """Passes over the demonstrations; the paper takes 2."""
    batch_size: int = 64
    """Packed rows of one optimizer step over all processes; the paper's is 64."""
    accumulation: int = 1
    """Parts into which each process divides its share of a batch to save memory."""
    sequence_length: int = 256
    """Tokens of one packed row, at most the model's max_seq_len; the paper's is 4096."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=2e-5, warmup_fraction=0.03)
    )
    """AdamW and its schedule: cosine from 2e-5 and decay 0.1 in the paper, which is silent on
    warm-up and final rate; 3 % and a tenth follow its reward models (section 3.2.2)."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """Devices, sharding, precision, compilation, checkpoints."""

    def __post_init__(self) -> None:
        for name in ("examples", "epochs", "batch_size", "accumulation", "sequence_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.safety_share <= 1:
            raise ValueError(f"safety_share is {self.safety_share}; it must lie between 0 and 1")
        if not 0 <= self.held_out <= 0.5:
            raise ValueError(f"held_out is {self.held_out}; it must lie between 0 and 0.5")
        parts = self.parallel.data_parallel * self.accumulation
        if self.batch_size % parts:
            raise ValueError(
                f"batch_size {self.batch_size} does not divide into {parts} parts "
                f"(data_parallel x accumulation); choose a multiple of {parts}"
            )
