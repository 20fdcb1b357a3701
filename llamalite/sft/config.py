"""What supervised fine-tuning consists of. Llama 2, section 3.1; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamalite.training_config import OptimizerConfig, ParallelConfig


@dataclass(frozen=True)
class SFTConfig:
    """Demonstrations and optimisation of the first chat model."""

    vendor: str = "mixed"
    """Who writes the demonstrations of the micro-world: careful, mixed, careless or third_party (of
    few kinds). The paper saw models differ markedly by vendor."""
    examples: int = 2_500
    """Demonstrations to learn from; the paper stopped at 27,540. 0: all of `data`."""
    safety_share: float = 0.12
    """Share of adversarial prompts with a written answer among them (section 4.2 merges such
    examples into the general ones; how many is not printed)."""
    borderline_share: float = 0.06
    """Share of harmless prompts that sound like mischief, answered. Not in the paper, whose section
    4.2.3 finds that safety data makes models refuse these; half as many as of the adversarial."""
    data: str = ""
    """Your own demonstrations instead of the micro-world's: a JSONL file with a row
    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}
    each. Rows that cannot be used are set aside in rejected.jsonl with the reason. Or
    packaged:chats, which people wrote."""
    held_out: int = 200
    """Further demonstrations, only for the held-out loss; of `data` at most a tenth, the same ones
    for every seed (of packaged:chats the very chats that pretraining keeps back when it is told to
    keep as many)."""
    epochs: int = 2
    """Times each demonstration is read; the paper's number."""
    sequence_length: int = 256
    """Tokens of one row, at most the model's max_seq_len; the paper's is 4096. Longer dialogues
    are dropped and counted."""
    batch_size: int = 64
    """Rows of one optimizer step over all processes; the paper's number."""
    accumulation: int = 1
    """Parts into which each process divides its share of a batch to save memory."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            lr=2e-5, warmup_fraction=0.03, final_lr_fraction=0.1
        )
    )
    """AdamW and its cosine from 2e-5 with a weight decay of 0.1, the paper's. It prints neither
    warm-up nor final rate: 3 % follows its reward models (3.2.2), a tenth its pretraining (2.2)."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """Devices, sharding, precision, compilation, checkpoints."""

    def __post_init__(self) -> None:
        for name in ("epochs", "sequence_length", "batch_size", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("examples", "held_out"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if not self.examples and not self.data:
            raise ValueError("examples is 0; it must be at least 1 unless data names a file")
        for name in ("safety_share", "borderline_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        self.parallel.check_divides("batch_size", self.batch_size, self.accumulation)

    def needs(self, role: str) -> bool:
        """Whether the stage reads what plays that role: no micro-world beside an own file."""
        return role != "world" or not self.data
