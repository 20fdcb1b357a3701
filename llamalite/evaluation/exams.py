"""Benchmarks of base models in the micro-world, and perplexity. Llama 2, section 2.3, tables 3, 20.

As the paper's harness, every exam is answered in two ways: written freely (greedy decoding, counted
right when the answer stands at the start of what is written), and picked among choices by
log-likelihood, both summed and per token. The rumour exam asks where a rumour contradicts the truth
and counts who is believed; it is our stand-in for the hallucination the paper wants dampened
(section 2.1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from llamalite.evaluation.config import EvaluateConfig
from llamalite.evaluation.perplexity import held_out_perplexity
from llamalite.evaluation.scoring import estimate, token_logprobs
from llamalite.protocols import ExamSet, Question, Truth


def evaluate_base(
    model: Any,
    tokenizer: Any,
    truth: Truth,
    config: EvaluateConfig | None = None,
    *,
    exams: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Every exam and the perplexity of every source, with each item's value.

    Returns `{"exams": {name: ...}, "perplexity": {source: ...}}`; see `sit_exam` and
    `held_out_perplexity`. `exams` and `sources` choose fewer. Deterministic.
    """
    config = config or EvaluateConfig()
    was_training = model.training
    model.eval()
    try:
        return {
            "exams": {
                name: sit_exam(model, tokenizer, truth, name, config)
                for name in (truth.exams if exams is None else exams)
            },
            "perplexity": held_out_perplexity(
                model,
                tokenizer,
                truth,
                truth.sources if sources is None else sources,
                documents=config.perplexity_documents,
                resamples=config.resamples,
            ),
        }
    finally:
        model.train(was_training)


def sit_exam(
    model: Any, tokenizer: Any, exams: ExamSet, name: str, config: EvaluateConfig
) -> dict[str, Any]:
    """One exam's results.

    `greedy`, `choice` (summed log-likelihood) and `choice_normalised` (per token) are shares of
    right answers with intervals, `chance` is what guessing among the choices gives, `items` holds
    every question with what was written. The rumour exam has `shares` besides: of written answers
    that are true, repeat the rumour, or neither.
    """
    questions = choose_evenly(exams.exam(name), config.exam_questions)
    if not questions:
        raise ValueError(f"exam {name!r} has no questions; give it some, or a larger world")
    written = write_answers(model, tokenizer, questions, config.batch_size)
    totals, per_token = score_choices(model, tokenizer, questions)
    items = []
    for question, text, sums, means in zip(questions, written, totals, per_token, strict=True):
        right = question.choices.index(question.answer)
        item = {
            "id": question.id,
            "prompt": question.prompt,
            "answer": question.answer,
            "written": text,
            "greedy": int(begins_with(text, question.answer)),
            "choice": int(int(np.argmax(sums)) == right),
            "choice_normalised": int(int(np.argmax(means)) == right),
        }
        if question.rumour:
            item["rumour"] = int(begins_with(text, question.rumour) and not item["greedy"])
            item["picked"] = question.choices[int(np.argmax(means))]
            item["told"] = question.rumour
        items.append(item)
    result: dict[str, Any] = {
        "chance": round(float(np.mean([1 / len(q.choices) for q in questions])), 6),
        "choices": len(questions[0].choices),
        "n": len(items),
    }
    for key in ("greedy", "choice", "choice_normalised"):
        result[key] = estimate([item[key] for item in items], config.resamples)
    rumoured = [item for item in items if "rumour" in item]
    if rumoured:
        neither = [1 - item["greedy"] - item["rumour"] for item in rumoured]
        result["shares"] = {
            "true": estimate([item["greedy"] for item in rumoured], config.resamples),
            "rumour": estimate([item["rumour"] for item in rumoured], config.resamples),
            "neither": estimate(neither, config.resamples),
        }
        result["picks_rumour"] = estimate(
            [item["picked"] == item["told"] for item in rumoured], config.resamples
        )
    result["items"] = items
    return result


def write_answers(
    model: Any, tokenizer: Any, questions: Sequence[Question], batch_size: int = 128
) -> list[str]:
    """What the model writes after each question's prompt, greedily; its first line.

    It may write a few tokens more than the longest answer has, no more.
    """
    from llamalite.model.generate import SamplingConfig, generate

    longest = max(len(tokenizer.encode(" " + q.answer)) for q in questions)
    room = model.config.max_seq_len - longest - 3
    prompts = [_fit(tokenizer.encode(q.prompt, bos=True), room) for q in questions]
    sampling = SamplingConfig(max_new_tokens=longest + 3, temperature=0.0)
    found = generate(model, prompts, sampling, eos_id=tokenizer.eos_id, n=1, batch_size=batch_size)
    return [tokenizer.decode(group[0].ids).strip().split("\n")[0] for group in found]


def score_choices(
    model: Any, tokenizer: Any, questions: Sequence[Question]
) -> tuple[list[list[float]], list[list[float]]]:
    """Log-likelihood (nats) of every choice after its question's prompt: summed, and per token."""
    rows: list[list[int]] = []
    starts: list[int] = []
    for question in questions:
        prompt = tokenizer.encode(question.prompt, bos=True)
        spaced = question.prompt.endswith((" ", "\n"))
        for choice in question.choices:
            text = question.prompt + ("" if spaced else " ") + choice
            row = tokenizer.encode(text, bos=True)
            start = _common(prompt, row)
            dropped = max(0, len(row) - 1 - model.config.max_seq_len)
            rows.append(row[:1] + row[1 + dropped :])
            starts.append(max(1, start - dropped))
    scores = iter(token_logprobs(model, rows, starts))
    totals, per_token = [], []
    for question in questions:
        found = [next(scores) for _ in question.choices]
        totals.append([float(logprobs.sum()) for logprobs in found])
        per_token.append([float(logprobs.mean()) for logprobs in found])
    return totals, per_token


def begins_with(text: str, answer: str) -> bool:
    """Whether a text starts with the answer, as whole words; case and final stops do not matter."""
    wanted = re.escape(_plain(answer).rstrip(".!? "))
    return re.match(rf"{wanted}(?!\w)", _plain(text)) is not None


def choose_evenly(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` items spread over the whole sequence (0: all), in its order."""
    if not 0 < count < len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _fit(ids: list[int], room: int) -> list[int]:
    """The first token (bos) and as many of the last ones as there is room for."""
    return ids if len(ids) <= room else ids[:1] + ids[len(ids) - room + 1 :]


def _common(prompt: list[int], row: list[int]) -> int:
    """Length of the common start, leaving at least one token of the row to score."""
    length = 0
    while length < min(len(prompt), len(row) - 1) and prompt[length] == row[length]:
        length += 1
    return length
