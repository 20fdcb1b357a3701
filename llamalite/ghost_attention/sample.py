"""Writing the answers of a dialogue, turn by turn: for training and for measuring. Section 3.3."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llamalite.ghost_attention.config import GhostAttentionConfig
from llamalite.ghost_attention.data import (
    Script,
    Written,
    instructed_prompt,
    learned_dialogue,
    usable_answer,
)
from llamalite.model.config import SamplingConfig
from llamalite.model.decoding import Decoder
from llamalite.model.generate import generate
from llamalite.model.transformer import Transformer
from llamalite.text.chat import encode_prompt
from llamalite.text.tokenizer import TAGS, Tokenizer


def write_training_answers(
    model: Transformer | Decoder,
    tokenizer: Tokenizer,
    scripts: Sequence[Script],
    config: GhostAttentionConfig,
    seed: int,
) -> list[Written]:
    """Answers with the instruction at every question; the same seed gives the same.

    Each is drawn anew until one is usable, at most `answers` times. A question without one is left
    out, as are turns for which the model's context has no room with the history asked for.
    """
    answers: list[dict[int, str]] = [{} for _ in scripts]
    sampling = SamplingConfig(config.max_new_tokens, config.temperature, config.top_p)
    turns = [(i, t) for i, script in enumerate(scripts) for t in range(len(script.questions))]
    waves = [turns]  # without history no answer waits for another
    if config.history_turns:
        longest = max((len(script.questions) for script in scripts), default=0)
        waves = [[(i, t) for i, t in turns if t == number] for number in range(longest)]
    for number, wave in enumerate(waves):
        encoded = {
            (i, t): encode_prompt(tokenizer, _asked(scripts[i], answers[i], t, config))
            for i, t in wave
        }
        room = model.config.max_seq_len - config.max_new_tokens
        pending = [turn for turn, ids in encoded.items() if len(ids) <= room]
        for attempt in range(config.answers):
            drawn = generate(
                model,
                [encoded[turn] for turn in pending],
                sampling,
                eos_id=tokenizer.eos_id,
                seed=_seed(seed, number, attempt),
            )
            for (i, t), [completion] in zip(pending, drawn, strict=True):
                text = tokenizer.decode(completion.ids).strip()
                if usable_answer(text, completion.finished, scripts[i].instruction):
                    answers[i][t] = text
            pending = [(i, t) for i, t in pending if t not in answers[i]]
    return [
        Written(
            script.id,
            script.kind,
            script.instruction.text if script.instruction else "",
            script.instruction.short if script.instruction else "",
            tuple((script.questions[t], mine[t]) for t in sorted(mine)),
            len(script.questions) - len(mine),
        )
        for script, mine in zip(scripts, answers, strict=True)
    ]


def write_replies(
    model: Transformer | Decoder,
    tokenizer: Tokenizer,
    scripts: Sequence[Script],
    config: GhostAttentionConfig,
    seed: int,
) -> list[list[str]]:
    """Replies by dialogue and turn to dialogues whose instruction stands at the start only.

    The model reads its own earlier replies. A dialogue ends before the first turn for which the
    context has no room, so that late turns may have fewer dialogues.
    """
    replies: list[list[str]] = [[] for _ in scripts]
    sampling = SamplingConfig(
        config.max_new_tokens, config.measured_temperature, config.measured_top_p
    )
    going = list(range(len(scripts)))
    for number in range(max((len(s.questions) for s in scripts), default=0)):
        encoded = {}
        for i in going:
            if number < len(scripts[i].questions):
                ids = encode_prompt(tokenizer, waiting(scripts[i], replies[i]))
                if len(ids) + config.max_new_tokens <= model.config.max_seq_len:
                    encoded[i] = ids
        going = list(encoded)
        drawn = generate(
            model,
            list(encoded.values()),
            sampling,
            eos_id=tokenizer.eos_id,
            seed=_seed(seed, number),
        )
        for i, [completion] in zip(encoded, drawn, strict=True):
            replies[i].append(_without_tags(tokenizer, completion.ids))
    return replies


def waiting(script: Script, replies: Sequence[str]) -> list[dict[str, str]]:
    """A script answered so far, with its next question at the end; the instruction in full."""
    system = script.instruction.text if script.instruction else ""
    turns = list(zip(script.questions[: len(replies)], replies, strict=True))
    question = {"role": "user", "content": script.questions[len(replies)]}
    return [*learned_dialogue(system, turns), question]


def _asked(
    script: Script, answers: dict[int, str], turn: int, config: GhostAttentionConfig
) -> list[dict[str, str]]:
    """The prompt of a turn, with as many answered turns before it as the config says."""
    before = [t for t in sorted(answers) if t < turn]
    before = before[-config.history_turns :] if config.history_turns else []
    history = [(script.questions[t], answers[t]) for t in before]
    return instructed_prompt(script.instruction, history, script.questions[turn])


def _without_tags(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """A reply as text that may stand in a dialogue; tags of the chat format fall out of it."""
    text = tokenizer.decode(ids)
    for tag in TAGS:
        text = text.replace(tag, "")
    return text.strip()


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence([25, *parts]).generate_state(1)[0])
