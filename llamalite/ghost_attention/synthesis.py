"""Ghost Attention's synthesis for any chat model: a callable answers. Llama 2, section 3.3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from llamalite.ghost_attention.writing import (
    PLAIN,
    Messages,
    Script,
    SimpleInstruction,
    as_instruction,
    learned_beginnings,
    write_answers,
)
from llamalite.protocols import Instruction, Message

__all__ = ["LearnedDialogue", "SimpleInstruction", "synthesise"]

INSTRUCTED = "instructed"
"""Kind of the dialogues that `synthesise` gives an instruction."""


class LearnedDialogue(NamedTuple):
    """A dialogue to tune on."""

    messages: Messages
    learned: tuple[bool, ...]
    """For each message, whether the loss is taken on it: the last answer alone."""


def synthesise(
    dialogues: Sequence[Sequence[str | Message]],
    instructions: Sequence[str | Instruction | None],
    reply: Callable[[list[Messages]], Sequence[str | None]],
    *,
    shortened_share: float = 0.5,
    attempts: int = 1,
    as_system: bool = True,
    seed: int = 0,
) -> list[LearnedDialogue]:
    """Dialogues that keep to an instruction, to tune any chat model on. Llama 2, section 3.3.

    A dialogue is the user's questions, or messages, whose answers are written anew. Instructions
    (None: a plain dialogue) go to the dialogues in turn. `reply` is any callable from dialogues
    that wait for an answer to their texts, called once a turn with all that have such a turn; it
    sees all earlier turns, the instruction at every question. Where it gives None, blanks or an
    answer without the instruction's marks it is asked again, `attempts` times in all; a question
    without a usable answer is left out, as is a dialogue without any.

    What is learned has the instruction once, at the start, shortened in `shortened_share` (the
    paper's half) of the dialogues by the dice of `seed`, and only the last answer is learned: "we
    simply set the loss to 0 for all the tokens from the previous turns". The instruction is a
    system message at first; `as_system=False` puts it before the first question's words, for chat
    formats that have no system message.

    >>> pirate = SimpleInstruction("Always answer as a pirate.", short="Be a pirate.")
    >>> def reply(dialogues):
    ...     return [f"Arr! {dialogue[-1]['content']}" for dialogue in dialogues]
    >>> made = synthesise([["Who is Ann?", "And Bo?"]], [pirate], reply, shortened_share=1)
    >>> for message, learned in zip(*made[0]):
    ...     print(learned, message["role"], message["content"], sep=" | ")
    False | system | Be a pirate.
    False | user | Who is Ann?
    False | assistant | Arr! Who is Ann?
    False | user | And Bo?
    True | assistant | Arr! Always answer as a pirate. And Bo?

    Raises ValueError for input of another form, a share outside 0 to 1, or when `reply` does not
    give a text to each dialogue.
    """
    if not 0 <= shortened_share <= 1:
        raise ValueError(f"shortened_share is {shortened_share}; it must lie between 0 and 1")
    if attempts < 1:
        raise ValueError(f"attempts is {attempts}; it must be at least 1")
    if isinstance(instructions, str) or not instructions:
        raise ValueError(f"instructions is {instructions!r}; give a list of at least one")
    told = [as_instruction(instructions[i % len(instructions)]) for i in range(len(dialogues))]
    scripts = [
        Script(f"{i}", INSTRUCTED if said else PLAIN, said, _questions(i, dialogue))
        for i, (said, dialogue) in enumerate(zip(told, dialogues, strict=True))
    ]
    made: list[LearnedDialogue] = []
    written = write_answers(
        scripts, lambda waiting, *_: _texts(reply(waiting)), attempts=attempts, as_system=as_system
    )
    for number, each in enumerate(written):
        dice = np.random.default_rng([seed, 22, number])
        whole = [len(each.turns)] if each.turns else []
        for messages in learned_beginnings(each, whole, shortened_share, dice, as_system):
            made.append(LearnedDialogue(messages, only_last(messages)))
    return made


def only_last(messages: Sequence[Message]) -> tuple[bool, ...]:
    """Which messages are learned: the last answer. `data.encode_last_reply` does it by token."""
    return (False,) * (len(messages) - 1) + (True,)


def _questions(number: int, dialogue: Sequence[str | Message]) -> tuple[str, ...]:
    """The user's turns; ValueError says what is none of a dialogue."""
    if isinstance(dialogue, str):
        raise ValueError(f"dialogue {number} is a text; give a list of questions or messages")
    turns = [{"role": "user", "content": t} if isinstance(t, str) else t for t in dialogue]
    odd = [turn["role"] for turn in turns if turn["role"] not in ("user", "assistant")]
    if odd:
        raise ValueError(
            f"dialogue {number} has a message of role {odd[0]!r}; leave it out, the instruction "
            "comes in its place"
        )
    questions = tuple(turn["content"] for turn in turns if turn["role"] == "user")
    if not questions:
        raise ValueError(f"dialogue {number} has no user's turn; give at least one question")
    return questions


def _texts(given: Sequence[str | None]) -> list[str | None]:
    """What a `reply` gave, without blanks around it; ValueError when it is no list of texts."""
    texts = [given] if isinstance(given, str) else list(given)
    strange = [each for each in texts if not isinstance(each, str | None)]
    if strange or isinstance(given, str):
        shown = type((strange or [given])[0]).__name__
        raise ValueError(f"reply gave a {shown}; it must give a list of texts, one each")
    return [text.strip() if text is not None else None for text in texts]
