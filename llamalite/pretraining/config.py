"""What a pretraining run consists of. Llama 2, section 2 and table 1; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamalite.data_care.epochs import check_mixture
from llamalite.model.config import ModelConfig
from llamalite.training_config import OptimizerConfig, ParallelConfig


@dataclass(frozen=True)
class PretrainConfig:
    """Model, data and optimisation of the base model."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """Dimensions of the model; its vocabulary must be the tokenizer's."""
    tokens: int = 2_000_000
    """Length of the run in tokens; the paper's is 2e12. Rounded down to whole steps."""
    sequence_length: int = 256
    """Tokens of one row, at most the model's max_seq_len; the paper's is 4096."""
    batch_size: int = 32
    """Rows of one optimizer step over all processes; the paper's batch is 4M tokens, 1024 rows."""
    accumulation: int = 1
    """Parts into which each process divides its share of a batch to save memory."""
    mixture: dict[str, float] = field(default_factory=dict)
    """Share of the tokens by source, of any sum; sources left out are not read. Empty: every source
    alike. The paper up-samples the most factual sources and does not print its mixture."""
    documents: int = 0
    """Distinct documents of each micro-world source, read again when used up; 0 never ends."""
    held_out: int = 8
    """Documents of each source (of your own corpus at most a tenth; of a stream its first ones)
    that are kept from training and on which the loss is measured before training and after every
    quarter of it."""
    corpus: dict[str, str] = field(default_factory=dict)
    """Your own corpus instead of the micro-world, as --pretrain.corpus.NAME FILE: for each source,
    named as you like, a file pattern (JSONL, Parquet or text, or a folder of them), packaged:plays,
    packaged:bible or packaged:chats (real English out of Python packages), or
    hub:NAME[:CONFIG[:SPLIT]] with a column "text". They are tokenised once, onto this disk. With
    stream: before each, as in stream:hub:NAME, they are read as they come, each process its own
    part, and nothing is kept. What cannot be used is counted and set aside in rejected.jsonl."""
    shuffle: int = 1000
    """Documents of a stream that are taken at a time and learned from in a drawn order; 0: in the
    stream's own. Files tokenised beforehand keep theirs."""
    attend_across_documents: bool = False
    """Let a token see earlier documents packed into its row; the paper does not say."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=3e-3, warmup_fraction=0.02)
    )
    """AdamW and its schedule; the paper warms up over 2000 steps."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """Devices, sharding, precision, compilation, checkpoints."""

    def __post_init__(self) -> None:
        for name in ("tokens", "sequence_length", "batch_size", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("documents", "held_out", "shuffle"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if self.sequence_length > self.model.max_seq_len:
            raise ValueError(
                f"sequence_length {self.sequence_length} exceeds the model's max_seq_len "
                f"{self.model.max_seq_len}; shorten the one or raise the other"
            )
        self.parallel.check_divides("batch_size", self.batch_size, self.accumulation)
        if self.tokens < self.step_tokens:
            raise ValueError(
                f"tokens {self.tokens} is less than one batch of {self.step_tokens}; "
                "raise tokens or lower batch_size"
            )
        check_mixture(self.mixture, self.corpus)

    def needs(self, role: str) -> bool:
        """Whether the stage reads what plays that role: no micro-world beside an own corpus."""
        return role != "world" or not self.corpus

    @property
    def step_tokens(self) -> int:
        """Tokens of one optimizer step."""
        return self.batch_size * self.sequence_length

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return self.tokens // self.step_tokens
