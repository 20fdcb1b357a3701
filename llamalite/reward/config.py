"""What training the two reward models consists of. Llama 2, section 3.2.2; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llamalite.training_config import OptimizerConfig, ParallelConfig

MarginKind = Literal["none", "small", "large"]


@dataclass(frozen=True)
class RewardConfig:
    """Comparisons, mixes, losses and optimisation; the paper's values where it prints one."""

    margin: MarginKind = "small"
    """Margins of the helpfulness model's ranking loss by rating, table 27. The paper compares the
    three in table 28 and does not say which its final model has."""
    safety_margin: MarginKind = "small"
    """Those of the safety model. The paper shows margins for helpfulness only."""
    auxiliary_weight: float = 1.0
    """Weight of the safety model's auxiliary loss (table 29); 0: without. Not printed."""
    rest_per_helpfulness: float = 1.0
    """Pairs of other kinds (safety, `open_*`) for each helpfulness pair when the helpfulness model
    is trained; 1 is the paper's "equal parts". Taken without repetition: at most all there are."""
    helpfulness_share: float = 0.1
    """Share of helpfulness pairs when the safety model is trained: the paper's 90/10."""
    open_helpfulness: str = ""
    """Further helpfulness comparisons (open-source sets), which are learned from and never tested
    by: a JSONL or Parquet file of chosen and rejected replies, or of text dialogues as HH-RLHF's,
    or hub:NAME[:CONFIG[:SPLIT]]; "": none."""
    open_safety: str = ""
    """The same for safety (the paper: Anthropic Harmless)."""
    held_out_share: float = 0.1
    """Share of the training comparisons of each guideline kept from training, to watch its course
    and to calibrate; never of the test set. Not in the paper."""
    threshold: float = 0.15
    """A reply is called unsafe when the sigmoid of its safety score is below; section 3.2.3."""
    calibration_precision: float = 0.89
    """Precision of that call on the held-out pairs, to which the safety model's bias is moved; the
    paper reports .89. 0: the bias stays."""
    epochs: int = 1
    """Times each pair is read; the paper's number ("longer can lead to over-fitting")."""
    sequence_length: int = 256
    """Most tokens of a prompt and its reply, at most the model's max_seq_len; longer prompts lose
    their beginning. The paper's models have 4096."""
    batch_size: int = 512
    """Pairs of one optimizer step over all processes; the paper's number, 1024 rows."""
    accumulation: int = 1
    """Parts into which each process divides its share of a batch to save memory."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            lr=1e-5, warmup_fraction=0.03, warmup_steps=5, final_lr_fraction=0.1
        )
    )
    """AdamW; 1e-5 (5e-6 for 70B), warm-up of 3 % and at least 5 steps, cosine to a tenth: the
    paper's."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """Devices, sharding, precision, compilation, checkpoints."""

    def __post_init__(self) -> None:
        for name in ("epochs", "sequence_length", "batch_size", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("auxiliary_weight", "rest_per_helpfulness"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in ("helpfulness_share", "held_out_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; it must lie between 0 and 1")
        if not 0 <= self.calibration_precision <= 1:
            raise ValueError(
                f"calibration_precision is {self.calibration_precision}; choose 0 to 1"
            )
        for name in ("margin", "safety_margin"):
            if getattr(self, name) not in ("none", "small", "large"):
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose none, small or large")
        self.parallel.check_divides("batch_size", self.batch_size, self.accumulation)
