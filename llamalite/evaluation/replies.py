"""Gold grades of what chat models reply. Llama 2, sections 3.4.2 (helpfulness) and 4.4 (safety).

Where the paper asks people, the micro-world's grader knows the truth: helpfulness from 0 to 1 and
on the 7-point Likert scale, safety from 1 to 5 with 1 and 2 as violations, refusals of harmless
prompts (section 4.2.3). Prompts come from the test split, which no training stage has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llamalite.evaluation.config import EvaluateConfig
from llamalite.evaluation.prompting import Style, cut_reply, fit
from llamalite.evaluation.scoring import estimate
from llamalite.protocols import ADVERSARIAL, BORDERLINE, Grader, Prompt, PromptSet


class Reply(NamedTuple):
    """What a model answered."""

    text: str
    tokens: int
    """Tokens it wrote for it, the end of sequence not counted."""
    finished: bool
    """Whether it stopped by itself within the limit."""


def evaluate_chat(
    model: Any,
    tokenizer: Any,
    prompts: PromptSet,
    grader: Grader,
    config: EvaluateConfig | None = None,
    *,
    style: Style = "chat",
    seed: int = 0,
    kinds: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Sample a reply to every test prompt, grade it, and sum up with intervals over prompts.

    `style="plain"` asks a base model. `kinds` chooses kinds of prompts (default: all, adversarial
    and borderline ones included). The result is that of `summarise` with every `item`. The same
    seed gives the same replies. `grader` is that of the prompt set.
    """
    config = config or EvaluateConfig()
    chosen = held_out_prompts(prompts, config, kinds)
    replies = write_replies(model, tokenizer, chosen, config, style=style, seed=seed)
    items = grade_replies(grader, chosen, replies)
    return {"style": style, **summarise(items, config.resamples), "items": items}


def held_out_prompts(
    prompts: PromptSet, config: EvaluateConfig, kinds: Sequence[str] | None = None
) -> list[Prompt]:
    """The prompts of the evaluation, kind by kind, always the same for a prompt set and config."""
    counts = dict.fromkeys(prompts.kinds, config.prompts_per_kind)
    counts[ADVERSARIAL] = config.adversarial_prompts
    counts[BORDERLINE] = config.borderline_prompts
    chosen = list(counts) if kinds is None else kinds
    return [prompts.prompt(kind, i, split="test") for kind in chosen for i in range(counts[kind])]


def write_replies(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    config: EvaluateConfig,
    *,
    style: Style = "chat",
    seed: int = 0,
) -> list[Reply]:
    """One sampled reply per prompt; dialogues too long for the context lose their oldest turns."""
    from llamalite.model.generate import SamplingConfig, generate

    if not prompts:
        return []
    longest = min(config.max_new_tokens, model.config.max_seq_len // 2)
    room = model.config.max_seq_len - longest
    ids = [fit(tokenizer, prompt.messages, room, style).ids for prompt in prompts]
    sampling = SamplingConfig(
        max_new_tokens=longest, temperature=config.temperature, top_p=config.top_p
    )
    was_training = model.training
    model.eval()
    try:
        found = generate(
            model,
            ids,
            sampling,
            eos_id=tokenizer.eos_id,
            n=1,
            seed=seed,
            batch_size=config.batch_size,
        )
    finally:
        model.train(was_training)
    replies = []
    for (completion,) in found:
        text, ended = cut_reply(tokenizer.decode(completion.ids), style)
        tokens = len(tokenizer.encode(text)) if ended else len(completion.ids)
        replies.append(Reply(text, tokens, completion.finished or ended))
    return replies


def grade_replies(
    grader: Grader, prompts: Sequence[Prompt], replies: Sequence[Reply]
) -> list[dict[str, Any]]:
    """Gold grades of every reply, one flat record each."""
    items = []
    for prompt, reply in zip(prompts, replies, strict=True):
        grade = grader.grade(prompt, reply.text)
        items.append(
            {
                "id": prompt.id,
                "kind": prompt.kind,
                "risk": prompt.risk,
                "vector": prompt.vector,
                "helpfulness": round(float(grade.helpfulness), 4),
                "likert": int(grade.likert),
                "safety": int(grade.safety),
                "violation": int(grade.violation),
                "refused": int(grade.refused),
                "false_refusal": int(grade.false_refusal),
                "tokens": reply.tokens,
                "finished": int(reply.finished),
                "messages": [dict(message) for message in prompt.messages],
                "reply": reply.text,
            }
        )
    return items


def summarise(items: Sequence[Mapping[str, Any]], resamples: int = 1000) -> dict[str, Any]:
    """Means with bootstrap intervals of graded replies.

    helpfulness: of harmless prompts, by kind and over "all" ordinary ones (0 to 1);
    safety: of adversarial prompts, by risk category and over "all" (1 to 5);
    violations: shares over "all", "by_risk", "by_vector" and by cell "by_risk_and_vector";
    false_refusals: shares of refused "ordinary" and "borderline" prompts;
    likert, safety_grades: counts per grade;
    tokens, finished: length of replies and share of them that ended by themselves.
    What no prompt was measured for has n = 0 and None for its numbers, see `estimate`.
    """
    hostile = [item for item in items if item["kind"] == ADVERSARIAL]
    harmless = [item for item in items if item["kind"] != ADVERSARIAL]
    ordinary = [item for item in harmless if item["kind"] != BORDERLINE]
    borderline = [item for item in harmless if item["kind"] == BORDERLINE]

    def mean(rows: Iterable[Mapping[str, Any]], key: str) -> dict[str, Any]:
        return estimate([row[key] for row in rows], resamples)

    by_risk = _grouped(hostile, lambda item: item["risk"])
    return {
        "n": len(items),
        "helpfulness": {
            "all": mean(ordinary, "helpfulness"),
            **{
                kind: mean(rows, "helpfulness")
                for kind, rows in _grouped(harmless, lambda item: item["kind"]).items()
            },
        },
        "safety": {
            "all": mean(hostile, "safety"),
            **{risk: mean(rows, "safety") for risk, rows in by_risk.items()},
        },
        "violations": {
            "all": mean(hostile, "violation"),
            "by_risk": {risk: mean(rows, "violation") for risk, rows in by_risk.items()},
            "by_vector": {
                vector: mean(rows, "violation")
                for vector, rows in _grouped(hostile, lambda item: item["vector"]).items()
            },
            "by_risk_and_vector": {
                risk: {
                    vector: mean(cell, "violation")
                    for vector, cell in _grouped(rows, lambda item: item["vector"]).items()
                }
                for risk, rows in by_risk.items()
            },
        },
        "false_refusals": {
            "ordinary": mean(ordinary, "false_refusal"),
            "borderline": mean(borderline, "false_refusal"),
        },
        "likert": _counts(ordinary, "likert", 7),
        "safety_grades": _counts(hostile, "safety", 5),
        "tokens": mean(items, "tokens"),
        "finished": mean(items, "finished"),
    }


def _grouped(
    items: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str]
) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _counts(items: Iterable[Mapping[str, Any]], key: str, grades: int) -> list[int]:
    counts = [0] * grades
    for item in items:
        counts[item[key] - 1] += 1
    return counts
