"""The stage `ghost_attention`: make instructions hold through a dialogue. Llama 2, section 3.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.ghost_attention.attention import Spans, attention_by_turn, attention_map, spans
from llamalite.ghost_attention.config import GhostAttentionConfig
from llamalite.ghost_attention.consistency import Shown, summarise
from llamalite.ghost_attention.data import (
    encode_last_reply,
    measured_scripts,
    read_dialogues,
    split_names,
    training_dialogues,
    training_scripts,
    write_dialogues,
)
from llamalite.ghost_attention.sample import write_replies, write_training_answers
from llamalite.ghost_attention.writing import PLAIN, Script, Written, learned_dialogue
from llamalite.model.checkpoint import load_model, model_from_state, read_json, save_model
from llamalite.model.compiled import sampling_decoder
from llamalite.model.transformer import Transformer
from llamalite.processes import Share
from llamalite.progress import pieces
from llamalite.protocols import InstructionSet, PromptSet
from llamalite.sft.recipe import finetune
from llamalite.text.tokenizer import Tokenizer

DIALOGUES, CONSISTENCY, ATTENTION = "dialogues.parquet", "consistency.json", "attention.json"
BEFORE, AFTER = "before", "after"


def run(config: GhostAttentionConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write the dialogues, the tuned model, consistency.json and attention.json.

    Inputs: `world`, and `policy`, the newest chat model, which writes the answers and is tuned on
    them (the paper applies it after RLHF V3). Resumes after any kill: parts that are finished
    stand in the draft. Several processes (`tuning.parallel`) write dialogues and replies of their
    own and tune together; what is written does not depend on how many there are.
    """
    share = Share.among(config.tuning.parallel.processes)
    instructions, prompts = open_world(inputs["world"])
    tokenizer = Tokenizer.load(inputs["policy"].file("tokenizer.model"))
    names = split_names(instructions, config, seed)
    policy = load_model(inputs["policy"].path)
    written = make_dialogues(
        config, instructions, prompts, names["trained"], policy, tokenizer, draft, seed, share
    )
    draft.metrics.update(tune(config, policy, tokenizer, written, draft, seed, share))
    device = parallel.pick_device(config.tuning.parallel)
    models = {
        BEFORE: longer(policy, config.sequence_length).to(device).eval(),
        AFTER: load_model(draft.path, device).eval(),
    }
    replies = measure(config, instructions, prompts, names, models, tokenizer, draft, seed, share)
    if share.leads:
        draw_attention(config, models, tokenizer, replies, draft)


def open_world(world: Artifact) -> tuple[InstructionSet, PromptSet]:
    """The micro-world's instructions and prompts."""
    from llamalite.world import World
    from llamalite.world.instructions import Instructions

    opened = World.load(world.file("world.json"))
    return Instructions(opened), opened


def longer(model: Transformer, length: int) -> Transformer:
    """The same weights with a context of at least `length` tokens.

    Rotary positions have no table of learned vectors, so weights fit any context; what lies beyond
    the old one has to be learned (section 3.3: GAtt worked beyond the pretraining's 2048).
    """
    config = replace(model.config, max_seq_len=max(length, model.config.max_seq_len))
    return model_from_state(config, model.state_dict(), Path("the chat model"))


def make_dialogues(
    config: GhostAttentionConfig,
    instructions: InstructionSet,
    prompts: PromptSet,
    names: dict[str, tuple[str, ...]],
    policy: Transformer,
    tokenizer: Tokenizer,
    draft: Draft,
    seed: int,
    share: Share,
) -> list[Written]:
    """All dialogues, written in parts; a finished part stands in the draft and is not made again.

    Raises ValueError when the chat model gave no usable answer to any question.
    """
    path = draft.path / DIALOGUES
    scripts = training_scripts(instructions, prompts, names, config, seed)
    firsts = range(0, len(scripts), config.dialogues_at_once)
    parts = [draft.work / f"dialogues-{first:08d}.parquet" for first in firsts]

    def make(number: int) -> None:
        first = firsts[number]
        mine = scripts[first : first + config.dialogues_at_once]
        dice = int(np.random.SeedSequence([seed, 20, first]).generate_state(1)[0])
        machine = config.tuning.parallel
        model = policy.to(parallel.pick_device(machine)).eval()
        tokens = config.dialogues * config.turns * config.max_new_tokens
        decoder = sampling_decoder(model, machine.compile, tokens)
        found = write_training_answers(decoder, tokenizer, mine, config, dice)
        write_dialogues(parts[number], found)

    def join() -> None:
        write_dialogues(path, [each for part in parts for each in read_dialogues(part)])

    share.gather(path, parts, make, join)
    written = read_dialogues(path)
    if not any(each.turns for each in written):
        raise ValueError(
            f"none of {sum(each.left_out for each in written)} questions got an answer that can be "
            f"learned from in {config.answers} attempts of {config.max_new_tokens} tokens; raise "
            "answers or max_new_tokens, or give a tuned chat model"
        )
    return written


