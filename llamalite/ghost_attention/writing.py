"""Ghost Attention's dialogues, answered by whatever draws texts; no torch. Llama 2, section 3.3.

The instruction stands at every question while the answers are sampled and only at the start of what
is learned. It is written as a system message: in the chat format that is text inside the first
user's turn, where the paper has it, and chat models were tuned to heed it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from llamalite.protocols import Instruction

PLAIN = "plain"
"""Kind of the dialogues without instruction."""

Messages = list[dict[str, str]]
Draw = Callable[[list[Messages], int, int], Sequence[str | None]]
"""(dialogues, wave, attempt) -> an answer to each, or None where there is none; the two numbers,
from 0, tell the calls of a synthesis apart, so that each can have a seed of its own."""
Usable = Callable[[str, Instruction | None], bool]
"""Whether an answer to a question under this instruction can be learned from."""


@dataclass(frozen=True)
class SimpleInstruction:
    """An `Instruction` written by hand: a figure, a hobby, a language, a manner."""

    text: str
    """In full: "From now on, act as Oscar Wilde."."""
    short: str = ""
    """Shortened, as half of them are for training: "Figure: Oscar Wilde."; empty: never."""
    marks: tuple[str, ...] = ()
    """Lower-case words without which an answer is not kept, as "wilde"."""
    names: tuple[str, ...] = ()
    """What each reply must show; read by measurements only."""


@dataclass(frozen=True)
class Script:
    """What the user says in a dialogue."""

    id: str
    kind: str
    """Kinds of the instruction, joined by "+"; "plain" without one."""
    instruction: Instruction | None
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """A dialogue that the chat model has answered."""

    id: str
    kind: str
    text: str
    """The instruction in full; empty without one."""
    short: str
    """The instruction shortened."""
    turns: tuple[tuple[str, str], ...]
    """(question, answer) of the questions that got a usable answer."""
    left_out: int
    """Questions that got none."""


def as_instruction(said: str | Instruction | None) -> Instruction | None:
    """An instruction, be it a plain string, which has no short form; None stays None.

    Raises ValueError for anything else.
    """
    if isinstance(said, str):
        return SimpleInstruction(said)
    if said is not None and not isinstance(said, Instruction):
        raise ValueError(
            f"an instruction is a {type(said).__name__}; give a string or a SimpleInstruction"
        )
    return said


def repeats_marks(text: str, instruction: Instruction | None) -> bool:
    """Whether an answer has text and repeats the words that mark the instruction."""
    words = {word.strip(".,;:!?\"'()").lower() for word in text.split()}
    return bool(words) and all(mark in words for mark in (instruction.marks if instruction else ()))


def write_answers(
    scripts: Sequence[Script],
    draw: Draw,
    usable: Usable = repeats_marks,
    *,
    attempts: int = 1,
    history_turns: int | None = None,
    as_system: bool = True,
) -> list[Written]:
    """Answers with the instruction at every question. Llama 2, section 3.3.

    Each is drawn anew until one is usable, at most `attempts` times; a question without one is left
    out. An answer sees the `history_turns` answered turns before it (None, as in the paper: all).
    Raises ValueError when `draw` does not give one answer to each dialogue.
    """
    answers: list[dict[int, str]] = [{} for _ in scripts]
    turns = [(i, t) for i, script in enumerate(scripts) for t in range(len(script.questions))]
    waves = [turns]  # without history no answer waits for another
    if history_turns != 0:
        longest = max((len(script.questions) for script in scripts), default=0)
        waves = [[(i, t) for i, t in turns if t == number] for number in range(longest)]
    for number, wave in enumerate(waves):
        asked = {
            (i, t): _asked(scripts[i], answers[i], t, history_turns, as_system) for i, t in wave
        }
        pending = list(asked)
        for attempt in range(attempts):
            if not pending:
                break
            texts = draw([asked[turn] for turn in pending], number, attempt)
            if len(texts) != len(pending):
                raise ValueError(
                    f"{len(texts)} texts came for {len(pending)} dialogues; give one each"
                )
            for (i, t), text in zip(pending, texts, strict=True):
                if text is not None and usable(text, scripts[i].instruction):
                    answers[i][t] = text
            pending = [(i, t) for i, t in pending if t not in answers[i]]
    return [
        Written(
            script.id,
            script.kind,
            script.instruction.text if script.instruction else "",
            (script.instruction.short or script.instruction.text) if script.instruction else "",
            tuple((script.questions[t], mine[t]) for t in sorted(mine)),
            len(script.questions) - len(mine),
        )
        for script, mine in zip(scripts, answers, strict=True)
    ]


def instructed_prompt(
    instruction: str | Instruction | None,
    history: Sequence[tuple[str, str]],
    question: str,
    as_system: bool = True,
) -> Messages:
    """What the chat model reads while answers are sampled: the instruction at every question.

    At the first it is the system message (or stands before the words), at later ones it stands
    before the words.
    """
    said = as_instruction(instruction)
    text = said.text if said else ""
    questions = [asked for asked, _ in history] + [question]
    first = 1 if as_system else 0
    told = [f"{text} {q}" if text and i >= first else q for i, q in enumerate(questions)]
    out: Messages = [{"role": "system", "content": text}] if text and as_system else []
    for asked, (_, answer) in zip(told[:-1], history, strict=True):
        out.append({"role": "user", "content": asked})
        out.append({"role": "assistant", "content": answer})
    out.append({"role": "user", "content": told[-1]})
    return out


def learned_dialogue(
    system: str, turns: Sequence[tuple[str, str]], as_system: bool = True
) -> Messages:
    """What is learned: the instruction (or nothing, "") once, before all turns."""
    out: Messages = [{"role": "system", "content": system}] if system and as_system else []
    for number, (question, answer) in enumerate(turns):
        before = f"{system} " if system and not as_system and not number else ""
        out.append({"role": "user", "content": before + question})
        out.append({"role": "assistant", "content": answer})
    return out


def learned_beginnings(
    written: Written,
    lengths: Iterable[int],
    shortened_share: float,
    dice: np.random.Generator,
    as_system: bool = True,
) -> list[Messages]:
    """Beginnings of a dialogue, of these numbers of turns, the instruction shortened in a share."""
    out: list[Messages] = []
    for turns in lengths:
        said = written.short if dice.random() < shortened_share else written.text
        out.append(learned_dialogue(said, written.turns[:turns], as_system))
    return out


def _asked(
    script: Script,
    answers: dict[int, str],
    turn: int,
    history_turns: int | None,
    as_system: bool,
) -> Messages:
    """The prompt of a turn, with as many answered turns before it as asked for."""
    before = [t for t in sorted(answers) if t < turn]
    if history_turns is not None:
        before = before[-history_turns:] if history_turns else []
    history = [(script.questions[t], answers[t]) for t in before]
    return instructed_prompt(script.instruction, history, script.questions[turn], as_system)
