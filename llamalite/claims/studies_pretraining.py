"""Claims of section 2 that need pretraining runs: P1 and P2."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import Any

import numpy as np

from llamalite.ablations.variants import fewer_facts
from llamalite.artifacts import Artifact
from llamalite.claims.budgets import pretraining_tokens
from llamalite.claims.rules import Below, Greater, Ordered, Rule
from llamalite.claims.study import Finished, claim, with_settings
from llamalite.evaluation.config import HELD_OUT_FROM
from llamalite.model.config import ModelConfig
from llamalite.presets import RunPreset

SIZES = {"half": 0.5, "three quarters": 0.75, "whole": 1.0, "one and a half": 1.5}
"""Widths of P2's models, relative to the preset's."""
LAST_PART = 0.2
"""Share of the run over which P2's slope is taken."""
HELD_OUT_DOCUMENTS = 400


def base_run(preset: RunPreset) -> RunPreset:
    """The preset with the token budget of P1 and P2: the run they share."""
    return with_settings(preset, pretrain={"tokens": pretraining_tokens(preset)})


def _up_sampling_arms(preset: RunPreset) -> dict[str, RunPreset]:
    """The preset's mixture, and the same less factual."""
    base = base_run(preset)
    return {"1x": replace(base, pretrain=fewer_facts(base.pretrain)), "3x": base}


@claim(
    "P1",
    Rule(
        "With three times the weight on the encyclopedia, all else and the number of tokens equal, "
        "greedy answers to held-out questions give the true fact more often, and where a rumour "
        "contradicts the truth they repeat the rumour less often. Both must hold.",
        (
            Greater("recall at 3x", "recall at 1x"),
            Greater("rumours repeated at 1x", "rumours repeated at 3x"),
        ),
    ),
    arms=_up_sampling_arms,
    until="pretrain",
)
def up_sampling(finished: Finished) -> dict[str, Any]:
    """Every test question about a fact, and every one about which a rumour goes round."""
    from llamalite.evaluation.config import EvaluateConfig
    from llamalite.evaluation.exams import sit_exam

    found: dict[str, Any] = {}
    for arm, stages in finished.arms.items():
        world, model, tokenizer = load_trained(stages, "pretrain")
        config = EvaluateConfig(exam_questions=0)
        facts = sit_exam(model, tokenizer, world, "facts", config)["items"]
        rumours = sit_exam(model, tokenizer, world, "rumours", config)["items"]
        found[f"recall at {arm}"] = [item["greedy"] for item in facts]
        found[f"rumours repeated at {arm}"] = [item["rumour"] for item in rumours]
        found[f"rumours refuted at {arm}"] = [item["greedy"] for item in rumours]
    return found


def sized(model: ModelConfig, factor: float) -> ModelConfig:
    """A model of another width of the same family; factor 1 is the model itself."""
    return replace(
        model,
        dim=round(model.dim * factor),
        head_dim=2 * round(model.head_dim * factor / 2),
        ffn_dim=8 * round(model.ffn_dim * factor / 8),
        n_layers=round(model.n_layers * max(factor, 0.75)),
    )


def _size_arms(preset: RunPreset) -> dict[str, RunPreset]:
    base = base_run(preset)
    return {
        name: with_settings(base, pretrain={"model": sized(base.pretrain.model, factor)})
        for name, factor in SIZES.items()
    }


@claim(
    "P2",
    Rule(
        "Four widths on the same tokens: the loss on held-out documents falls from each to the "
        "next larger, and for each the slope of the training loss over the last fifth of the run "
        "is negative.",
        (
            Ordered(tuple(f"loss, {name}" for name in SIZES)),
            *(Below(f"slope, {name}") for name in SIZES),
        ),
    ),
    arms=_size_arms,
    until="pretrain",
)
def sizes(finished: Finished) -> dict[str, Any]:
    """Nats per token of every held-out document, and nats per million tokens at the end."""
    from llamalite.evaluation.perplexity import document_nats

    found: dict[str, Any] = {}
    for name, stages in finished.arms.items():
        world, model, tokenizer = load_trained(stages, "pretrain")
        texts = held_out_texts(world, finished.arms[name]["pretrain"])
        nats, tokens = document_nats(model, tokenizer, texts)
        found[f"loss, {name}"] = nats / tokens
        found[f"parameters, {name}"] = model.config.n_parameters
        at, loss = training_curve(stages["pretrain"])
        found[f"slope, {name}"] = last_slope(at, loss)
        kept = np.unique(np.linspace(0, len(at) - 1, 60).astype(int))
        found[f"curve tokens, {name}"] = at[kept]
        found[f"curve loss, {name}"] = loss[kept]
    return found


def held_out_texts(world: Any, pretrain: Artifact) -> list[str]:
    """Documents no run has read, from every source in proportion to its weight."""
    mixture = pretrain.manifest["config"]["mixture"] or dict.fromkeys(world.sources, 1.0)
    total = sum(mixture.values())
    return [
        world.document(source, HELD_OUT_FROM + index).text
        for source, weight in sorted(mixture.items())
        for index in range(round(HELD_OUT_DOCUMENTS * weight / total))
    ]


def training_curve(pretrain: Artifact) -> tuple[np.ndarray, np.ndarray]:
    """Tokens seen and the loss since the last row, from the run's metrics.csv."""
    with pretrain.file("metrics.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    at, loss = (np.array([float(row[key]) for row in rows]) for key in ("tokens", "loss"))
    return at, loss


def last_slope(tokens: np.ndarray, loss: np.ndarray) -> float:
    """Least-squares slope over the last fifth of the tokens, nats per million tokens."""
    part = tokens > (1 - LAST_PART) * tokens[-1]
    if part.sum() < 3:
        raise ValueError(
            f"{part.sum()} logged losses in the last fifth of the run; train longer or log more"
        )
    return float(np.polyfit(tokens[part] / 1e6, loss[part], 1)[0])


def load_trained(stages: Any, stage: str) -> tuple[Any, Any, Any]:
    """The world, the model of a stage and its tokenizer."""
    from llamalite.model.checkpoint import load_model
    from llamalite.text.tokenizer import Tokenizer
    from llamalite.world import World

    artifact = stages[stage]
    model = load_model(artifact.path)
    model.eval()
    tokenizer = Tokenizer.load(artifact.file("tokenizer.model"))
    return World.load(stages["world"].file("world.json")), model, tokenizer
