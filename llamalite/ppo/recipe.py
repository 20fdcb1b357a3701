"""The stage `ppo`: tune a chat model by PPO against reward models. Llama 2, section 3.2.3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.model.checkpoint import (
    load_model,
    model_from_state,
    read_safetensors,
    save_model,
)
from llamalite.model.transformer import Transformer
from llamalite.ppo.config import PPOConfig
from llamalite.ppo.loop import Iterations, Task
from llamalite.ppo.module import (
    Policy,
    PPOModule,
    ValueModel,
    initial_weights,
    under,
    value_from_policy,
    value_from_reward,
)
from llamalite.ppo.rollout import count
from llamalite.ppo.sharding import frozen
from llamalite.prompt_mix import mixed_prompts
from llamalite.protocols import Grader, Prompt
from llamalite.resume import StreamData
from llamalite.reward.model import load_reward_model
from llamalite.reward.scoring import load_scoring
from llamalite.scoring import Scoring
from llamalite.text.chat import encode_prompt
from llamalite.text.tokenizer import Tokenizer
from llamalite.training import fit

HELD_OUT_FROM = 1_000_000
"""Index of the first held-out prompt of each kind; no round's training prompts come near it."""


class Tuned(NamedTuple):
    """What PPO made."""

    policy: Transformer | None
    """The best policy on held-out prompts, or the last where none are looked at; only in the first
    process."""
    report: dict[str, Any]
    evaluations: list[dict[str, Any]]
    """The looks at the held-out prompts, in order."""


def run(
    config: PPOConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    *,
    scoring: Scoring | None = None,
    value: ValueModel | None = None,
) -> None:
    """Write the policy kept, its tokenizer, metrics.csv, iterations.csv and evaluations.json.

    Inputs: `world`, `policy`, the model to begin with and the reference (in the paper the round's
    rejection sampling), and `reward`, whose models score the replies unless `scoring` does. The
    value model begins as `value`, else as the helpfulness reward model, else as the policy.
    Called again on a draft that was cut short, it goes on from the last resume state.
    """
    if scoring is None and "reward" not in inputs:
        raise ValueError("no reward model was given; give one, or a scoring")
    from llamalite.world import Grader as TruthfulGrader
    from llamalite.world import World

    world = World.load(inputs["world"].file("world.json"))
    shares = {"safety_share": config.safety_share, "borderline_share": config.borderline_share}
    tokenizer = Tokenizer.load(inputs["policy"].file("tokenizer.model"))
    policy = load_model(inputs["policy"].path)
    if scoring is None:
        device = parallel.pick_device(config.parallel)
        scoring = steered(load_scoring(inputs["reward"], tokenizer, device), config.combination)
    if value is None and "reward" in inputs:
        saved = load_reward_model(inputs["reward"].path / "helpfulness", tokenizer)
        value = value_from_reward(saved.model, policy.config)
    tuned = tune(
        config,
        policy,
        tokenizer,
        mixed_prompts(world, config.prompts, first=config.first_prompt, **shares),
        mixed_prompts(world, config.held_out, first=HELD_OUT_FROM, **shares),
        scoring,
        seed,
        work=draft.work,
        value=value,
        grader=TruthfulGrader(world),
        metrics_file=draft.path / "metrics.csv",
        iterations_file=draft.path / "iterations.csv",
    )
    if tuned.policy is None:
        return
    save_model(draft.path, tuned.policy)
    tokenizer.save(draft.path / "tokenizer.model")
    write_results(draft.path, tuned)
    draft.metrics.update(tuned.report)


def steered(scoring: Scoring, combination: str) -> Scoring:
    """The same reward models, all of them scored and logged, combined as the config says.

    "piecewise" leaves the scoring's own rule; any other name is that of the one model that counts.
    """
    if combination == "piecewise":
        return scoring
    return scoring._replace(combine=lambda scores, _: scores[combination])


