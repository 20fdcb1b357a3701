"""What users say in the stage's dialogues, what of them is learned, and their file. Section 3.3.

Where the instruction stands is `llamalite.ghost_attention.writing`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llamalite.ghost_attention.config import GhostAttentionConfig
from llamalite.ghost_attention.writing import (
    PLAIN,
    Script,
    Written,
    learned_beginnings,
    learned_dialogue,
    repeats_marks,
)
from llamalite.prompt_mix import mixed_prompts
from llamalite.protocols import Instruction, InstructionSet, PromptSet
from llamalite.sft.data import Dialogue
from llamalite.text.chat import Encoded, encode_dialogue, encode_prompt
from llamalite.text.tokenizer import TAGS, Tokenizer

_LANGUAGE = "language"


def split_names(
    instructions: InstructionSet, config: GhostAttentionConfig, seed: int
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Names by kind to train on ("trained") and to measure only ("held_out").

    `held_out_names` of each kind, but never more than half of its names. Raises ValueError for a
    kind that the set does not have.
    """
    out: dict[str, dict[str, tuple[str, ...]]] = {"trained": {}, "held_out": {}}
    for number, kind in enumerate(config.kinds):
        if kind not in instructions.instruction_kinds:
            known = ", ".join(instructions.instruction_kinds)
            raise ValueError(f"unknown kind of instruction {kind!r}; choose among {known}")
        names = instructions.names(kind)
        order = np.random.default_rng([seed, 21, number]).permutation(len(names)).tolist()
        held = sorted(order[: min(config.held_out_names, len(names) // 2)])
        out["held_out"][kind] = tuple(names[i] for i in held)
        out["trained"][kind] = tuple(name for i, name in enumerate(names) if i not in held)
    return out


def training_scripts(
    instructions: InstructionSet,
    prompts: PromptSet,
    names: dict[str, tuple[str, ...]],
    config: GhostAttentionConfig,
    seed: int,
) -> list[Script]:
    """The user's side of all training dialogues, plain ones spread evenly among the others.

    Kinds take turns, and within a kind its names. Every other question of a plain dialogue is one
    of those that instructed dialogues ask, else the model would learn to tell from the question
    whether to play a part; the rest is what rejection sampling asks, of a single turn.
    """
    plain = round(config.plain_share * config.dialogues)
    others = config.turns // 2
    asked = _single_turns(prompts, plain * others, config)
    scripts: list[Script] = []
    instructed = 0
    for i in range(config.dialogues):
        first = config.first_prompt + i * config.turns
        if (i + 1) * plain // config.dialogues > i * plain // config.dialogues:
            mine, asked = asked[:others], asked[others:]
            scripts.append(_plain(i, mine, instructions, first, config, "train"))
            continue
        parts = _parts(names, instructed, config, seed)
        instructed += 1
        instruction = instructions.instruct(parts, config.first_prompt + i, "train")
        scripts.append(_script(f"{i}", parts, instruction, instructions, first, config.turns))
    return scripts


def measured_scripts(
    instructions: InstructionSet,
    prompts: PromptSet,
    names: dict[str, tuple[str, ...]],
    config: GhostAttentionConfig,
) -> list[Script]:
    """The user's side of dialogues to measure, in test wordings; plain ones where `names` is empty.

    Every other question of a plain dialogue is one of those that instructions are measured with,
    the rest are of all ordinary kinds of prompts.
    """
    scripts: list[Script] = []
    usable = [(kind, mine) for kind, mine in names.items() if mine]
    kinds = [k for k in prompts.kinds if len(prompts.prompt(k, 0, "test").messages) == 1]
    for i in range(config.measured_dialogues):
        first = i * config.measured_turns
        if usable:
            kind, mine = usable[i % len(usable)]
            parts = [(kind, mine[i // len(usable) % len(mine)])]
            said = instructions.instruct(parts, i, "test")
            scripts.append(
                _script(f"{i}", parts, said, instructions, first, config.measured_turns, "test")
            )
            continue
        chosen = range(i, i + config.measured_turns // 2)
        mine = [
            str(prompts.prompt(kinds[n % len(kinds)], first + n, "test").messages[-1]["content"])
            for n in chosen
        ]
        scripts.append(_plain(i, mine, instructions, first, config, "test"))
    return scripts


def encode_last_reply(tokenizer: Tokenizer, messages: Dialogue) -> Encoded:
    """A dialogue of which only the last answer is learned. Llama 2, section 3.3.

    "We simply set the loss to 0 for all the tokens from the previous turns, including assistant
    messages": the earlier answers and the instruction that is left need not match.
    """
    ids, learned = encode_dialogue(tokenizer, messages)
    before = len(encode_prompt(tokenizer, messages[:-1]))
    return Encoded(ids, [False] * before + learned[before:])


def training_dialogues(
    written: Sequence[Written], tokenizer: Tokenizer, config: GhostAttentionConfig, seed: int
) -> list[Dialogue]:
    """`cuts` beginnings of each written dialogue that fit a row, of different numbers of turns.

    A number of turns t is drawn with a chance in proportion to 1 / sqrt(t): a long beginning
    teaches one answer as a short one does, and costs t times as much. Not in the paper. The
    instruction is shortened in `shortened_share` of them.
    """
    out: list[Dialogue] = []
    for number, each in enumerate(written):
        dice = np.random.default_rng([seed, 22, number])
        fitting = turns_that_fit(tokenizer, each, config.sequence_length)
        if not fitting:
            continue
        lengths = np.arange(1, fitting + 1)
        chances = lengths**-0.5 / (lengths**-0.5).sum()
        chosen = dice.choice(lengths, min(config.cuts, fitting), replace=False, p=chances)
        out += learned_beginnings(each, sorted(chosen.tolist()), config.shortened_share, dice)
    return out


def turns_that_fit(tokenizer: Tokenizer, written: Written, length: int) -> int:
    """How many turns of a dialogue, instruction in full, fit in `length` tokens."""
    used = 0
    for number, turn in enumerate(written.turns):
        # each pair is encoded for itself, so that lengths add up
        used += len(encode_dialogue(tokenizer, learned_dialogue("", [turn])).ids)
        if number == 0 and written.text:
            systems = max(written.text, written.short, key=len)
            used = len(encode_dialogue(tokenizer, learned_dialogue(systems, [turn])).ids)
        if used > length:
            return number
    return len(written.turns)


def usable_answer(text: str, instruction: Instruction | None) -> bool:
    """Whether an answer that ended by itself can be learned from: it has text and no tag.

    It must also repeat the words that mark the instruction, e.g. the figure's name, as a reader who
    only compares words would check. Not in the paper, whose chat model needed no such check.
    """
    if not text.strip() or any(tag in text for tag in TAGS):
        return False
    return repeats_marks(text, instruction)


def write_dialogues(path: Path, written: Sequence[Written]) -> None:
    """Write a Parquet file that appears whole or not at all; equal dialogues give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    turn = pa.struct({"question": pa.string(), "answer": pa.string()})
    columns = {name: pa.string() for name in ("id", "kind", "text", "short")}
    data: dict[str, Any] = {
        name: pa.array([getattr(each, name) for each in written], kind)
        for name, kind in columns.items()
    }
    turns = [[{"question": q, "answer": a} for q, a in each.turns] for each in written]
    data["turns"] = pa.array(turns, pa.list_(turn))
    data["left_out"] = pa.array([each.left_out for each in written], pa.int64())
    partial = path.with_name(path.name + ".partial")
    pq.write_table(pa.table(data), partial)
    partial.replace(path)


def read_dialogues(path: str | Path) -> list[Written]:
    """Dialogues of a file; ValueError when it is missing or not one of dialogues."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
        for row in rows:
            row["turns"] = tuple((turn["question"], turn["answer"]) for turn in row["turns"])
        return [Written(**row) for row in rows]
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; give a file of dialogues") from None
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} holds no dialogues ({reason}); make it again") from None


def _script(
    name: str,
    parts: Sequence[tuple[str, str]],
    instruction: Instruction,
    instructions: InstructionSet,
    first: int,
    turns: int,
    split: Any = "train",
) -> Script:
    kind = "+".join(each for each, _ in parts)
    asked = _LANGUAGE if _LANGUAGE in kind.split("+") else parts[0][0]
    questions = tuple(instructions.question(asked, first + i, split) for i in range(turns))
    return Script(f"{kind}/{name}", kind, instruction, questions)


def _plain(
    number: int,
    others: Sequence[str],
    instructions: InstructionSet,
    first: int,
    config: GhostAttentionConfig,
    split: Any,
) -> Script:
    """A plain dialogue: a question as instructed dialogues have it, another, and so on.

    Kinds of instructions take turns, but for languages: what suits them asks to be translated.
    """
    kinds = [kind for kind in config.kinds if kind != _LANGUAGE] or list(config.kinds)
    turns = config.turns if split == "train" else config.measured_turns
    questions: list[str] = []
    for turn in range(turns):
        if turn % 2:
            questions.append(others[turn // 2])
        else:
            kind = kinds[turn // 2 % len(kinds)]
            questions.append(instructions.question(kind, first + turn, split))
    return Script(f"{PLAIN}/{number}", PLAIN, None, tuple(questions))


def _parts(
    names: dict[str, tuple[str, ...]], number: int, config: GhostAttentionConfig, seed: int
) -> list[tuple[str, str]]:
    """Kind and name of instruction `number`, two of them for the combined share."""
    kinds = list(config.kinds)
    dice = np.random.default_rng([seed, 23, number])
    kind = kinds[number % len(kinds)]
    parts = [(kind, names[kind][number // len(kinds) % len(names[kind])])]
    if dice.random() < config.combined_share:
        kinds.remove(kind)
        other = kinds[int(dice.integers(len(kinds)))]
        parts.append((other, names[other][int(dice.integers(len(names[other])))]))
    return parts


def _single_turns(prompts: PromptSet, count: int, config: GhostAttentionConfig) -> list[str]:
    """`count` questions of the chain's prompt mix that have no earlier turn or system message."""
    found: list[str] = []
    wanted = count
    while len(found) < count:
        wanted += wanted // 2 + 1
        mixed = mixed_prompts(
            prompts,
            wanted,
            safety_share=config.safety_share,
            borderline_share=config.borderline_share,
            first=config.first_prompt,
        )
        found = [str(p.messages[-1]["content"]) for p in mixed if len(p.messages) == 1]
    order = np.random.default_rng(24).permutation(len(found)).tolist()
    return [found[i] for i in order[:count]]
