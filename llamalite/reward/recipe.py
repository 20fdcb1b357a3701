"""The stage `reward`: two reward models from one chat model. Llama 2, section 3.2.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.utilities import rank_zero_only

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.model.checkpoint import load_model, read_json
from llamalite.model.transformer import Transformer
from llamalite.preferences.protocol import GUIDELINES
from llamalite.resume import planned_data
from llamalite.reward.calibration import calibrate
from llamalite.reward.config import RewardConfig
from llamalite.reward.data import (
    Losses,
    Pair,
    PairPlan,
    collate_pairs,
    composition,
    count,
    encode_pairs,
    helpfulness_mix,
    safety_mix,
    split_off,
)
from llamalite.reward.files import read_collections, read_open_sets, write_rejected
from llamalite.reward.metrics import measure, score_pairs, unsafe_replies
from llamalite.reward.model import RewardModel, reward_from_state, save_reward_model
from llamalite.reward.module import RewardModule
from llamalite.reward.rows import Encoder
from llamalite.reward.scorer import RewardScorer
from llamalite.text.tokenizer import Tokenizer
from llamalite.training import fit

_MARKS = 8
"""How often the held-out pairs are measured in a run, besides once before training."""
_REPORT = "report.json"


class Mixes(NamedTuple):
    """What each model learns, and what watches it; by guideline."""

    training: dict[str, list[Pair]]
    held_out: dict[str, list[Pair]]


def make_mixes(
    config: RewardConfig, own: Sequence[Pair], open_sets: Sequence[Pair], seed: int
) -> Mixes:
    """Split held-out pairs off the annotators' own, and mix the rest with the open sets'."""
    kept: dict[str, list[Pair]] = {}
    held_out: dict[str, list[Pair]] = {}
    others: dict[str, list[Pair]] = {}
    for place, name in enumerate(GUIDELINES):
        of_guideline = [pair for pair in own if pair.guideline == place]
        kept[name], held_out[name] = split_off(of_guideline, config.held_out_share, seed)
        others[name] = [pair for pair in open_sets if pair.guideline == place]
        if not kept[name]:
            raise ValueError(
                f"there are no {name} comparisons to train the {name} model; collect some"
            )
    rest = [*kept["safety"], *others["helpfulness"], *others["safety"]]
    helpful = [*kept["helpfulness"], *others["helpfulness"]]
    return Mixes(
        {
            "helpfulness": helpfulness_mix(
                kept["helpfulness"], rest, config.rest_per_helpfulness, seed
            ),
            "safety": safety_mix(
                [*kept["safety"], *others["safety"]], helpful, config.helpfulness_share, seed
            ),
        },
        held_out,
    )


def train(
    config: RewardConfig,
    name: str,
    chat: Transformer,
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    seed: int,
    *,
    work: Path,
    metrics_file: Path | None = None,
    progress: bool = True,
) -> tuple[RewardModule, dict[str, Any]]:
    """Train the reward model `name` from the weights of `chat`, which stays as it is.

    Returns the module, whose `model` has the weights, and a report; its `held_out` is the course of
    the held-out loss and accuracy. Called again with what an interrupted call left in `work`, it
    goes on from there.
    """
    safety = name == "safety"
    losses = Losses(
        config.safety_margin if safety else config.margin,
        config.auxiliary_weight if safety else 0.0,
    )
    length = config.sequence_length
    plan = PairPlan(
        pairs,
        losses,
        epochs=config.epochs,
        length=length,
        batch_size=config.batch_size,
        seed=seed,
    )
    at_once = max(1, min(64, config.batch_size))
    module = RewardModule(
        lambda: RewardModel(chat.config),
        config.optimizer,
        plan.steps,
        parallel=config.parallel,
        weights=RewardModel.from_chat(chat, seed).state_dict(),
        seed=seed,
        held_out=[
            collate_pairs(held_out[i : i + at_once], losses, length)
            for i in range(0, len(held_out), at_once)
        ],
        held_out_steps=[round(plan.steps * mark / _MARKS) for mark in range(_MARKS + 1)],
    )
    report: dict[str, Any] = fit(
        module,
        planned_data(plan, count, config.accumulation),
        work=work,
        accumulation=config.accumulation,
        name=f"{name} reward",
        metrics_file=metrics_file,
        progress=progress,
    )
    return module, report | {
        "learned": composition(pairs),
        "held_out": module.points(config.epochs),
    }


def run(
    config: RewardConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    *,
    progress: bool = True,
) -> None:
    """Write helpfulness/ and safety/, two reward models, and what they are worth as test.json.

    Inputs: `chat`, the chat model they begin with, and any number of finished collections whose
    names begin with `preferences`. Called again on a draft that was cut short, it goes on from the
    last resume state; a model that is done is not trained again.
    """
    chat = load_model(inputs["chat"].path)
    tokenizer = Tokenizer.load(inputs["chat"].file("tokenizer.model"))
    check(config, chat, tokenizer)
    read = read_collections([inputs[k] for k in sorted(inputs) if k.startswith("preferences")])
    others = read_open_sets(config)
    encoder = Encoder(tokenizer, config.sequence_length)
    own, open_sets = encode_pairs(encoder, read.training), encode_pairs(encoder, others.training)
    tested = encode_pairs(encoder, read.test)
    mixes = make_mixes(config, own.pairs, open_sets.pairs, seed)
    first = True
    for name in GUIDELINES:
        first = learn(config, name, chat, tokenizer, mixes, seed, draft, progress=progress)
    if not first:
        return
    reports = {name: read_json(draft.work / name / _REPORT) for name in GUIDELINES}
    course = {name: report.pop("held_out") for name, report in reports.items()}
    write_json(draft.path / "held_out.json", course)
    results = evaluate(draft.path, tested.pairs, mixes)
    write_json(draft.path / "test.json", results)
    rejected = read.rejected + others.rejected
    unusable = [row for each in (own, open_sets, tested) for row in each.unusable]
    if rejected or unusable:
        write_rejected(draft.path / "rejected.jsonl", rejected, unusable)
    draft.metrics.update(
        {
            f"{name}_{key}": value
            for name, report in reports.items()
            for key, value in report.items()
        }
        | headline(results)
        | own.report
        | {"open_pairs": len(open_sets.pairs), "test_pairs": len(tested.pairs)}
        | {"rejected_rows": len(rejected), "unusable_comparisons": len(unusable)}
    )


def learn(
    config: RewardConfig,
    name: str,
    chat: Transformer,
    tokenizer: Tokenizer,
    mixes: Mixes,
    seed: int,
    draft: Draft,
    *,
    progress: bool = True,
) -> bool:
    """Train a model, calibrate it and write its folder, unless that is done; False in all but the
    first process.

    The report, written last, says that it is done.
    """
    work = draft.work / name
    if (work / _REPORT).exists():
        return rank_zero_only.rank == 0
    module, report = train(
        config,
        name,
        chat,
        mixes.training[name],
        mixes.held_out[name],
        seed,
        work=work,
        metrics_file=draft.path / f"{name}.csv",
        progress=progress,
    )
    weights = parallel.full_weights(module.model)
    if not module.trainer.is_global_zero:
        return False
    model = reward_from_state(RewardModel(chat.config).config, weights, f"the {name} model")
    if name == "safety" and config.calibration_precision:
        report["bias_moved"] = move_bias(config, model, tokenizer, mixes.held_out[name])
    save_reward_model(draft.path / name, model, tokenizer, name)
    write_json(work / _REPORT, report)
    return True


def move_bias(
    config: RewardConfig, model: RewardModel, tokenizer: Tokenizer, held_out: Sequence[Pair]
) -> float | None:
    """Calibrate the safety model on held-out pairs; what was added to its bias.

    None, and nothing is moved, where these are not of both kinds: too few to say.
    """
    scorer = RewardScorer(model, tokenizer, config.sequence_length)
    scores, unsafe = unsafe_replies(score_pairs(scorer, held_out))
    if unsafe.all() or not unsafe.any():
        return None
    shift = calibrate(scores, unsafe, config.threshold, config.calibration_precision)
    with torch.no_grad():
        model.head.bias.add_(shift)
    return shift


def evaluate(folder: Path, test: Sequence[Pair], mixes: Mixes) -> dict[str, Any]:
    """Both models on the test comparisons of both guidelines (table 8), or on the held-out ones."""
    pairs = list(test) or [pair for name in GUIDELINES for pair in mixes.held_out[name]]
    results: dict[str, Any] = {"set": "test" if test else "held out", "models": {}}
    for name in GUIDELINES:
        scorer = RewardScorer.load(folder / name)
        results["models"][name] = measure(score_pairs(scorer, pairs))
    return results


def headline(results: Mapping[str, Any]) -> dict[str, float | None]:
    """Accuracy of each model on its own comparisons, all and by rating; None where none are."""
    found: dict[str, float | None] = {}
    for name, by_guideline in results["models"].items():
        own = by_guideline.get(name)
        rows = {"accuracy": own["accuracy"], **own["by_rating"]} if own else {}
        found |= {f"{name}_{key}": row["mean"] for key, row in rows.items()}
    return found


def check(config: RewardConfig, chat: Transformer, tokenizer: Tokenizer) -> None:
    """ValueError when chat model, tokenizer and rows do not fit."""
    if config.sequence_length > chat.config.max_seq_len:
        raise ValueError(
            f"sequence_length {config.sequence_length} exceeds the model's max_seq_len "
            f"{chat.config.max_seq_len}; shorten it to that"
        )
    if tokenizer.vocab_size != chat.config.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} pieces and the chat model "
            f"{chat.config.vocab_size}; they do not belong together"
        )
