"""What Ghost Attention consists of. Llama 2, section 3.3 and appendix A.3.5; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamalite.model.config import SamplingConfig
from llamalite.sft.config import SFTConfig
from llamalite.training_config import OptimizerConfig


@dataclass(frozen=True)
class GhostAttentionConfig:
    """Synthetic dialogues, fine-tuning on them, and how the gain is measured.

    The paper prints kinds of instructions and the shortened share, and no other number.
    """

    dialogues: int = 400
    """Dialogues that the chat model writes."""
    turns: int = 20
    """Questions of each."""
    cuts: int = 8
    """Beginnings of each dialogue that are learned, of different numbers of turns: only a
    dialogue's last answer is learned, so one of 20 turns can serve more than once."""
    plain_share: float = 0.5
    """Share of dialogues without instruction, which keep the model from inventing one. 1 gives the
    control: the longer context is learned, and no instruction."""
    shortened_share: float = 0.5
    """Share of training dialogues with the instruction shortened; the paper's number."""
    kinds: tuple[str, ...] = ("figure", "hobby", "language")
    """Kinds of instructions; the paper's are public figures, hobbies, languages."""
    combined_share: float = 0.0
    """Share of instructions made of two kinds. The paper combines them at random; a chat model of
    a million parameters follows no two at once (0 of 150 replies)."""
    held_out_names: int = 1
    """Figures, and hobbies, that no training dialogue has, to measure those never trained on."""
    safety_share: float = 0.1
    """Share of adversarial questions in plain dialogues, so that refusals are not forgotten."""
    borderline_share: float = 0.1
    """Share of harmless questions in plain dialogues that sound like mischief."""
    first_prompt: int = 0
    """Index of the first question of each kind."""
    history_turns: int = 0
    """Earlier turns that the chat model sees while it writes an answer; the paper's sees all. 0
    suits a model that was tuned on single turns and questions that do not lean on one another."""
    answers: int = 8
    """Answers drawn to each question, "similar to rejection sampling"; the first that ended by
    itself and repeats the instruction's name is kept, and a question without one is left out. An
    instruction that names nothing to repeat (a language) keeps the first that ended."""
    temperature: float = 0.8
    """Temperature of these answers."""
    top_p: float = 0.95
    """Probability mass of the nucleus that they are drawn from."""
    max_new_tokens: int = 48
    """Most tokens of an answer, its end included."""
    dialogues_at_once: int = 50
    """Dialogues sampled between two files of the draft: at most so much work is lost to a kill."""
    sequence_length: int = 1024
    """Context of the tuned model and tokens of a training row: longer than the chat model's, as
    rotary positions need no table (the paper's first trial went from 2048 to 4096)."""
    tuning: SFTConfig = field(
        default_factory=lambda: SFTConfig(
            epochs=1,
            held_out=50,
            sequence_length=1024,
            batch_size=2,
            optimizer=OptimizerConfig(lr=8e-4, warmup_fraction=0.03),
        )
    )
    """How the chat model is tuned on; its demonstrations and their shares are not used, its
    sequence_length must be that above."""
    measured_turns: int = 22
    """Turns of the dialogues by which consistency is measured; table 30 goes to 20."""
    measured_dialogues: int = 40
    """Such dialogues of each group: instructions trained on, held out, and none."""
    measured_temperature: float = 0.7
    """Temperature of the replies in them."""
    measured_top_p: float = 0.95
    """Probability mass of the nucleus that they are drawn from."""
    attention_dialogues: int = 8
    """Dialogues over which attention to the instruction is averaged (figure 10)."""
    attention_bin: int = 32
    """Neighbouring tokens drawn as one in the map of attention."""
    resamples: int = 1000
    """Bootstrap resamples over dialogues behind every 95 % interval."""

    def __post_init__(self) -> None:
        for name in (
            *("dialogues", "turns", "cuts", "answers", "dialogues_at_once", "sequence_length"),
            *("measured_turns", "measured_dialogues", "attention_dialogues", "attention_bin"),
            "resamples",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("held_out_names", "first_prompt", "history_turns"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in (
            *("plain_share", "shortened_share", "combined_share"),
            *("safety_share", "borderline_share"),
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.safety_share + self.borderline_share > 1:
            raise ValueError(
                f"safety_share {self.safety_share} and borderline_share {self.borderline_share} "
                "add up to more than 1; lower one"
            )
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"kinds is {self.kinds}; give at least one, each once")
        if self.combined_share and len(self.kinds) < 2:
            raise ValueError(
                f"combined_share is {self.combined_share} with kinds {self.kinds}; "
                "two kinds are needed to combine"
            )
        if self.tuning.sequence_length != self.sequence_length:
            raise ValueError(
                f"tuning.sequence_length {self.tuning.sequence_length} differs from "
                f"sequence_length {self.sequence_length}; set both to the same"
            )
        # these check the numbers themselves
        SamplingConfig(self.max_new_tokens, self.temperature, self.top_p)
        SamplingConfig(self.max_new_tokens, self.measured_temperature, self.measured_top_p)
