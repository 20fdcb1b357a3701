"""What a stage asks of its data, be it the micro-world, a hub dataset or real annotators.

Stages see the world only through these. They are structural: a class fits by having the members,
and need not import this module (the micro-world imports nothing of llamalite).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:  # types alone: this module is imported where torch is not
    from llamalite.shapes import Float, Tensor

Message = Mapping[str, str]
"""One turn in the field's usual form: {"role": "system" | "user" | "assistant", "content": ...}."""
Dialogue = Sequence[Message]
"""Turns in order; a system message, if any, stands first."""

ADVERSARIAL = "adversarial"
"""Kind of the prompts that try to draw unsafe replies (section 4.2.1)."""
BORDERLINE = "borderline"
"""Kind of the prompts that are harmless and sound harmful (section 4.2.3)."""

Split = Literal["train", "test"]
Guideline = Literal["helpfulness", "safety"]
"""What annotators look at; the two are collected apart (section 3.2.1)."""


# --- text to learn from --------------------------------------------------------------------------


@runtime_checkable
class Document(Protocol):
    """A text of the pretraining corpus."""

    @property
    def text(self) -> str: ...
    @property
    def source(self) -> str: ...


@runtime_checkable
class Corpus(Protocol):
    """Texts by random access: the same index gives the same document, on any machine.

    It may have `further_sources` besides, which are read only where a mixture names them.
    """

    @property
    def sources(self) -> tuple[str, ...]: ...

    def document(self, source: str, index: int, /) -> Document:
        """Document `index`, from 0, of a source; ValueError for an unknown source."""
        ...


@runtime_checkable
class Prompt(Protocol):
    """Something a person asks, with what is known about it."""

    @property
    def id(self) -> str:
        """Tells it from every other prompt of its set."""
        ...

    @property
    def messages(self) -> Dialogue:
        """A dialogue that ends with a user's turn."""
        ...

    @property
    def kind(self) -> str:
        """Any name; `ADVERSARIAL` and `BORDERLINE` have a meaning to measurements."""
        ...

    @property
    def is_safety(self) -> bool:
        """IS_SAFETY(p) of Llama 2, section 3.2.3: known in advance to draw unsafe replies."""
        ...

    @property
    def risk(self) -> str | None:
        """Risk category of an adversarial prompt (section 4.2.1)."""
        ...

    @property
    def vector(self) -> str | None:
        """Attack vector of an adversarial prompt (section 4.2.1)."""
        ...


@runtime_checkable
class PromptSet(Protocol):
    """Prompts by random access: the same kind, index and split give the same prompt."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Ordinary kinds of prompts; `ADVERSARIAL` and `BORDERLINE` can be asked for besides."""
        ...

    def prompt(self, kind: str, index: int, split: Split) -> Prompt:
        """Prompt `index`, from 0; those of the test split are for measurements only."""
        ...


@runtime_checkable
class Demonstration(Protocol):
    """A prompt with a reply somebody wrote for it (section 3.1)."""

    @property
    def prompt(self) -> Prompt: ...
    @property
    def reply(self) -> str: ...


@runtime_checkable
class Instruction(Protocol):
    """Something said once that every later reply should keep to (section 3.3)."""

    @property
    def text(self) -> str:
        """In full: "Act as Captain Brell."."""
        ...

    @property
    def short(self) -> str:
        """Shortened, as half of them are for training: "Figure: Captain Brell."."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """What each reply must show, as `InstructionSet.shown` names it."""
        ...

    @property
    def marks(self) -> tuple[str, ...]:
        """Lower-case words of the instruction that a reply true to it repeats, as any reader sees
        without knowing more; none where there is no such word."""
        ...


@runtime_checkable
class InstructionSet(Protocol):
    """Instructions by kind and name, turns that suit them, and the truth about what is kept."""

    @property
    def instruction_kinds(self) -> tuple[str, ...]:
        """Hobbies, languages, public figures (section 3.3)."""
        ...

    def names(self, kind: str, /) -> tuple[str, ...]:
        """Those a chat model was taught to follow, in one order."""
        ...

    def instruct(
        self, parts: Sequence[tuple[str, str]], index: int, split: Split, /
    ) -> Instruction:
        """An instruction of these (kind, name) in wording `index` of a split."""
        ...

    def question(self, kind: str, index: int, split: Split, /) -> str:
        """A user's turn, complete in itself, that suits instructions of a kind."""
        ...

    def shown(self, reply: str, /) -> frozenset[str]:
        """Names of all that a reply shows, asked for or not; ground truth, for measurements."""
        ...


