"""The chat format, and which of its tokens are learned. Llama 2, section 3.1.

The paper speaks of "a special token" between prompt and answer; the released models were trained on
(and their code writes) tags instead, which is what stands here:

    <bos>[INST] <<SYS>>
    {system}
    <</SYS>>

    {user} [/INST] {assistant} <eos><bos>[INST] {user} [/INST] {assistant} <eos>

Every pair of a question and its answer is encoded for itself, between bos and eos. The loss is
taken on the answers and their eos alone (section 3.1: "zero-out the loss on tokens from the user
prompt"); which tokens those are follows from lengths. Models whose vocabulary is of another kind
speak ChatML instead, see `llamalite.text.chatml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llamalite.text.bpe import ByteTokenizer
from llamalite.text.tokenizer import TAGS, Tokenizer

INST, END_INST, SYS, END_SYS = TAGS

Messages = Sequence[Mapping[str, Any]]
"""A dialogue: {"role": "system" | "user" | "assistant", "content": str}, in order."""


class Encoded(NamedTuple):
    """Token ids and whether each is learned."""

    ids: list[int]
    loss_mask: list[bool]
    """True for tokens whose prediction counts in the loss."""


class EncodedTurn(NamedTuple):
    """One question and its answer as token ids."""

    prompt: list[int]
    """All up to where the answer begins."""
    answer: list[int]
    """With its end; empty when the dialogue waits for it."""


class Turn(NamedTuple):
    """One question and its answer as text, tags included, bos and eos not."""

    prompt: str
    """"[INST] ... [/INST]", with the system message inside the first."""
    answer: str | None
    """" ... " with its two spaces; None when the dialogue waits for an answer."""


def encode_dialogue(tokenizer: Tokenizer | ByteTokenizer, messages: Messages) -> Encoded:
    """A dialogue that ends with an answer, for training: the loss is on all its answers.

    Raises ValueError when roles do not alternate, a content is no text or holds a chat tag, or
    nobody answers at the end.
    """
    turns = encode_turns(tokenizer, messages)
    if not turns[-1].answer:
        raise ValueError(
            f"message {len(messages)} is the last and has role 'user'; a dialogue to learn from "
            "ends with an assistant message"
        )
    ids: list[int] = []
    loss_mask: list[bool] = []
    for prompt, answer in turns:
        ids += prompt + answer
        loss_mask += [False] * len(prompt) + [True] * len(answer)
    return Encoded(ids, loss_mask)


def encode_prompt(tokenizer: Tokenizer | ByteTokenizer, messages: Messages) -> list[int]:
    """A dialogue that waits for an answer, up to and including its last [/INST].

    The ids are exactly those with which `encode_dialogue` of the same dialogue, answered, begins.
    Raises ValueError as `encode_dialogue`, and when the last message is an answer.
    """
    turns = encode_turns(tokenizer, messages)
    if turns[-1].answer:
        raise ValueError(
            f"message {len(messages)} is the last and has role 'assistant'; a prompt ends with a "
            "user message"
        )
    return [i for turn in turns for part in turn for i in part]


def encode_turns(tokenizer: Tokenizer | ByteTokenizer, messages: Messages) -> list[EncodedTurn]:
    """The questions and answers of a dialogue in the format of the tokenizer's model."""
    if isinstance(tokenizer, ByteTokenizer):
        from llamalite.text import chatml

        return chatml.encode_turns(tokenizer, messages)
    return [_encode_turn(tokenizer, turn) for turn in split_turns(messages)]


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


