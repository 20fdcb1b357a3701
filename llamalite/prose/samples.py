"""What models of real text write: continuations and replies, the first ones, none chosen by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamalite.model.generate import generate
from llamalite.prose.config import ProseConfig
from llamalite.sft.config import SFTConfig
from llamalite.sft.recipe import read_dialogues
from llamalite.text.chat import encode_prompt
from llamalite.text.tokenizer import Tokenizer


def continuations(
    model: Any,
    tokenizer: Tokenizer,
    texts: Mapping[str, Sequence[str]],
    config: ProseConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """How held-out documents begin, how the base model goes on, and how the author did."""
    rows, prompts = [], []
    for source, documents in texts.items():
        for text in documents[: config.continuations]:
            ids = tokenizer.encode(text, bos=True)
            given = ids[: 1 + min(config.opening_tokens, model.config.max_seq_len // 2)]
            prompts.append(given)
            opening = tokenizer.decode(given)
            true = tokenizer.decode(ids[: len(given) + config.max_new_tokens])
            rows.append({"source": source, "opening": opening, "true": true[len(opening) :]})
    for row, said in zip(rows, _written(model, tokenizer, prompts, config, seed), strict=True):
        row["written"] = said
    return rows


def replies(
    models: Mapping[str, Any],
    tokenizer: Tokenizer,
    sft: Mapping[str, Any],
    config: ProseConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """First turns of held-out dialogues, what a person answered, and what the models answer.

    `sft` are the settings the chat model was tuned with. The base model is given the turn as the
    beginning of a chat in its corpus, and is cut where the next turn would begin.
    """
    settings = SFTConfig(data=sft["data"], held_out=sft["held_out"])
    dialogues = read_dialogues(settings, None, seed).held_out
    limit = models["chat"].config.max_seq_len // 2
    asked = [
        dialogue
        for dialogue in dialogues
        if len(encode_prompt(tokenizer, dialogue[:1])) <= limit and len(dialogue) > 1
    ][: config.replies]
    prompts = {
        "base": [tokenizer.encode(d[0]["content"] + "\n\n", bos=True) for d in asked],
        "chat": [encode_prompt(tokenizer, d[:1]) for d in asked],
    }
    written = {
        name: _written(model, tokenizer, prompts[name], config, seed)
        for name, model in models.items()
    }
    return [
        {
            "prompt": dialogue[0]["content"],
            "person": dialogue[1]["content"],
            "base": written["base"][number].lstrip().split("\n\n")[0].strip(),
            "chat": written["chat"][number].strip(),
        }
        for number, dialogue in enumerate(asked)
    ]


def _written(
    model: Any,
    tokenizer: Tokenizer,
    prompts: Sequence[list[int]],
    config: ProseConfig,
    seed: int,
) -> list[str]:
    if not prompts:
        return []
    drawn = generate(model, prompts, config.sampling(), eos_id=tokenizer.eos_id, seed=seed)
    return [tokenizer.decode(completion.ids) for (completion,) in drawn]
