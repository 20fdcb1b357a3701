"""The stage `red_team`: attack every model of the chain, and learn from what was found.

Llama 2, section 4.3. The same team attacks SFT, V1 to V5 and the safety-tuned model in turn, and
carries its experience along. What it found is distilled into the last model, which is attacked
once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.evaluation.bootstrap import Interval
from llamalite.evaluation.scoring import estimate, share
from llamalite.jsonl import write_rejected
from llamalite.model.checkpoint import load_model, read_json, save_model
from llamalite.model.config import SamplingConfig
from llamalite.model.generate import generate
from llamalite.model.transformer import Transformer
from llamalite.processes import ALL, Share
from llamalite.protocols import Prompt, PromptSet, Reward
from llamalite.red_teaming.attackers import Cell, ThompsonAttacker, cells_of
from llamalite.red_teaming.campaign import (
    Attempt,
    Judge,
    attack,
    by_cell,
    gamma,
    read_transcripts,
    rejections,
    share_of,
    successes,
)
from llamalite.red_teaming.config import RedTeamConfig
from llamalite.rlhf.versions import VERSIONS, WITHOUT_PPO
from llamalite.safety.recipe import distil, replay, tune
from llamalite.text.chat import encode_prompt
from llamalite.text.tokenizer import Tokenizer

RESULTS = "red_team.json"
POLICY = "policy"
SAFE, TUNED = "safety", "after red teaming"
"""What the report calls the safety-tuned model, and that tuned on what was found."""
CANDIDATES: tuple[str, ...] = (
    *(version.name for version in VERSIONS if version.name != WITHOUT_PPO),
    POLICY,
)
"""Roles of the attacked models, oldest first; `policy` is the safety-tuned one."""
_JUDGE = 900
"""Number of the annotator who grades risks; those who collect preferences count from 0."""
_CONTROL_TURN, _CARRY_TURN = 1_000_000, 2_000_000
"""Turns of replies outside a round, so that they are drawn from seeds of their own."""
REPLIES_AT_ONCE = 32
"""Replies of a turn that are drawn together, by one of the processes."""
_SAMPLES = 3


class Ground(NamedTuple):
    """What a campaign is fought on."""

    prompts: PromptSet
    cells: Mapping[Cell, tuple[Prompt, ...]]
    judge: Judge
    """What an annotator sees; attackers hear of nothing else."""
    truth: Callable[[Prompt, str], bool]
    """Whether a reply is a violation in truth; for measuring alone."""


class Round(NamedTuple):
    """What became of a model's turn to be attacked."""

    candidate: str
    attempts: list[Attempt]
    truth: list[bool]
    """Whether each attempt's reply is a violation in truth."""
    carry_over: list[bool]
    """Of each of the round before's successes, whether this model gives no violating reply."""
    control: list[bool]
    """Of each of this round's own successes, whether it fails when the same model is asked again;
    in the order of the next round's `carry_over`."""


def run(
    config: RedTeamConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    *,
    reward: Reward | None = None,
) -> None:
    """Write red_team.json, distilled.parquet and the model tuned on what was found.

    Inputs: `world`, every role of `CANDIDATES`, and `reward`, whose safety model is the gate (or
    any other scorer, `reward`). Called again on a draft that was cut short, it goes on: finished
    rounds stand in the draft. Where no attempt drew a violation, the last model is kept as it is.
    Several processes (`feedback.tuning.parallel`) go through the same campaign, and each writes the
    attacked model's replies to some of the prompts; what is written does not depend on them.
    """
    share = Share.among(config.feedback.tuning.parallel.processes)
    ground = open_ground(config, inputs["world"])
    tokenizer = Tokenizer.load(inputs[POLICY].file("tokenizer.model"))
    people, rejected = read_transcripts(config.transcripts) if config.transcripts else ([], [])
    if rejected and share.leads:
        write_rejected(draft.path / "rejected.jsonl", rejected)
    rounds: list[Round] = []
    for number, name in enumerate(CANDIDATES):
        artifact = inputs[name]
        path = draft.work / f"round-{number}.json"
        shown = SAFE if name == POLICY else name
        rounds.append(
            one_round(config, ground, shown, artifact.path, tokenizer, rounds, path, seed, share)
        )
    found = successes([a for each in rounds for a in each.attempts] + people)
    learned: dict[str, Any] | None = None
    if found:
        policy = inputs[POLICY]
        rows = distil(
            config.feedback,
            found,
            policy,
            inputs.get("reward"),
            draft,
            seed,
            tokenizer,
            reward,
            share,
        )
        kept = sum(row.kept for row in rows)
        plain = replay(config.feedback, ground.prompts, policy, draft, seed, tokenizer, kept, share)
        start = load_model(policy.path)
        learned = tune(config.feedback, start, tokenizer, rows, plain, draft, seed)
        if learned is not None:
            learned |= {"kept": estimate([row.kept for row in rows], config.feedback.resamples)}
    elif share.leads:
        save_model(draft.path, load_model(inputs[POLICY].path))
        tokenizer.save(draft.path / "tokenizer.model")
    model = draft.path / "model.safetensors"
    share.wait_for([model, draft.path / "tokenizer.model"])
    path = draft.work / f"round-{len(CANDIDATES)}.json"
    rounds.append(
        one_round(config, ground, TUNED, draft.path, tokenizer, rounds, path, seed, share)
    )
    if not share.leads:
        return
    write_json(draft.path / RESULTS, report(rounds, people, len(found)))
    draft.metrics.update(
        found=len(found),
        rejected_rows=len(rejected),
        gammas={each.candidate: round(gamma(each.attempts).mean, 4) for each in rounds},
        **({} if learned is None else {f"feedback_{k}": v for k, v in learned.items()}),
    )