def tune(
    config: PPOConfig,
    policy: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    held_out: Sequence[Prompt],
    scoring: Scoring,
    seed: int,
    *,
    work: Path,
    value: ValueModel | None = None,
    grader: Grader | None = None,
    metrics_file: Path | None = None,
    iterations_file: Path | None = None,
    progress: bool = True,
) -> Tuned:
    """PPO from the weights of `policy`, which is the reference too and stays as it is.

    `value` is where the value model begins (the policy's body with a head of zeros unless given).
    `metrics_file` gets a row a gradient step, `iterations_file` one an iteration. Called again with
    what an interrupted call left in `work`, it goes on from there. Raises ValueError when prompts
    do not fit the context or a score is not finite.
    """
    prompts, held_out, encoded, dropped = _fitting(config, policy, tokenizer, prompts, held_out)
    value = value or value_from_policy(policy)
    weights = initial_weights(policy, value)
    task = Task(policy.config, tokenizer, prompts, held_out, encoded, scoring, grader, seed)
    steps = config.iterations * config.updates
    module = PPOModule(
        policy.config,
        value.body.config,
        config.optimizer,
        steps,
        parallel=config.parallel,
        weights=weights,
        constants={
            "clip": config.clip,
            "value_clip": config.value_clip,
            "entropy_bonus": config.entropy_bonus,
        },
        value_lr=config.value_lr,
        seed=seed,
    )
    made: list[Iterations] = []

    def stream(rank: int, world: int) -> Iterations:
        mesh = module.device_mesh if config.parallel.sharded else None
        reference = frozen(
            lambda: Policy(policy.config),
            under("policy", weights),
            config.parallel,
            mesh,
            module.device,
        )
        made.append(
            Iterations(
                config,
                task,
                module,
                reference,
                rank=rank,
                world=world,
                work=work,
                table=iterations_file,
            )
        )
        module.at_end = made[-1].finish
        return made[-1]

    data = StreamData(stream, count, steps * config.accumulation)
    report: dict[str, Any] = fit(
        module,
        data,
        work=work,
        accumulation=config.accumulation,
        name="ppo",
        metrics_file=metrics_file,
        progress=progress,
    )
    if not made:  # killed after its last step: there was nothing left to draw from the stream
        made.append(stream(*data._rank_and_world()))
        assert data.saved is not None
        made[-1].load_state_dict(data.saved)
        made[-1].finish()
    iterations = made[-1]
    report |= {
        "iterations": iterations.next // config.updates,
        "kept_iteration": iterations.best if iterations.evaluations else config.iterations,
        "stopped_early": int(iterations.stopped),
        "final_beta": iterations.beta,
        "prompts": len(prompts),
        "dropped_too_long": dropped,
    }
    last = parallel.full_weights(module.model.policy.transformer)
    if not module.trainer.is_global_zero:
        return Tuned(None, report, iterations.evaluations)
    if iterations.best is not None:
        last = read_safetensors(iterations.best_file(iterations.best))
        point = next(p for p in iterations.evaluations if p["iteration"] == iterations.best)
        report |= {f"held_out_{k}": v for k, v in point.items() if isinstance(v, float)}
    return Tuned(model_from_state(policy.config, last, work), report, iterations.evaluations)


def _fitting(
    config: PPOConfig,
    policy: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    held_out: Sequence[Prompt],
) -> tuple[list[Prompt], list[Prompt], dict[str, list[int]], int]:
    """Prompts that leave room for a reply, all of them encoded, and the number dropped."""
    if tokenizer.vocab_size != policy.config.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} pieces and the policy "
            f"{policy.config.vocab_size}; they do not belong together"
        )
    room = policy.config.max_seq_len - config.max_new_tokens
    encoded = {p.id: encode_prompt(tokenizer, p.messages) for p in [*prompts, *held_out]}
    kept = [prompt for prompt in prompts if len(encoded[prompt.id]) <= room]
    measured = [prompt for prompt in held_out if len(encoded[prompt.id]) <= room]
    dropped = len(prompts) + len(held_out) - len(kept) - len(measured)
    if not kept or (config.evaluate_every and not measured):
        raise ValueError(
            f"{dropped} of {len(prompts) + len(held_out)} prompts leave no room for "
            f"{config.max_new_tokens} new tokens in a context of {policy.config.max_seq_len}; "
            "lower max_new_tokens or give shorter prompts"
        )
    return kept, measured, encoded, dropped


def write_results(folder: Path, tuned: Tuned) -> None:
    """evaluations.json: the looks at the held-out prompts."""
    write_json(folder / "evaluations.json", tuned.evaluations)