def tune(
    config: GhostAttentionConfig,
    policy: Transformer,
    tokenizer: Tokenizer,
    written: Sequence[Written],
    draft: Draft,
    seed: int,
    share: Share,
) -> dict[str, Any]:
    """Tune the chat model on the dialogues' last answers and write it; a report.

    A tenth of the dialogues, at most the config's `tuning.held_out`, only serves the held-out loss.
    """
    order = np.random.default_rng([seed, 26]).permutation(len(written)).tolist()
    kept = min(config.tuning.held_out, len(written) // 10)
    held_out = training_dialogues([written[i] for i in order[:kept]], tokenizer, config, seed + 1)
    training = training_dialogues([written[i] for i in order[kept:]], tokenizer, config, seed)
    done = draft.work / "tuned.json"
    if done.exists():  # killed while it was measured
        return read_json(done)
    module, report = finetune(
        config.tuning,
        longer(policy.cpu(), config.sequence_length),
        tokenizer,
        training,
        held_out[: max(1, config.tuning.held_out)] if kept else [],
        seed,
        work=draft.work / "tuning",
        metrics_file=draft.path / "metrics.csv",
        encode=encode_last_reply,
    )
    weights = parallel.full_weights(module.model)
    if not share.leads:
        share.wait_for([done])  # the model stands
        return read_json(done)
    assert module.model is not None, "it was trained"
    save_model(draft.path, model_from_state(module.model.config, weights, draft.path))
    tokenizer.save(draft.path / "tokenizer.model")
    write_json(draft.path / "held_out.json", report.pop("held_out"))
    asked = sum(len(each.turns) + each.left_out for each in written)
    report |= {
        "dialogues": len(written),
        "plain_dialogues": sum(each.kind == PLAIN for each in written),
        "questions_left_out": sum(each.left_out for each in written) / max(1, asked),
    }
    write_json(done, report)
    return report


def measure(
    config: GhostAttentionConfig,
    instructions: InstructionSet,
    prompts: PromptSet,
    names: Mapping[str, dict[str, tuple[str, ...]]],
    models: Mapping[str, Transformer],
    tokenizer: Tokenizer,
    draft: Draft,
    seed: int,
    share: Share,
) -> list[tuple[Script, list[str]]]:
    """Write consistency.json; returns the tuned model's dialogues with trained instructions.

    The first process does; the others only write their share of the replies.

    Before the tuning, turns beyond the chat model's own context are read at distances it has never
    seen; what is lost earlier is lost for other reasons.

    Groups: instructions `trained` on, `held_out` of the tuning (but known to the chat model), and
    `plain` dialogues, where nothing should show.
    """
    groups: dict[str, dict[str, tuple[str, ...]]] = {**names, PLAIN: {}}
    scripts = {
        group: measured_scripts(instructions, prompts, mine, config)
        for group, mine in groups.items()
        if group == PLAIN or any(mine.values())  # perhaps no name was held out
    }
    parts = {
        (label, group): draft.work / f"replies-{label}-{group}.json"
        for label in models
        for group in scripts
    }
    for label, group in pieces(share.own(list(parts)), "measured group"):
        if not parts[label, group].exists():
            dice = int(np.random.SeedSequence([seed, 27]).generate_state(1)[0])
            tokens = len(parts) * config.measured_dialogues * config.measured_turns
            tokens *= config.max_new_tokens
            decoder = sampling_decoder(models[label], config.tuning.parallel.compile, tokens)
            found = write_replies(decoder, tokenizer, scripts[group], config, dice)
            write_json(parts[label, group], {"replies": found})
    if not share.leads:
        return []
    share.wait_for(parts.values())
    out: dict[str, Any] = {"names": names, "models": {each: {} for each in models}, "samples": []}
    kept: list[tuple[Script, list[str]]] = []
    for (label, group), part in parts.items():
        replies = read_json(part)["replies"]
        out["models"][label][group] = summarise(
            instructions.shown, scripts[group], replies, config.resamples
        )
        first = _sample(instructions.shown, label, group, scripts[group][0], replies[0])
        out["samples"].append(first)
        if label == AFTER and group == "trained":
            kept = list(zip(scripts[group], replies, strict=True))
    write_json(draft.path / CONSISTENCY, out)
    draft.metrics.update(headline(out["models"]))
    return kept


def headline(models: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers a person asks for first; None for what was not measured."""
    out: dict[str, float | None] = {}
    for label, groups in models.items():
        for group, found in groups.items():
            if found["kept"]:
                out[f"kept_{group}_{label}"] = found["kept"]["over_turns"]["mean"]
                out[f"kept_{group}_last_turn_{label}"] = found["kept"]["by_turn"][-1]["mean"]
            else:
                out[f"spurious_{label}"] = found["spurious"]["over_turns"]["mean"]
    return out


def draw_attention(
    config: GhostAttentionConfig,
    models: Mapping[str, Transformer],
    tokenizer: Tokenizer,
    replies: Sequence[tuple[Script, list[str]]],
    draft: Draft,
) -> None:
    """Write attention.json: both models read the same dialogues, those of the tuned model."""
    found: list[Spans] = []
    shown: list[str] = []
    for script, mine in replies[: config.attention_dialogues]:
        assert script.instruction is not None, "trained instructions"
        turns = list(zip(script.questions[: len(mine)], mine, strict=True))
        found.append(spans(tokenizer, learned_dialogue(script.instruction.text, turns)))
        shown.append(script.instruction.text)
    first = found[0]
    start = first.instruction.start
    out = {
        "by_turn": {
            label: attention_by_turn(model, found, config.resamples)
            for label, model in models.items()
        },
        "map": {
            "bin": config.attention_bin,
            "instruction": shown[0],
            "instruction_tokens": len(first.instruction),  # the map begins with them
            "turn_starts": [max(0, turn - start) for turn in first.turns],
            "tokens": len(first.ids) - start,
            "models": {
                label: attention_map(model, first, config.attention_bin)
                for label, model in models.items()
            },
        },
    }
    write_json(draft.path / ATTENTION, out)


def _sample(
    shown: Shown, label: str, group: str, script: Script, replies: Sequence[str]
) -> dict[str, Any]:
    """A group's first dialogue, nothing chosen by eye."""
    turns = [
        {"question": question, "reply": reply, "shows": sorted(shown(reply))}
        for question, reply in zip(script.questions, replies, strict=False)
    ]
    said = script.instruction.text if script.instruction else ""
    return {"model": label, "group": group, "instruction": said, "turns": turns}
