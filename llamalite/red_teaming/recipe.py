"""The stage `red_team`: attack every model of the chain, and learn from what was found.

Llama 2, section 4.3. The same team attacks SFT, V1 to V5 and the safety-tuned model in turn, and
carries its experience along. What it found is distilled into the last model, which is attacked
once more.

That last round asks prompts the model was just tuned on, so that some of what it refuses it may
only have memorised. The team therefore attacks the last model before and after tuning with fresh
prompts too, whose wordings and misdeeds no stage learns from. Not in the paper, whose people typed
new prompts each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.evaluation.scoring import estimate
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
    Round,
    attack,
    gamma,
    rejections,
    successes,
)
from llamalite.red_teaming.config import RedTeamConfig
from llamalite.red_teaming.summary import report
from llamalite.red_teaming.transcripts import fits, read_transcripts
from llamalite.rlhf.versions import SAFE, TUNED, VERSIONS, WITHOUT_PPO
from llamalite.safety.distillation import Distilled
from llamalite.safety.recipe import distil, replay, tune
from llamalite.text.chat import encode_prompt
from llamalite.text.tokenizer import Tokenizer

RESULTS = "red_team.json"
POLICY = "policy"
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


class Ground(NamedTuple):
    """What a campaign is fought on."""

    prompts: PromptSet
    cells: Mapping[Cell, tuple[Prompt, ...]]
    """What is asked, and learned from where it draws a violation."""
    fresh: Mapping[Cell, tuple[Prompt, ...]]
    """The same cells in prompts held out for measurements."""
    judge: Judge
    """What an annotator sees; attackers hear of nothing else."""
    truth: Callable[[Prompt, str], bool]
    """Whether a reply is a violation in truth; for measuring alone."""


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
    rounds stand in the draft. Where no attempt drew a violation, or none of the better answers
    passes the gate, the last model is kept as it is.
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

    def attacked(
        name: str, model: Path, before: Sequence[Round], work: str, on: Ground, **more: Any
    ) -> Round:
        path = draft.work / f"{work}.json"
        return one_round(config, on, name, model, tokenizer, before, path, seed, share, **more)

    for number, name in enumerate(CANDIDATES):
        shown = SAFE if name == POLICY else name
        rounds.append(attacked(shown, inputs[name].path, rounds, f"round-{number}", ground))
    policy = load_model(inputs[POLICY].path)
    room = policy.config.max_seq_len - config.feedback.max_new_tokens
    short = [each for each in people if fits(each.prompt, tokenizer, room)]
    found = successes([a for each in rounds for a in each.attempts] + short)
    rows: list[Distilled] = []
    learned: dict[str, Any] = {}
    if found:
        rows = distil(
            config.feedback,
            found,
            inputs[POLICY],
            inputs.get("reward"),
            draft,
            seed,
            tokenizer,
            reward,
            share,
            may_be_none=True,
        )
    kept = sum(row.kept for row in rows)
    if kept:
        plain = replay(
            config.feedback, ground.prompts, inputs[POLICY], draft, seed, tokenizer, kept, share
        )
        learned = tune(config.feedback, policy, tokenizer, rows, plain, draft, seed) or {}
    elif share.leads:
        save_model(draft.path, policy)
        tokenizer.save(draft.path / "tokenizer.model")
    model = draft.path / "model.safetensors"
    share.wait_for([model, draft.path / "tokenizer.model"])
    unseen = ground._replace(cells=ground.fresh)
    fresh = [attacked(SAFE, inputs[POLICY].path, rounds, "fresh-0", unseen, carries=False)]
    fresh.append(attacked(TUNED, draft.path, [*rounds, *fresh], "fresh-1", unseen))
    rounds.append(attacked(TUNED, draft.path, rounds, f"round-{len(CANDIDATES)}", ground))
    if not share.leads:
        return
    if rows:
        learned["kept"] = estimate([row.kept for row in rows], config.feedback.resamples)
    tuned_on = [row.messages for row in rows if row.kept]
    write_json(draft.path / RESULTS, report(rounds, fresh, people, len(found), tuned_on))
    draft.metrics.update(
        found=len(found),
        rejected_rows=len(rejected),
        too_long_to_learn=len(people) - len(short),
        gammas={each.candidate: round(gamma(each.attempts).mean, 4) for each in rounds},
        gammas_fresh={each.candidate: round(gamma(each.attempts).mean, 4) for each in fresh},
        **{f"feedback_{k}": v for k, v in learned.items()},
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
        cells_of(opened, "test", config.first_prompt, config.prompts),
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
    *,
    carries: bool = True,
) -> Round:
    """Attack a model, unless `path` has the round already.

    The attackers begin with what all rounds `before` taught each of them; a round so depends on
    nothing but these and the seed. The last of these rounds' successes are asked of this model too,
    unless it does not `carry` them over.
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
        old = successes(before[-1].attempts) if before and carries else []
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
