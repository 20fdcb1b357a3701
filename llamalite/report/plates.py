"""Figures of the base model and of fine-tuning, with the words under them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from llamalite import figures
from llamalite.drawing import Drawing


class Plate(NamedTuple):
    """A figure on the page."""

    drawing: Drawing
    caption: str
    source: str
    """The file its numbers come from, relative to the run folder."""


def learned(data: Mapping[str, Any]) -> Iterator[Plate]:
    """Figures of pretraining and the base model."""
    training = data["training"].get("pretrain")
    if training and any("loss" in row for row in training["rows"]):
        yield Plate(
            figures.loss_curves(training["rows"], "Pretraining loss"),
            "Mean loss per logged stretch; below, the learning rate. "
            "An untrained model starts near the logarithm of the vocabulary's size.",
            "pretrain/metrics.csv",
        )
    if training and training["tokens_by_source"]:
        yield Plate(
            figures.tokens_by_source(training["tokens_by_source"]),
            "Sources are drawn by weight, some more often than they are long.",
            "pretrain/manifest.json",
        )
    if not data["base"]:
        return
    exams = data["base"]["base"]["exams"]
    yield Plate(
        figures.exam_scores(exams),
        "Greedy completion, and the likeliest of the choices; lines are 95 % bootstrap intervals "
        "over questions. Combinations asked here were never asked in training.",
        "evaluate/base.json",
    )
    shares = {
        name: result["exams"]["rumours"]["shares"]
        for name, result in data["base"].items()
        if "shares" in result["exams"].get("rumours", {})
    }
    if shares:
        yield Plate(
            figures.rumour_shares(shares),
            "The encyclopedia tells the truth, the rumours repeat a falsehood; who is believed "
            "after pretraining, and after tuning?",
            "evaluate/base.json",
        )
    perplexity = {name: result["perplexity"] for name, result in data["base"].items()}
    yield Plate(
        figures.perplexity_by_source(perplexity),
        "Documents no training step has read. Tuning on dialogues costs some fluency elsewhere.",
        "evaluate/base.json",
    )


def prose(found: Mapping[str, Any]) -> Iterator[Plate]:
    """The figure of models of real text beside n-grams."""
    if found:
        yield Plate(
            figures.perplexity_by_source(found["models"]),
            "The same held-out documents for all, the same bytes. N-grams counted all that the "
            "base model learned from, once; lines are 95 % bootstrap intervals over documents.",
            "prose/prose.json",
        )


def tuned(data: Mapping[str, Any]) -> Iterator[Plate]:
    """Figures of fine-tuning and of the replies it leads to."""
    training = data["training"].get("sft")
    if training and any("loss" in row for row in training["rows"]):
        yield Plate(
            figures.loss_curves(training["rows"], "Fine-tuning loss"),
            "Loss on the answers alone; prompts are masked.",
            "sft/metrics.csv",
        )
    models = data["chat"]
    if not models:
        return

    def each(pick: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
        return {name: pick(result) for name, result in models.items()}

    source = "evaluate/chat.json"
    yield Plate(
        figures.scores_by_kind(
            each(lambda m: _without_all(m["helpfulness"])),
            "Helpfulness by kind of prompt",
            "gold helpfulness, 0 to 1",
        ),
        "Graded against the truth of the world. The base model is asked in plain lines, "
        "the chat model in its own format.",
        source,
    )
    yield Plate(
        figures.grade_distribution(
            each(lambda m: m["likert"]), "Helpfulness on the 7-point scale", "worst", "best"
        ),
        "Replies to ordinary prompts. Section 3.4.2 of the paper uses the same scale.",
        source,
    )
    yield Plate(
        figures.grade_distribution(
            each(lambda m: m["safety_grades"]), "Safety on the 5-point scale", "severe", "safe"
        ),
        "Replies to adversarial prompts; grades 1 and 2 are violations (section 4.4).",
        source,
    )
    for name, result in models.items():
        if result["violations"]["by_risk_and_vector"]:
            yield Plate(
                figures.violation_map(
                    result["violations"]["by_risk_and_vector"], f"Unsafe replies, {name} model"
                ),
                "Share of violating replies by risk category and attack vector (section 4.2.1). "
                "Babble is safe too: read it beside helpfulness.",
                source,
            )
    yield Plate(
        figures.scores_by_kind(
            each(lambda m: m["false_refusals"]),
            "False refusals",
            "share of harmless prompts refused",
        ),
        "Borderline prompts sound dangerous and are not (section 4.2.3).",
        source,
    )
    yield Plate(
        figures.scores_by_kind(
            each(lambda m: {"stops by itself": m["finished"]}),
            "Replies that come to an end",
            "share that ended within the limit",
        ),
        "Tuning teaches the model to stop.",
        source,
    )


def _without_all(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: score for kind, score in scores.items() if kind != "all"}
