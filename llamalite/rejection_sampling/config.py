"""What rejection sampling consists of. Llama 2, section 3.2.3; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llamalite.sft.config import SFTConfig


@dataclass(frozen=True)
class RejectionSamplingConfig:
    """How many replies are drawn, which are kept, and how the base model is tuned on them.

    The paper prints neither the number of prompts nor of replies nor what ranks them.
    """

    prompts: int = 800
    """Prompts of this round."""
    safety_share: float = 0.2
    """Share of adversarial prompts among them."""
    borderline_share: float = 0.1
    """Share of harmless prompts that sound like mischief among them."""
    first_prompt: int = 5_000
    """Index of the first prompt of each kind: beyond those that a round's comparisons ask."""
    candidates: int = 8
    """N: replies to each prompt, shared out evenly among the temperatures."""
    temperatures: tuple[float, ...] = (1.0,)
    """Temperatures replies are drawn at; the paper re-tunes it each round (1.2 to 1.3 was best for
    its RLHF model at 10 to 100 replies, figure 8)."""
    top_p: float = 1.0
    """Draw only among the likeliest tokens that together reach this probability."""
    max_new_tokens: int = 48
    """Most tokens of a reply, its end included."""
    selection: Literal["round", "all", "random"] = "all"
    """round: the best reply of this round alone, as to V3; all: the best of this and of the earlier
    rounds given, as from V4, after V3 had forgotten rhymes; random: any usable reply to the same
    prompts, the control."""
    prompts_at_once: int = 64
    """Prompts sampled between two files of the draft: at most so much work is lost to a kill. The
    files are shared out among the processes; where there are fewer, some processes have none. The
    replies depend on this number, not on the processes."""
    score_batch: int = 256
    """Replies scored at once."""
    picks_from: str = ""
    """Folder of another run, as runs/laptop-seed0: nothing is sampled here, and the base is tuned
    on what that run's round of the same number picked. In the paper only the 70B model samples, and
    the smaller ones learn from its picks. Or a file of picks, as a round's selected.parquet. They
    are text, so the tokenizers may differ; the micro-world must be the same."""
    refit: SFTConfig = field(default_factory=SFTConfig)
    """How the base model is tuned on the replies kept: "similar to SFT"; its demonstrations and
    their shares are not used. Its `parallel` is the machine of the whole stage: each of its
    processes samples and scores a part, with the whole policy and reward models on its device, and
    all tune together."""

    def __post_init__(self) -> None:
        for name in ("prompts", "candidates", "max_new_tokens", "prompts_at_once", "score_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.first_prompt < 0:
            raise ValueError(f"first_prompt is {self.first_prompt}; it must be at least 0")
        for name in ("safety_share", "borderline_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.safety_share + self.borderline_share > 1:
            raise ValueError(
                f"safety_share {self.safety_share} and borderline_share {self.borderline_share} "
                "add up to more than 1; lower one"
            )
        if not self.temperatures or not all(0 <= t < float("inf") for t in self.temperatures):
            raise ValueError(f"temperatures is {self.temperatures}; give numbers of 0 or more")
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError(f"temperatures {self.temperatures} repeat; give each once")
        if self.candidates % len(self.temperatures):
            raise ValueError(
                f"candidates {self.candidates} does not divide among {len(self.temperatures)} "
                f"temperatures; choose a multiple of {len(self.temperatures)}"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if self.selection not in ("round", "all", "random"):
            raise ValueError(f"selection is {self.selection!r}; choose round, all or random")

    def needs(self, role: str) -> bool:
        """Whether an input is read with these settings: to learn from another's picks takes the
        base model, and the world to see that they are about it."""
        return not self.picks_from or role in ("world", "pretrain")
