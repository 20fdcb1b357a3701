"""Writing the answers of a dialogue, turn by turn: for training and for measuring. Section 3.3."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llamalite.ghost_attention.config import GhostAttentionConfig
from llamalite.ghost_attention.data import usable_answer
from llamalite.ghost_attention.writing import (
    Messages,
    Script,
    Written,
    learned_dialogue,
    write_answers,
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
    sampling = SamplingConfig(config.max_new_tokens, config.temperature, config.top_p)
    room = model.config.max_seq_len - config.max_new_tokens

    def draw(dialogues: list[Messages], wave: int, attempt: int) -> list[str | None]:
        encoded = [encode_prompt(tokenizer, dialogue) for dialogue in dialogues]
        fitting = [i for i, ids in enumerate(encoded) if len(ids) <= room]
        drawn = generate(
            model,
            [encoded[i] for i in fitting],
            sampling,
            eos_id=tokenizer.eos_id,
            seed=_seed(seed, wave, attempt),
        )
        texts: list[str | None] = [None] * len(dialogues)
        for i, [completion] in zip(fitting, drawn, strict=True):
            if completion.finished:
                texts[i] = tokenizer.decode(completion.ids).strip()
        return texts

    return write_answers(
        scripts,
        draw,
        usable_answer,
        attempts=config.answers,
        history_turns=config.history_turns,
    )


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


def _without_tags(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """A reply as text that may stand in a dialogue; tags of the chat format fall out of it."""
    text = tokenizer.decode(ids)
    for tag in TAGS:
        text = text.replace(tag, "")
    return text.strip()


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence([25, *parts]).generate_state(1)[0])
