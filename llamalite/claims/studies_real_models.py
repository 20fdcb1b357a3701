"""Claims on real weights: W1. No training; the fetched model is read, not made."""

from __future__ import annotations

import importlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from llamalite.claims.rules import AtLeast, AtMost, Exact, Rule
from llamalite.claims.study import Finished, claim
from llamalite.data_care.packaged import documents
from llamalite.real_models.export import export_folder
from llamalite.real_models.fetch import fetched_folder, gguf_file, models_folder, named
from llamalite.real_models.folder import open_model

MODEL = "smollm2"
TEXT = "packaged:bible"
ROWS, LENGTH = 16, 256
"""Rows of text whose logits are compared, and tokens of a row."""
REPLY = 64
"""Most tokens of a greedy reply."""
QUESTIONS = (
    "What is the capital of France?",
    "Why is the sky blue?",
    "Write a short poem about rain.",
    "How do I boil an egg?",
    "Explain what a prime number is to a child.",
    "Name three animals that lay eggs.",
    "Is a tomato a fruit? Answer in one sentence.",
    "What should I pack for a walk in the mountains?",
)


@claim(
    "W1",
    Rule(
        "SmolLM2-135M in float32 beside transformers, which reads the published GGUF file by a "
        f"reader of its own: no logit on {ROWS} rows of {LENGTH} tokens differs by more than "
        "0.001, nor from what transformers makes of our export; perplexity differs by at most one "
        f"part in 100,000; greedy replies of up to {REPLY} tokens are equal token for token. The "
        f"export gives {ROWS} chapters and {len(QUESTIONS)} chats the same token ids as ours. And "
        "such a test can fail: with llama.cpp's order of the query and key rows left as it "
        "stands in the file, perplexity is at least twice as high.",
        (
            Exact({"texts with other ids": (0, 0), "greedy replies that differ": (0, 0)}),
            AtMost("largest difference of a logit", 1e-3),
            AtMost("largest difference of a logit, export", 1e-3),
            AtMost("relative difference of perplexity", 1e-5),
            AtLeast("perplexity with the file's row order, times ours", 2.0),
        ),
    ),
)
def same_function(finished: Finished) -> dict[str, float]:
    """Both programs on the same text and prompts; ValueError names what is missing.

    One seed is enough for this rule: nothing is trained and nothing is drawn, the weights, the text
    and the prompts are given and replies are greedy, so that another seed would measure the same.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from llamalite.text.chat import encode_prompt

    folder = fetched_folder(MODEL)
    chapters = documents(TEXT)[:ROWS]
    opened = open_model(folder)
    ours, tokenizer = opened.model.cpu(), opened.tokenizer  # where transformers reads it too
    chats = [[{"role": "user", "content": question}] for question in QUESTIONS]
    prompts = [encode_prompt(tokenizer, chat) for chat in chats]
    rows = [tokenizer.encode(chapter)[:LENGTH] for chapter in chapters]
    models: dict[str, Any] = {"ours": ours, "file's order": with_neighbours(ours)}
    nats = {name: 0.0 for name in (*models, "theirs")}
    largest, others = {"theirs": 0.0, "export": 0.0}, 0
    with torch.inference_mode(), _references(folder) as (published, export, their_tokenizer):
        for row in rows:
            ids = torch.tensor([row])
            logits = {name: model(ids)[0] for name, model in models.items()}
            logits |= {"theirs": published(ids).logits[0], "export": export(ids).logits[0]}
            for name, most in largest.items():
                apart = float((logits["ours"] - logits[name]).abs().max())
                largest[name] = max(most, apart)
            for name in nats:
                found = logits[name]
                nats[name] += float(cross_entropy(found[:-1], ids[0, 1:], reduction="sum"))
        for chapter in chapters:
            others += their_tokenizer(chapter).input_ids != tokenizer.encode(chapter)
        for chat, prompt in zip(chats, prompts, strict=True):
            asked = their_tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, return_dict=False
            )
            others += asked != prompt
        differ = sum(
            mine != theirs
            for mine, theirs in zip(
                _our_replies(ours, prompts, tokenizer.eos_id),
                _their_replies(published, prompts),
                strict=True,
            )
        )
    tokens = sum(len(row) - 1 for row in rows)
    perplexity = {name: math.exp(total / tokens) for name, total in nats.items()}
    return {
        "texts with other ids": others,
        "greedy replies that differ": differ,
        "largest difference of a logit": largest["theirs"],
        "largest difference of a logit, export": largest["export"],
        "relative difference of perplexity": abs(perplexity["ours"] / perplexity["theirs"] - 1),
        "perplexity with the file's row order, times ours": (
            perplexity["file's order"] / perplexity["ours"]
        ),
        "perplexity, ours": perplexity["ours"],
        "perplexity, transformers": perplexity["theirs"],
        "tokens": tokens,
    }


def with_neighbours(model: Any) -> Any:
    """A copy whose heads pair neighbouring features, as if import had left the file's order."""
    from llamalite.model.meta import pair_neighbours

    copy = deepcopy(model)
    for block in copy.layers:
        for projection in (block.attention.wq, block.attention.wk):
            turned = pair_neighbours(projection.weight.data, model.config.head_dim)
            projection.weight.data = turned.contiguous()
    return copy


@contextmanager
def _references(folder: Path) -> Iterator[tuple[Any, Any, Any]]:
    """The model as transformers reads it of the published file and of our export, both in float32,
    and the export's tokenizer."""
    try:
        transformers = importlib.import_module("transformers")
    except ModuleNotFoundError:
        raise ValueError("W1 compares with transformers; pip install transformers") from None
    read = transformers.AutoModelForCausalLM.from_pretrained
    with tempfile.TemporaryDirectory(dir=models_folder(), prefix=".export-") as work:
        with gguf_file(named(MODEL), Path(work), print) as file:
            published = read(file.parent, gguf_file=file.name, dtype="float32").eval()
        made = export_folder(folder, Path(work) / "hf", "float32")
        yield published, read(made).eval(), transformers.AutoTokenizer.from_pretrained(made)


def _our_replies(model: Any, prompts: Sequence[list[int]], eos_id: int) -> list[list[int]]:
    """Greedy replies with their ends, all in one batch."""
    from llamalite.model.config import SamplingConfig
    from llamalite.model.generate import generate

    likeliest = SamplingConfig(max_new_tokens=REPLY, temperature=0.0)
    drawn = generate(model, prompts, likeliest, eos_id=eos_id)
    return [reply.ids + [eos_id] * reply.finished for (reply,) in drawn]


def _their_replies(peer: Any, prompts: Sequence[list[int]]) -> list[list[int]]:
    """Greedy replies with their ends, one by one."""
    import torch

    replies = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        drawn = peer.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=REPLY
        )
        replies.append(drawn[0, len(prompt) :].tolist())
    return replies
