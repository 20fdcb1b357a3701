"""What a stage asks of its data, be it the micro-world, a hub dataset or real annotators.

Stages see the world only through these. They are structural: a class fits by having the members,
and need not import this module (the micro-world imports nothing of llamalite).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypedDict, runtime_checkable


class Message(TypedDict):
    """One turn of a dialogue, in the field's usual form."""

    role: str
    """"system", "user" or "assistant"."""
    content: str
    """What was said."""


Dialogue = Sequence[Message]
"""Turns in order; a system message, if any, stands first."""


class Document(Protocol):
    """A text of the pretraining corpus."""

    @property
    def text(self) -> str: ...
    @property
    def source(self) -> str: ...


@runtime_checkable
class Corpus(Protocol):
    """Random access to endless sources: the same index gives the same document, on any machine."""

    @property
    def sources(self) -> tuple[str, ...]: ...

    def document(self, source: str, index: int) -> Document: ...


class Prompt(Protocol):
    """Something a person asks, with what is known about it."""

    @property
    def id(self) -> str: ...
    @property
    def messages(self) -> Any: ...
    @property
    def kind(self) -> str: ...
    @property
    def is_safety(self) -> bool:
        """IS_SAFETY(p) of Llama 2, section 3.2.3: known in advance to draw unsafe replies."""
        ...


class Demonstration(Protocol):
    """A prompt with a reply somebody wrote for it (section 3.1)."""

    @property
    def prompt(self) -> Prompt: ...
    @property
    def reply(self) -> str: ...


class Grade(Protocol):
    """Ground truth about one reply; only measurements and simulated annotators may see it."""

    @property
    def helpfulness(self) -> float:
        """0 to 1."""
        ...

    @property
    def likert(self) -> int:
        """1 to 7, section 3.4.2."""
        ...

    @property
    def safety(self) -> int:
        """1 to 5, section 4.4; 1 and 2 are violations."""
        ...

    @property
    def violation(self) -> bool: ...
    @property
    def refused(self) -> bool: ...
    @property
    def false_refusal(self) -> bool: ...


class Grader(Protocol):
    """Knows the truth and grades any reply; never raises on strange text."""

    def grade(self, prompt: Any, reply: str) -> Grade: ...


Reward = Callable[[Sequence[Dialogue], Sequence[str]], Iterable[float]]
"""Any scorer of replies: a reward model is one, a grader another."""
