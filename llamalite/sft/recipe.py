"""The stage `sft`: fine-tune the base model on demonstrations. Llama 2, section 3.1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.data_care import packaged
from llamalite.jsonl import Rejected, write_rejected
from llamalite.model.checkpoint import load_model, model_from_state, save_model
from llamalite.model.transformer import Transformer
from llamalite.resume import planned_data
from llamalite.sft.config import SFTConfig
from llamalite.sft.data import (
    Dialogue,
    Plan,
    as_dialogues,
    batches,
    count,
    encode_all,
    read_jsonl,
)
from llamalite.sft.module import SFTModule
from llamalite.text.chat import Encoded, encode_dialogue
from llamalite.text.files import learned_and_kept
from llamalite.text.tokenizer import Tokenizer
from llamalite.training import fit

_HELD_OUT_PER_EPOCH = 4
"""How often the held-out loss is measured in an epoch, besides once before training."""
_SHORT = 90
"""Characters of a question that is shown as an example, at most."""


class Demonstrations(NamedTuple):
    """What is learned from, what is kept from training, and rows of a file that are neither."""

    training: list[Dialogue]
    held_out: list[Dialogue]
    rejected: list[Rejected]


def run(config: SFTConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write config.json, model.safetensors, tokenizer.model, metrics.csv and held_out.json.

    Called again on a draft that was cut short, it goes on from the last resume state.
    """
    tokenizer = Tokenizer.load(inputs["pretrain"].file("tokenizer.model"))
    model = load_model(inputs["pretrain"].path)
    training, held_out, rejected = read_dialogues(config, inputs.get("world"), seed)
    module, report = finetune(
        config,
        model,
        tokenizer,
        training,
        held_out,
        seed,
        work=draft.work,
        metrics_file=draft.path / "metrics.csv",
    )
    assert module.model is not None, "it was trained"
    weights = parallel.full_weights(module.model)
    if not module.trainer.is_global_zero:
        return
    save_model(draft.path, model_from_state(model.config, weights, draft.path))
    tokenizer.save(draft.path / "tokenizer.model")
    write_json(draft.path / "held_out.json", report.pop("held_out"))
    if rejected:
        write_rejected(draft.path / "rejected.jsonl", rejected)
    draft.metrics.update(report, rejected_rows=len(rejected))


def finetune(
    config: SFTConfig,
    model: Transformer,
    tokenizer: Tokenizer,
    dialogues: Sequence[Dialogue],
    held_out: Sequence[Dialogue],
    seed: int,
    *,
    work: Path,
    metrics_file: Path | None = None,
    progress: bool = True,
    encode: Callable[[Tokenizer, Dialogue], Encoded] = encode_dialogue,
) -> tuple[SFTModule, dict[str, Any]]:
    """Fine-tune from the weights of `model`, which stays as it is.

    `encode` decides which of a dialogue's tokens are learned (all answers unless told). Returns the
    module, whose `model` has the new weights, and a report; its `held_out` is the course of the
    held-out loss. Raises ValueError when model, tokenizer and rows do not fit.
    """
    _check(config, model, tokenizer)
    length = config.sequence_length
    training, dropped = encode_all(tokenizer, dialogues, length, encode)
    if not training:
        raise ValueError(
            f"no demonstration is left: {dropped} of {len(dialogues)} are longer than "
            f"sequence_length {length}; give more data or raise sequence_length"
        )
    measured, more = encode_all(tokenizer, held_out, length, encode)
    plan = Plan(
        training,
        epochs=config.epochs,
        length=length,
        batch_size=config.batch_size,
        seed=seed,
    )
    marks = _HELD_OUT_PER_EPOCH * config.epochs
    module = SFTModule(
        lambda: Transformer(model.config),
        config.optimizer,
        plan.steps,
        parallel=config.parallel,
        weights=model.state_dict(),
        step_flops=6.0 * model.config.n_parameters * config.batch_size * length,
        seed=seed,
        held_out=batches(measured, length, min(config.batch_size, 32)),
        held_out_steps=[round(plan.steps * mark / marks) for mark in range(marks + 1)],
    )
    report: dict[str, Any] = fit(
        module,
        planned_data(plan, count, config.accumulation),
        work=work,
        accumulation=config.accumulation,
        name="sft",
        metrics_file=metrics_file,
        progress=progress,
    )
    points = module.points(config.epochs)
    report |= {
        "examples": len(training),
        "learned_tokens": training.learned_tokens,
        "padding": round(plan.padding, 4),
        "dropped_too_long": dropped + more,
        "held_out": points,
    }
    if points:
        report |= {"held_out_loss_before": points[0]["loss"], "held_out_loss": points[-1]["loss"]}
    return module, report


def read_dialogues(config: SFTConfig, world: Artifact | None, seed: int) -> Demonstrations:
    """The demonstrations the config names; ValueError for an unknown vendor or unusable file.

    The world is read only where the config names no data.
    """
    if not config.data:
        assert world is not None, "it is there where no other demonstrations are named"
        dialogues = list(world_dialogues(config, world, seed))
        return Demonstrations(dialogues[config.held_out :], dialogues[: config.held_out], [])
    groups, rejected = _own_dialogues(config.data)
    learned, kept = learned_and_kept(len(groups), config.held_out)
    order = np.random.default_rng([seed, 1]).permutation(learned).tolist()
    training, held_out = (
        [dialogue for i in some for dialogue in groups[i]]
        for some in (order[: config.examples or None], kept)
    )
    return Demonstrations(training, held_out, rejected)


def _own_dialogues(data: str) -> tuple[list[list[Dialogue]], list[Rejected]]:
    """Dialogues in groups that must stay on one side: each row of a file, all parts of one chat."""
    if not data.startswith(packaged.PACKAGED):
        read, rejected = read_jsonl(data)
        return [[dialogue] for dialogue in read], rejected
    if data != f"{packaged.PACKAGED}chats":
        raise ValueError(f"data is {data!r}; of packaged text only packaged:chats is chats")
    return [list(packaged.cut(chat)) for chat in packaged.chat_dialogues()], []


def questions_learned(sft: Artifact, world: Artifact, count: int) -> list[str]:
    """Short questions of one turn among those a fine-tuning has learned from, each of another kind.

    None where it learned from other data than the world's.
    """
    from llamalite.world import KINDS, World, demonstrations

    made = sft.manifest["config"]
    if made["data"]:
        return []
    delivered = demonstrations(
        World.load(world.file("world.json")),
        made["vendor"],
        made["held_out"] + made["examples"],
        sft.manifest["seed"],
        safety_share=made["safety_share"],
        borderline_share=made["borderline_share"],
    )
    found: dict[str, str] = {}
    for each in islice(delivered, made["held_out"], None):
        if len(found) == count:
            break
        first, *more = each.prompt.messages
        if not more and each.prompt.kind in KINDS and len(first["content"]) <= _SHORT:
            found.setdefault(each.prompt.kind, first["content"])
    return list(found.values())


def world_dialogues(config: SFTConfig, world: Artifact, seed: int) -> Iterator[Dialogue]:
    """What the config's vendor delivers: first the held-out demonstrations, then the others.

    A larger order begins with the same ones, and vendors are given the same prompts.
    """
    from llamalite.world import World, demonstrations

    return as_dialogues(
        demonstrations(
            World.load(world.file("world.json")),
            config.vendor,
            config.held_out + config.examples,
            seed,
            safety_share=config.safety_share,
            borderline_share=config.borderline_share,
        )
    )


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
