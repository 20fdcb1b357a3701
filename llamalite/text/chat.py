"""The chat format, and which of its tokens are learned. Llama 2, section 3.1.

The paper speaks of "a special token" between prompt and answer; the released models were trained on
(and their code writes) tags instead, which is what stands here:

    <bos>[INST] <<SYS>>
    {system}
    <</SYS>>

    {user} [/INST] {assistant} <eos><bos>[INST] {user} [/INST] {assistant} <eos>

Every pair of a question and its answer is encoded for itself, between bos and eos. The loss is
taken on the answers and their eos alone (section 3.1: "zero-out the loss on tokens from the user
prompt"); which tokens those are follows from lengths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llamalite.text.tokenizer import TAGS, Tokenizer

INST, END_INST, SYS, END_SYS = TAGS

Messages = Sequence[Mapping[str, Any]]
"""A dialogue: {"role": "system" | "user" | "assistant", "content": str}, in order."""


class Encoded(NamedTuple):
    """Token ids and whether each is learned."""

    ids: list[int]
    loss_mask: list[bool]
    """True for tokens whose prediction counts in the loss."""


class Turn(NamedTuple):
    """One question and its answer as text, tags included, bos and eos not."""

    prompt: str
    """"[INST] ... [/INST]", with the system message inside the first."""
    answer: str | None
    """" ... " with its two spaces; None when the dialogue waits for an answer."""


def encode_dialogue(tokenizer: Tokenizer, messages: Messages) -> Encoded:
    """A dialogue that ends with an answer, for training: the loss is on all its answers.

    Raises ValueError when roles do not alternate, a content is no text or holds a chat tag, or
    nobody answers at the end.
    """
    turns = split_turns(messages)
    if turns[-1].answer is None:
        raise ValueError(
            f"message {len(messages)} is the last and has role 'user'; a dialogue to learn from "
            "ends with an assistant message"
        )
    ids: list[int] = []
    loss_mask: list[bool] = []
    for turn in turns:
        prompt, answer = _encode_turn(tokenizer, turn)
        ids += prompt + answer
        loss_mask += [False] * len(prompt) + [True] * len(answer)
    return Encoded(ids, loss_mask)


def encode_prompt(tokenizer: Tokenizer, messages: Messages) -> list[int]:
    """A dialogue that waits for an answer, up to and including its last [/INST].

    The ids are exactly those with which `encode_dialogue` of the same dialogue, answered, begins.
    Raises ValueError as `encode_dialogue`, and when the last message is an answer.
    """
    turns = split_turns(messages)
    if turns[-1].answer is not None:
        raise ValueError(
            f"message {len(messages)} is the last and has role 'assistant'; a prompt ends with a "
            "user message"
        )
    return [i for turn in turns for part in _encode_turn(tokenizer, turn) for i in part]


def encode_document(tokenizer: Tokenizer, text: str) -> Encoded:
    """A pretraining document between bos and eos; every token is learned."""
    ids = tokenizer.encode(text, bos=True, eos=True)
    return Encoded(ids, [True] * len(ids))


def render(messages: Messages) -> str:
    """A dialogue as one string with bos and eos as "<s>" and "</s>", to look at."""
    return "".join(
        f"<s>{turn.prompt}" + (f"{turn.answer}</s>" if turn.answer is not None else "")
        for turn in split_turns(messages)
    )


def split_turns(messages: Messages) -> list[Turn]:
    """A dialogue as formatted pairs of prompt and answer; ValueError when it is malformed.

    Contents are stripped of white space at both ends. (The released code strips the system message
    together with the first question, so that white space between the two would stay; here not.)
    """
    roles = [_role(message, number) for number, message in enumerate(messages, 1)]
    contents = [_content(message, number) for number, message in enumerate(messages, 1)]
    system = ""
    if roles[:1] == ["system"]:
        system = f"{SYS}\n{contents[0]}\n{END_SYS}\n\n"
    first = 1 if system else 0
    for number, role in enumerate(roles[first:], first + 1):
        wanted = ("user", "assistant")[(number - first - 1) % 2]
        if role != wanted:
            raise ValueError(
                f"message {number} has role {role!r} where {wanted!r} is due; after an optional "
                "system message, user and assistant alternate"
            )
    if len(roles) == first:
        raise ValueError(f"the dialogue of {len(roles)} messages has no user message")
    turns = []
    for i in range(first, len(roles), 2):
        prompt = f"{INST} {system if i == first else ''}{contents[i]} {END_INST}"
        turns.append(Turn(prompt, f" {contents[i + 1]} " if i + 1 < len(roles) else None))
    return turns


def _role(message: Mapping[str, Any], number: int) -> str:
    role = message.get("role") if isinstance(message, Mapping) else None
    if role not in ("system", "user", "assistant"):
        raise ValueError(
            f"message {number} has role {role!r}; choose 'system', 'user' or 'assistant'"
        )
    return role


def _content(message: Mapping[str, Any], number: int) -> str:
    content = message.get("content")
    if not isinstance(content, str):
        raise ValueError(
            f"message {number} ({message['role']}) has content of type "
            f"{type(content).__name__}; give text"
        )
    for tag in TAGS:
        if tag in content:
            raise ValueError(
                f"message {number} ({message['role']}) contains {tag!r}, a tag of the chat format; "
                "remove it, nobody may speak in another's name"
            )
    return content.strip()


def _encode_turn(tokenizer: Tokenizer, turn: Turn) -> tuple[list[int], list[int]]:
    """Ids of a prompt with its bos, and of its answer with its eos (none while it is awaited)."""
    prompt = tokenizer.encode(turn.prompt, bos=True)
    if turn.answer is None:
        return prompt, []
    # together, as the released code does: a later word never changes how an earlier one is spelled
    both = tokenizer.encode(turn.prompt + turn.answer, bos=True, eos=True)
    if both[: len(prompt)] != prompt:
        raise ValueError(
            f"the tokenizer joins {END_INST!r} with the answer after it; use one whose pieces do "
            "not cross spaces, as SentencePiece's default is"
        )
    return prompt, both[len(prompt) :]
