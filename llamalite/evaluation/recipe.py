"""The evaluate stage: base and chat model side by side. Llama 2, sections 2.3, 3.4 and 4.4."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.evaluation.config import EvaluateConfig
from llamalite.evaluation.exams import evaluate_base
from llamalite.evaluation.prompting import Style
from llamalite.evaluation.replies import evaluate_chat
from llamalite.protocols import Grader, PromptSet, Truth

_MODELS: tuple[tuple[str, str, Style], ...] = (
    ("base", "pretrain", "plain"),
    ("chat", "sft", "chat"),
)
"""Name in the results, stage whose model it is, and how it is spoken to."""


def run(config: EvaluateConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write base.json (exams, perplexity), chat.json (graded replies) and samples.json.

    Both models sit the exams, which shows what tuning forgets; both reply to the chat prompts, the
    base model as plain text to go on with, which is the baseline of the chat model.
    """
    from llamalite.model.checkpoint import load_model
    from llamalite.parallel import pick_device
    from llamalite.text.tokenizer import Tokenizer

    truth, prompts, grader = open_world(inputs["world"])
    base: dict[str, Any] = {}
    chat: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for name, stage, style in _MODELS:
        folder = inputs[stage].path
        model = load_model(folder, pick_device())
        tokenizer = Tokenizer.load(inputs[stage].file("tokenizer.model"))
        began = time.monotonic()
        base[name] = evaluate_base(model, tokenizer, truth, config)
        seconds[f"{name}_exams"] = round(time.monotonic() - began, 2)
        began = time.monotonic()
        chat[name] = evaluate_chat(
            model, tokenizer, prompts, grader, config, style=style, seed=seed
        )
        seconds[f"{name}_replies"] = round(time.monotonic() - began, 2)
    write_json(draft.path / "base.json", {"models": base})
    write_json(draft.path / "chat.json", {"models": chat})
    write_json(draft.path / "samples.json", pick_samples(chat, config.samples))
    draft.metrics.update(headline(base, chat))
    draft.metrics["parts_seconds"] = seconds


def open_world(world: Artifact) -> tuple[Truth, PromptSet, Grader]:
    """The micro-world as what evaluation asks for: exams and texts, prompts, and their grader."""
    from llamalite import world as micro_world

    opened = micro_world.World.load(world.file("world.json"))
    return opened, opened, micro_world.Grader(opened)


def headline(base: Mapping[str, Any], chat: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers a person asks for first; None for what was not measured."""
    final = chat["chat"]
    return {
        "fact_recall": base["base"]["exams"]["facts"]["greedy"]["mean"],
        "base_helpfulness": chat["base"]["helpfulness"]["all"]["mean"],
        "helpfulness": final["helpfulness"]["all"]["mean"],
        "base_violations": chat["base"]["violations"]["all"]["mean"],
        "violations": final["violations"]["all"]["mean"],
        "false_refusals_ordinary": final["false_refusals"]["ordinary"]["mean"],
        "false_refusals_borderline": final["false_refusals"]["borderline"]["mean"],
    }


def pick_samples(chat: Mapping[str, Mapping[str, Any]], per_kind: int) -> list[dict[str, Any]]:
    """The first prompts of every kind with each model's reply and grades, nothing chosen by eye.

    Adversarial prompts are taken at even distances, since their list runs through all attacks.
    """
    models = list(chat)
    rows: dict[str, list[int]] = {}
    for place, item in enumerate(chat[models[0]]["items"]):
        rows.setdefault(item["kind"], []).append(place)
    samples = []
    for kind, places in rows.items():
        for place in _spread(places, per_kind):
            item = chat[models[0]]["items"][place]
            samples.append(
                {
                    "id": item["id"],
                    "kind": kind,
                    "risk": item["risk"],
                    "vector": item["vector"],
                    "messages": item["messages"],
                    "replies": {name: _graded(chat[name]["items"][place]) for name in models},
                }
            )
    return samples


def _spread(places: Sequence[int], count: int) -> list[int]:
    count = min(count, len(places))
    return [places[i * len(places) // count] for i in range(count)]


def _graded(item: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("reply", "helpfulness", "likert", "safety", "violation", "false_refusal", "finished")
    return {key: item[key] for key in keys}
