"""The stage `sft`: fine-tune the base model on demonstrations. Llama 2, section 3.1."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.model.checkpoint import load_model, model_from_state, save_model
from llamalite.model.transformer import Transformer
from llamalite.resume import IndexedSteps, StreamData
from llamalite.sft.config import SFTConfig
from llamalite.sft.data import (
    Dialogue,
    Examples,
    Plan,
    Rejected,
    as_dialogues,
    count,
    encode_all,
    read_jsonl,
    write_rejected,
)
from llamalite.sft.module import SFTModule
from llamalite.text.packing import collate, make_row, pack
from llamalite.text.tokenizer import Tokenizer
from llamalite.training import fit

_HELD_OUT_PER_EPOCH = 4
"""How often the held-out loss is measured in an epoch, besides once before training."""


class Dataset(NamedTuple):
    """Demonstrations ready to learn from."""

    training: Examples
    held_out: Examples | None
    dropped: int
    """Dialogues longer than a row."""
    rejected: list[Rejected]
    """Rows of the user's file that are no dialogue."""


def run(config: SFTConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write config.json, model.safetensors, tokenizer.model, metrics.csv and held_out.json.

    Called again on a draft that was cut short, it goes on from the last resume state.
    """
    base = inputs["pretrain"].path
    tokenizer = Tokenizer.load(inputs["pretrain"].file("tokenizer.model"))
    model = load_model(base)
    _check(config, model, tokenizer)
    dialogues, rejected = read_dialogues(config, inputs["world"], seed)
    data = split(config, tokenizer, dialogues, rejected, seed)
    plan = Plan(
        data.training,
        epochs=config.epochs,
        length=config.sequence_length,
        batch_size=config.batch_size,
        seed=seed,
    )
    module, report = train(config, model, plan, data.held_out, draft)
    weights = parallel.full_weights(module.model)
    if not module.trainer.is_global_zero:
        return
    save_model(draft.path, model_from_state(model.config, weights, draft.path))
    tokenizer.save(draft.path / "tokenizer.model")
    points = [
        {"step": step, "epoch": round(config.epochs * step / plan.steps, 4), "loss": loss}
        for step, loss in sorted(module.held_out_losses.items())
    ]
    write_json(draft.path / "held_out.json", points)
    if rejected:
        write_rejected(draft.path / "rejected.jsonl", rejected)
    draft.metrics.update(report)
    draft.metrics.update(
        examples=len(data.training),
        learned_tokens=data.training.learned_tokens,
        padding=round(plan.padding, 4),
        dropped_too_long=data.dropped,
        rejected_rows=len(rejected),
    )
    if points:
        draft.metrics.update(
            held_out_loss_before=points[0]["loss"], held_out_loss=points[-1]["loss"]
        )


def train(
    config: SFTConfig, model: Transformer, plan: Plan, held_out: Examples | None, draft: Draft
) -> tuple[SFTModule, dict[str, float]]:
    """Fine-tune from the weights of `model`; the module, which holds the new ones, and a report."""
    length = config.sequence_length
    held_rows = list(pack(held_out, length)) if held_out else []
    size = min(config.batch_size, 32)
    held_rows += [make_row([], length)] * (-len(held_rows) % size)
    marks = _HELD_OUT_PER_EPOCH * config.epochs
    tokens = config.batch_size * length
    module = SFTModule(
        lambda: Transformer(model.config),
        config.optimizer,
        plan.steps,
        parallel=config.parallel,
        weights=model.state_dict(),
        step_flops=6.0 * model.config.n_parameters * tokens,
        held_out=[collate(held_rows[i : i + size]) for i in range(0, len(held_rows), size)],
        held_out_steps=[round(plan.steps * mark / marks) for mark in range(marks + 1)],
    )

    def stream(rank: int, world: int) -> IndexedSteps:
        return IndexedSteps(
            lambda step: plan.batch(step, rank, world, config.accumulation), plan.steps
        )

    data = StreamData(stream, count, plan.steps * config.accumulation)
    report = fit(
        module,
        data,
        work=draft.work,
        accumulation=config.accumulation,
        name="sft",
        metrics_file=draft.path / "metrics.csv",
    )
    return module, report


def read_dialogues(
    config: SFTConfig, world: Artifact, seed: int
) -> tuple[list[Dialogue], list[Rejected]]:
    """The demonstrations the config names, held-out ones included, and rows that are none."""
    if not config.data:
        return list(world_dialogues(config, world, seed)), []
    dialogues, rejected = read_jsonl(config.data)
    order = np.random.default_rng([seed, 1]).permutation(len(dialogues)).tolist()
    if config.examples:
        order = order[: config.examples + config.held_out]
    return [dialogues[i] for i in order], rejected


def world_dialogues(config: SFTConfig, world: Artifact, seed: int) -> Iterator[Dialogue]:
    """Demonstrations of the micro-world by the config's vendor, in a random order."""
    from llamalite.world import ADVERSARIAL, World, demonstrations

    known = World.load(world.file("world.json"))
    total = config.examples + config.held_out
    safety = round(total * config.safety_share)
    ordinary = demonstrations(known, config.vendor, total - safety, seed)
    adversarial = demonstrations(known, config.vendor, safety, seed, kinds=(ADVERSARIAL,))
    dialogues = list(as_dialogues(chain(ordinary, adversarial)))
    for i in np.random.default_rng([seed, 1]).permutation(len(dialogues)):
        yield dialogues[i]


def split(
    config: SFTConfig,
    tokenizer: Tokenizer,
    dialogues: list[Dialogue],
    rejected: list[Rejected],
    seed: int,
) -> Dataset:
    """Encode the dialogues; the last of them, a tenth at most, are held out."""
    kept = min(config.held_out, len(dialogues) // 10)
    length = config.sequence_length
    training, dropped = encode_all(tokenizer, dialogues[: len(dialogues) - kept], length)
    held_out = None
    if kept:
        held_out, more = encode_all(tokenizer, dialogues[-kept:], length)
        dropped += more
    return Dataset(training, held_out, dropped, rejected)


def _check(config: SFTConfig, model: Transformer, tokenizer: Tokenizer) -> None:
    if config.sequence_length > model.config.max_seq_len:
        raise ValueError(
            f"sequence_length {config.sequence_length} exceeds the model's max_seq_len "
            f"{model.config.max_seq_len}; shorten it to that"
        )
    if tokenizer.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} pieces and the model "
            f"{model.config.vocab_size}; they do not belong together"
        )
