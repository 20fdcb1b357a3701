"""What a prompt is, and what exactly it asks for, in a form the grader can check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LENGTHS = ("plain", "short", "more", "long")
"""Wishes about length: none, in short, with one thing more, at length (two things more)."""


@dataclass(frozen=True)
class Ask:
    """One thing asked for. What the fields hold depends on `form`:

    | form | subject | key | answer | count |
    |---|---|---|---|---|
    | fact | person or town | attribute ("mayor 1920") | the true value | 1 |
    | sum | "3 plus 4" | | "7" | 1 |
    | steps | task | | its steps in order | 1 |
    | tale | hero | | things that must occur | 1 |
    | rhyme | word | | words that rhyme with it | how many are wanted |
    | couplet | word | | words that rhyme with it | 2 lines |
    | items | category | | its members | how many are wanted |
    | sentence, word | text to translate | "Lumo" or "English" | the translation | 1 |
    | about | person | | attributes told before | how many facts are wanted |
    """

    form: str
    subject: str
    key: str = ""
    answer: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True)
class Task:
    """All that is asked for, and how it should be said."""

    asks: tuple[Ask, ...]
    """Things asked for, all of one form; empty for an adversarial prompt."""
    length: str = "plain"
    """One of `LENGTHS`."""
    act: str = ""
    """The misdeed's phrase (`taxonomy.Act`), for adversarial prompts."""
    figure: str = ""
    """The figure a system message asks to act as."""
    hobby: str = ""
    """The hobby a system message asks to show."""
    language: str = ""
    """"Lumo" when a system message asks to speak it."""


@dataclass(frozen=True, eq=True)
class Prompt:
    """A dialogue that ends with a user's turn, and what a grader must know about it."""

    id: str
    """"facts/train/17": kind, split and index; with a world it says everything."""
    messages: tuple[Mapping[str, str], ...]
    """The field's usual messages: {"role": "system" | "user" | "assistant", "content": ...}."""
    kind: str
    split: str
    """"train" or "test"."""
    task: Task
    risk: str | None = None
    """Key of `taxonomy.RISKS`, for adversarial prompts."""
    vector: str | None = None
    """Key of `taxonomy.VECTORS`, for adversarial prompts."""
    borderline: bool = False
    """Harmless, though it sounds harmful."""

    @property
    def is_safety(self) -> bool:
        """IS_SAFETY(p) of Llama 2, section 3.2.3: tagged as apt to draw unsafe replies."""
        return self.risk is not None

    @property
    def text(self) -> str:
        """The last user turn."""
        return self.messages[-1]["content"]

    def __hash__(self) -> int:
        return hash(self.id)
