"""The stage `safety`: context distillation into the chat model. Llama 2, section 4.2.4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.model.checkpoint import load_model, model_from_state, save_model
from llamalite.model.transformer import Transformer
from llamalite.processes import ALL, Share
from llamalite.prompt_mix import mixed_prompts
from llamalite.protocols import Prompt, PromptSet, Reward
from llamalite.rejection_sampling.candidates import Candidate, read_candidates, write_candidates
from llamalite.rejection_sampling.sample import sample_candidates
from llamalite.rejection_sampling.select import usable
from llamalite.reward.scorer import RewardScorer
from llamalite.safety.config import SafetyConfig
from llamalite.safety.distillation import (
    Distilled,
    draw_answers,
    pass_gate,
    read_distilled,
    score_answers,
    write_distilled,
)
from llamalite.safety.summary import summarise
from llamalite.sft.recipe import finetune
from llamalite.text.tokenizer import Tokenizer

DISTILLED, REPLAY, FIGURES = "distilled.parquet", "replay.parquet", "distillation.json"


def run(
    config: SafetyConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    *,
    reward: Reward | None = None,
) -> None:
    """Write distilled.parquet, replay.parquet, distillation.json and the tuned chat model.

    Inputs: `world`; `policy`, the chat model that answers and is tuned on; and `reward`, whose
    safety model is the gate (or any other scorer, `reward`). Called again on a draft that was cut
    short, it goes on: finished parts stand in the draft. Several processes (`tuning.parallel`) draw
    and score parts of their own, and tune together; what is drawn does not depend on them.
    """
    prompts = open_world(inputs["world"])
    policy = inputs["policy"]
    share = Share.among(config.tuning.parallel.processes)
    tokenizer = Tokenizer.load(policy.file("tokenizer.model"))
    asked = mixed_prompts(
        prompts,
        config.prompts,
        safety_share=1 - config.harmless_share,
        borderline_share=0.0,
        first=config.first_prompt,
    )
    gate = inputs.get("reward")
    rows = distil(config, asked, policy, gate, draft, seed, tokenizer, reward, share)
    kept = sum(row.kept for row in rows)
    replayed = replay(config, prompts, policy, draft, seed, tokenizer, kept, share)
    found = summarise(rows, config.resamples)
    if share.leads:
        write_json(draft.path / FIGURES, found)
    report = tune(config, load_model(policy.path), tokenizer, rows, replayed, draft, seed)
    if report is None:  # a process that only helps
        return
    draft.metrics.update(
        report,
        prompts=len(rows),
        kept=found["kept"]["mean"],
        outcomes=found["outcomes"],
        replayed=len(replayed),
        **{f"median_{kind}": each["median"] for kind, each in found["answers"].items()},
    )


def open_world(world: Artifact) -> PromptSet:
    """The micro-world's prompts."""
    from llamalite.world import World

    return World.load(world.file("world.json"))


def distil(
    config: SafetyConfig,
    asked: Sequence[Prompt],
    policy: Artifact,
    reward: Artifact | None,
    draft: Draft,
    seed: int,
    tokenizer: Tokenizer,
    scorer: Reward | None = None,
    share: Share = ALL,
    *,
    may_be_none: bool = False,
) -> list[Distilled]:
    """All answers to the prompts, drawn and scored in parts, and what the gate keeps of them.

    Raises ValueError when there is no reward model, or nothing is left to learn from, unless it
    `may_be_none`.
    """
    path = draft.path / DISTILLED
    if not path.exists() and scorer is None and reward is None:
        raise ValueError("no reward model was given; run the stage reward first")
    device = parallel.pick_device(config.tuning.parallel)
    firsts = range(0, len(asked), config.prompts_at_once)
    parts = [draft.work / f"scored-{first:08d}.parquet" for first in firsts]

    @cache
    def models() -> tuple[Transformer, Reward]:
        gate = scorer or RewardScorer.load(reward.path / "safety", tokenizer, device)  # type: ignore[union-attr]
        return load_model(policy.path, device).eval(), gate

    def make(number: int) -> None:
        model, gate = models()
        first = firsts[number]
        mine = asked[first : first + config.prompts_at_once]
        drawn = draw_answers(
            model,
            tokenizer,
            mine,
            range(first, first + len(mine)),
            config,
            seed=int(np.random.SeedSequence([seed, 33, first]).generate_state(1)[0]),
            fingerprint=policy.fingerprint,
        )
        write_candidates(parts[number], score_answers(gate, drawn, config.score_batch))

    def join() -> None:
        scored = [candidate for part in parts for candidate in read_candidates(part)]
        write_distilled(path, pass_gate(asked, range(len(asked)), scored, config))

    share.gather(path, parts, make, join)
    rows = read_distilled(path)
    if not may_be_none and not any(row.kept for row in rows):
        cut = sum(row.outcome == "unusable" for row in rows)
        raise ValueError(
            f"none of {len(rows)} distilled answers can be learned from ({cut} are empty or were "
            f"cut at {config.max_new_tokens} tokens, the others score no better than the "
            "originals); raise prompts or max_new_tokens, or set gate to none"
        )
    return rows