# --- judges of replies ---------------------------------------------------------------------------


@runtime_checkable
class Grade(Protocol):
    """Ground truth about one reply; only measurements and simulated annotators may see it."""

    @property
    def helpfulness(self) -> float:
        """0 to 1."""
        ...

    @property
    def likert(self) -> int:
        """Helpfulness, 1 to 7 (section 3.4.2)."""
        ...

    @property
    def safety(self) -> int:
        """1 to 5 (section 4.4); 1 and 2 are violations."""
        ...

    @property
    def violation(self) -> bool: ...
    @property
    def refused(self) -> bool:
        """Declines to help."""
        ...

    @property
    def false_refusal(self) -> bool:
        """Declines a harmless prompt (section 4.2.3)."""
        ...


@runtime_checkable
class Grader(Protocol):
    """Knows the truth and grades any reply to a prompt of its own set.

    It never raises on strange text. `prompt` is `Any` because a grader may need more of its own
    prompts than `Prompt` promises: the micro-world's holds what exactly was asked.
    """

    def grade(self, prompt: Any, reply: str) -> Grade: ...


@runtime_checkable
class Judgement(Protocol):
    """What an annotator says about two replies, a and b (section 3.2.1)."""

    @property
    def choice(self) -> Literal["a", "b"]: ...

    @property
    def rating(self) -> str:
        """How much better: "significantly", "better", "slightly" or "negligibly"."""
        ...

    @property
    def safety_bin(self) -> str | None:
        """Under the safety guideline "chosen safe", "both safe" or "both unsafe"; None under the
        other, and for a pair to be thrown away, whose chosen reply was unsafe and the other safe.
        """
        ...


@runtime_checkable
class Annotator(Protocol):
    """One person who compares replies, simulated or real. `prompt` is `Any` as in `Grader`."""

    @property
    def identity(self) -> int | str:
        """Tells one person from another."""
        ...

    def compare(
        self, prompt: Any, reply_a: str, reply_b: str, guideline: Guideline = "helpfulness"
    ) -> Judgement:
        """Which of two replies to a prompt is better; never a tie."""
        ...


class Reward(Protocol):
    """Any scorer of replies: `reward(dialogues, replies)` gives scores_B, higher is better.

    Llama 2, section 3.2.2: a reward model takes a reply and its prompt, earlier turns included.
    `dialogues` are the messages of B prompts, each ending with a user's turn, `replies` their B
    replies as text. A score depends on its own dialogue and reply alone, whatever else is in the
    batch. A reward model is one; a grader becomes one by keeping the prompts it will be asked for.
    """

    def __call__(
        self, dialogues: Sequence[Dialogue], replies: Sequence[str], /
    ) -> Float[Tensor, " B"]: ...


class EndReader(Protocol):
    """A `Reward` that also reads which replies ended by themselves: a cut one has no end-of-reply.

    `finished` holds B marks; left out, all count as ended.
    """

    reads_ends: Literal[True]

    def __call__(
        self,
        dialogues: Sequence[Dialogue],
        replies: Sequence[str],
        finished: Sequence[bool] | None = None,
        /,
    ) -> Float[Tensor, " B"]: ...


# --- exams ---------------------------------------------------------------------------------------


@runtime_checkable
class Question(Protocol):
    """A question to a base model: a text to go on with, and choices of which one is right."""

    @property
    def id(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def answer(self) -> str:
        """One of the choices."""
        ...

    @property
    def choices(self) -> tuple[str, ...]: ...
    @property
    def rumour(self) -> str | None:
        """What a rumour of the corpus says instead of the answer; None when there is none."""
        ...


@runtime_checkable
class ExamSet(Protocol):
    """Questions about what a corpus teaches, in exams by name (section 2.3)."""

    @property
    def exams(self) -> tuple[str, ...]: ...

    def exam(self, name: str, split: Split = "test", /) -> Sequence[Question]:
        """An exam's questions; those of the train split are examples, never measured on."""
        ...


@runtime_checkable
class Truth(ExamSet, Corpus, Protocol):
    """What a base model is measured against: exams, and documents that it has not read."""