def template() -> str:
    """The format as a Jinja template, which Hugging Face's files and llama.cpp's carry.

    It refuses what `exchanges` refuses: roles out of turn, tags in what people say.
    """
    tags = ", ".join(f"'{tag}'" for tag in TAGS)
    refuse = "{{{{ raise_exception('{}') }}}}".format
    return (
        "{% if messages[0]['role'] == 'system' %}"
        f"{{% set before = '{SYS}\\n' + messages[0]['content'] | trim + '\\n{END_SYS}\\n\\n' %}}"
        "{% set said = messages[1:] %}"
        "{% else %}{% set before = '' %}{% set said = messages %}{% endif %}"
        "{% for message in messages %}"
        f"{{% for tag in [{tags}, bos_token, eos_token] %}}{{% if tag in message['content'] %}}"
        + refuse("a message contains a tag of the chat format; remove it")
        + "{% endif %}{% endfor %}{% endfor %}"
        "{% for message in said %}"
        "{% if message['role'] != ['user', 'assistant'][loop.index0 % 2] %}"
        + refuse("after an optional system message, user and assistant alternate")
        + "{% endif %}"
        "{% if message['role'] == 'user' %}"
        f"{{{{ bos_token + '{INST} ' + (before if loop.first else '') }}}}"
        f"{{{{ message['content'] | trim + ' {END_INST}' }}}}"
        "{% else %}"
        "{{ ' ' + message['content'] | trim + ' ' + eos_token }}"
        "{% endif %}{% endfor %}"
    )


def split_turns(messages: Messages) -> list[Turn]:
    """A dialogue as formatted pairs of prompt and answer; ValueError when it is malformed.

    (The released code strips the system message together with the first question, so that white
    space between the two would stay; here not.)
    """
    system, pairs = exchanges(messages, TAGS)
    before = f"{SYS}\n{system}\n{END_SYS}\n\n" if messages[0]["role"] == "system" else ""
    return [
        Turn(
            f"{INST} {'' if number else before}{question} {END_INST}",
            None if answer is None else f" {answer} ",
        )
        for number, (question, answer) in enumerate(pairs)
    ]


def exchanges(messages: Messages, tags: Sequence[str]) -> tuple[str, list[tuple[str, str | None]]]:
    """The system message ("" for none), and every question with its answer (None if awaited).

    Contents are stripped of white space at both ends. Raises ValueError when roles do not
    alternate, or a content is no text or holds one of the format's `tags`.
    """
    roles = [_role(message, number) for number, message in enumerate(messages, 1)]
    contents = [_content(message, number, tags) for number, message in enumerate(messages, 1)]
    first = int(roles[:1] == ["system"])
    for number, role in enumerate(roles[first:], first + 1):
        wanted = ("user", "assistant")[(number - first - 1) % 2]
        if role != wanted:
            raise ValueError(
                f"message {number} has role {role!r} where {wanted!r} is due; after an optional "
                "system message, user and assistant alternate"
            )
    if len(roles) == first:
        raise ValueError(f"the dialogue of {len(roles)} messages has no user message")
    questions, answers = contents[first::2], [*contents[first + 1 :: 2], None]
    return contents[0] if first else "", list(zip(questions, answers, strict=False))


def _role(message: Mapping[str, Any], number: int) -> str:
    role = message.get("role") if isinstance(message, Mapping) else None
    if role not in ("system", "user", "assistant"):
        raise ValueError(
            f"message {number} has role {role!r}; choose 'system', 'user' or 'assistant'"
        )
    return role


def _content(message: Mapping[str, Any], number: int, tags: Sequence[str]) -> str:
    content = message.get("content")
    if not isinstance(content, str):
        raise ValueError(
            f"message {number} ({message['role']}) has content of type "
            f"{type(content).__name__}; give text"
        )
    for tag in tags:
        if tag in content:
            raise ValueError(
                f"message {number} ({message['role']}) contains {tag!r}, a tag of the chat format; "
                "remove it, nobody may speak in another's name"
            )
    return content.strip()


def _encode_turn(tokenizer: Tokenizer, turn: Turn) -> EncodedTurn:
    """Ids of a prompt with its bos, and of its answer with its eos (none while it is awaited)."""
    prompt = tokenizer.encode(turn.prompt, bos=True)
    if turn.answer is None:
        return EncodedTurn(prompt, [])
    # together, as the released code does: a later word never changes how an earlier one is spelled
    both = tokenizer.encode(turn.prompt + turn.answer, bos=True, eos=True)
    if both[: len(prompt)] != prompt:
        raise ValueError(
            f"the tokenizer joins {END_INST!r} with the answer after it; use one whose pieces do "
            "not cross spaces, as SentencePiece's default is"
        )
    return EncodedTurn(prompt, both[len(prompt) :])