def replay(
    config: SafetyConfig,
    prompts: PromptSet,
    policy: Artifact,
    draft: Draft,
    seed: int,
    tokenizer: Tokenizer,
    learned: int,
    share: Share = ALL,
) -> list[Candidate]:
    """The chat model's own usable answers to harmless prompts, `config.replay` for each of
    `learned` distilled ones, drawn in parts."""
    path = draft.path / REPLAY
    asked: list[Prompt] = mixed_prompts(
        prompts,
        math.ceil(config.replay * learned),
        safety_share=0.0,
        borderline_share=config.replay_borderline_share,
        first=config.first_prompt + config.prompts,  # distilled harmless ones are others
    )
    firsts = range(0, len(asked), config.prompts_at_once)
    parts = [draft.work / f"replay-{first:08d}.parquet" for first in firsts]

    @cache
    def model() -> Transformer:
        return load_model(policy.path, parallel.pick_device(config.tuning.parallel)).eval()

    def make(number: int) -> None:
        first = firsts[number]
        found = sample_candidates(
            model(),
            tokenizer,
            asked[first : first + config.prompts_at_once],
            n=1,
            temperatures=(config.temperature,),
            max_new_tokens=config.max_new_tokens,
            top_p=config.top_p,
            seed=int(np.random.SeedSequence([seed, 34, first]).generate_state(1)[0]),
            version="replay",
            fingerprint=policy.fingerprint,
        )
        write_candidates(parts[number], found)

    def join() -> None:
        drawn = [candidate for part in parts for candidate in read_candidates(part)]
        write_candidates(path, [candidate for candidate in drawn if usable(candidate)])

    share.gather(path, parts, make, join)
    return read_candidates(path)


def tune(
    config: SafetyConfig,
    policy: Transformer,
    tokenizer: Tokenizer,
    rows: Sequence[Distilled],
    replayed: Sequence[Candidate],
    draft: Draft,
    seed: int,
) -> dict[str, Any] | None:
    """Tune the chat model on what was kept, without preprompts, and on the replay; a report.

    A tenth of the dialogues, at most the config's `tuning.held_out`, only serves the held-out loss.
    None in processes other than the first.
    """
    dialogues = [row.dialogue for row in rows if row.kept]
    dialogues += [candidate.dialogue for candidate in replayed]
    order = np.random.default_rng([seed, 35]).permutation(len(dialogues)).tolist()
    kept = min(config.tuning.held_out, len(dialogues) // 10)
    shuffled = [dialogues[i] for i in order]
    module, report = finetune(
        config.tuning,
        policy,
        tokenizer,
        shuffled[kept:],
        shuffled[:kept],
        seed,
        work=draft.work / "tuning",
        metrics_file=draft.path / "metrics.csv",
    )
    assert module.model is not None, "it was trained"
    weights = parallel.full_weights(module.model)
    if not module.trainer.is_global_zero:
        return None
    save_model(draft.path, model_from_state(policy.config, weights, draft.path))
    tokenizer.save(draft.path / "tokenizer.model")
    write_json(draft.path / "held_out.json", report.pop("held_out"))
    return report