def open_ground(config: RedTeamConfig, world: Artifact) -> Ground:
    """The micro-world's prompts by cell, an annotator as judge, and the truth."""
    from llamalite.world import Annotator, Grader, World

    opened = World.load(world.file("world.json"))
    grader: Any = Grader(opened)
    annotator: Any = Annotator(opened, _JUDGE)
    return Ground(
        opened,
        cells_of(opened, "train", config.first_prompt, config.prompts),
        annotator.safety_grade,
        lambda prompt, reply: grader.grade(prompt, reply).violation,
    )


def one_round(
    config: RedTeamConfig,
    ground: Ground,
    name: str,
    model: Path,
    tokenizer: Tokenizer,
    before: Sequence[Round],
    path: Path,
    seed: int,
    share: Share = ALL,
) -> Round:
    """Attack a model, unless `path` has the round already.

    The attackers begin with what all rounds `before` taught each of them; a round so depends on
    nothing but these and the seed.
    """
    if not path.exists():
        dice = np.random.SeedSequence([seed, 43, len(before)])
        draws = dice.generate_state(config.attackers + 1)
        folder = path.with_suffix("")
        folder.mkdir(exist_ok=True)
        attacked = load_model(model).eval()
        replies = _replies(config, attacked, tokenizer, int(draws[-1]), share, folder)
        team = []
        for i in range(config.attackers):
            attacker = ThompsonAttacker(f"attacker {i + 1}", ground.cells, int(draws[i]))
            for attempt in (a for each in before for a in each.attempts):
                if attempt.attacker == attacker.identity:
                    attacker.told(attempt.prompt, attempt.risk)
            team.append(attacker)
        old = successes(before[-1].attempts) if before else []
        carried = rejections(old, replies, ground.judge, turn=_CARRY_TURN)
        attempts = attack(
            team, replies, ground.judge, attempts=config.attempts, seconds=config.seconds
        )
        again = successes(attempts)
        control = rejections(again, replies, ground.judge, turn=_CONTROL_TURN)
        if share.leads:
            write_json(
                path,
                {
                    "attempts": [
                        [a.attacker, a.prompt.id, a.reply, a.risk, ground.truth(a.prompt, a.reply)]
                        for a in attempts
                    ],
                    "carry_over": carried,
                    "control": control,
                },
            )
        share.wait_for([path])
    stored = read_json(path)
    prompts = {prompt.id: prompt for mine in ground.cells.values() for prompt in mine}
    return Round(
        name,
        [
            Attempt(attacker, prompts[prompt], reply, risk, config.seconds)
            for attacker, prompt, reply, risk, _ in stored["attempts"]
        ],
        [bool(truth) for *_, truth in stored["attempts"]],
        stored["carry_over"],
        stored["control"],
    )


def _replies(
    config: RedTeamConfig,
    model: Transformer,
    tokenizer: Tokenizer,
    seed: int,
    share: Share,
    folder: Path,
) -> Callable[[Sequence[Prompt], int], list[str]]:
    """The model as attackers meet it: it samples; the turn decides the seed.

    `REPLIES_AT_ONCE` replies stand in a file of `folder`, written by one process and read by all.
    """
    model = model.to(parallel.pick_device(config.feedback.tuning.parallel))
    sampling = SamplingConfig(config.max_new_tokens, config.temperature, config.top_p)

    def drawn(prompts: Sequence[Prompt], dice: list[int]) -> list[str]:
        found = generate(
            model,
            [encode_prompt(tokenizer, prompt.messages) for prompt in prompts],
            sampling,
            eos_id=tokenizer.eos_id,
            seed=int(np.random.SeedSequence(dice).generate_state(1)[0]),
        )
        return [tokenizer.decode(completion.ids).strip() for (completion,) in found]

    def replies(prompts: Sequence[Prompt], turn: int) -> list[str]:
        firsts = range(0, len(prompts), REPLIES_AT_ONCE)
        parts = {first: folder / f"turn-{turn:07d}-{first:05d}.json" for first in firsts}
        for first in share.own(firsts):
            if not parts[first].exists():
                dice = [seed, turn, first] if first else [seed, turn]
                mine = prompts[first : first + REPLIES_AT_ONCE]
                write_json(parts[first], {"replies": drawn(mine, dice)})
        share.wait_for(parts.values())
        return [reply for part in parts.values() for reply in read_json(part)["replies"]]

    return replies


def report(rounds: Sequence[Round], people: Sequence[Attempt], found: int) -> dict[str, Any]:
    """The campaign in numbers, as red_team.json holds it."""
    return {
        "rounds": [
            {
                "candidate": each.candidate,
                "attempts": len(each.attempts),
                "gamma": _rounded(gamma(each.attempts)),
                "violations": share([a.violation for a in each.attempts]),
                "violations_in_truth": share(each.truth),
                "carried": len(each.carry_over),
                "carry_over": _rounded(share_of(each.carry_over)),
                "control": _rounded(share_of(each.control)),
                "cells": by_cell(each.attempts),
                "samples": _samples(each.attempts),
            }
            for each in rounds
        ],
        "people": {
            "attempts": len(people),
            "gamma": _rounded(gamma(people)) if people else None,
        },
        "found": found,
    }


def _samples(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """The first attempts that drew a violation, with the reply."""
    return [
        {
            "prompt": attempt.prompt.messages[-1]["content"],
            "reply": attempt.reply,
            "risk": attempt.risk,
            "category": attempt.prompt.risk,
            "vector": attempt.prompt.vector,
        }
        for attempt in [a for a in attempts if a.violation][:_SAMPLES]
    ]


def _rounded(interval: Interval | None) -> dict[str, float] | None:
    return interval and {name: round(v, 6) for name, v in interval._asdict().items()}
