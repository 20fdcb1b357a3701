"""Speed of a PPO iteration beside a plain one on transformers: python -m benchmarks.ppo

128 prompts of 32 tokens, a reply of 48 tokens each, no early end; scores of a reward model of the
policy's size, log-probabilities of the reference, values, GAE, then four gradient steps of 32
replies. Neither program has a trainer around it; ours is the stage's own loop. Weights are the
same at the beginning, and so are optimizer and constants.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers import (
    SHAPES,
    check_same_function,
    compiler_seconds,
    interleaved,
    shape,
    transformers_peer,
)
from benchmarks.plain_ppo import AT_ONCE, PlainPPO
from benchmarks.reporting import make_parser, print_report, summary
from llamalite import parallel
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.ppo.config import PPOConfig
from llamalite.ppo.loop import Iterations, Task
from llamalite.ppo.module import ActorCritic, Policy, PPOModule, ValueModel
from llamalite.reward.model import RewardModel
from llamalite.reward.rows import pack_rows
from llamalite.scoring import alone
from llamalite.training import make_optimizer
from llamalite.training_config import OptimizerConfig, ParallelConfig

GOAL = 2.0
"""Times as fast as the plain one, at least."""
COMPILED = "llamalite, sampling compiled"
PROMPT = 32
"""Tokens of a prompt."""


class Numbers:
    """Stands for the tokenizer: a text is its ids as numbers, and nothing ends a reply."""

    eos_id = -1

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


class Rewarded:
    """A reward model of ours that reads such texts, packed into rows as the stage does."""

    def __init__(self, model: RewardModel, prompts: dict[str, list[int]]) -> None:
        self.model, self.prompts = model.eval(), prompts

    @torch.no_grad()
    def __call__(self, dialogues: Sequence[Any], replies: Sequence[str]) -> Tensor:
        rows = [
            [*self.prompts[dialogue[0]["content"]], *map(int, reply.split())]
            for dialogue, reply in zip(dialogues, replies, strict=True)
        ]
        found = [
            self.model(*pack_rows(rows[i : i + AT_ONCE], max(map(len, rows))))
            for i in range(0, len(rows), AT_ONCE)
        ]
        return torch.cat(found)


def our_iteration(
    config: PPOConfig, chat: Transformer, reward: RewardModel, prompts_BP: Tensor
) -> Callable[[], None]:
    """One iteration of the stage's loop with its gradient steps, to be called again and again."""
    encoded = {f"p{i}": ids for i, ids in enumerate(prompts_BP.tolist())}
    prompts: Any = [
        SimpleNamespace(id=name, messages=[{"role": "user", "content": name}], is_safety=False)
        for name in encoded
    ]
    policy, value = Policy(chat.config), ValueModel(chat.config)
    policy.transformer.load_state_dict(chat.state_dict())
    value.load_state_dict(reward.state_dict())
    model = ActorCritic(
        policy,
        value,
        clip=config.clip,
        value_clip=config.value_clip,
        entropy_bonus=config.entropy_bonus,
    )
    module: Any = SimpleNamespace(
        model=model,
        device=torch.device("cpu"),
        parallel=config.parallel,
        trainer=SimpleNamespace(precision_plugin=SimpleNamespace(forward_context=nullcontext)),
    )
    tokenizer: Any = Numbers()
    scoring = alone(Rewarded(reward, encoded))
    task = Task(chat.config, tokenizer, prompts, [], encoded, scoring, None, 0)
    reference = copy.deepcopy(policy).eval()
    loop: Any = Iterations(
        config,
        task,
        module,
        reference,
        rank=0,
        world=1,
        work=None,
        table=None,  # type: ignore[arg-type]
    )
    optimizers = [make_optimizer(each, config.optimizer) for each in (policy, value)]

    def iteration() -> None:
        batch, _ = loop.iterate(0)
        for step in range(config.updates):
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            for part in loop.mini_batch(batch, 0, step):
                loss, _ = PPOModule.loss_and_metrics(model, part)
                loss.backward()
            for each, optimizer in zip((policy, value), optimizers, strict=True):
                parallel.clip_gradients(each.parameters(), config.optimizer.clip)
                optimizer.step()

    return iteration


def plain_models(chat: Transformer, reward: RewardModel) -> dict[str, Any]:
    """The same weights in `transformers`: policy, reference, value and reward model."""
    from transformers import LlamaForSequenceClassification, LlamaForTokenClassification

    policy = transformers_peer(chat)
    made = {"policy": policy, "reference": copy.deepcopy(policy).eval()}
    body = transformers_peer(reward.body).model
    for name, kind in (
        ("value", LlamaForTokenClassification),
        ("reward", LlamaForSequenceClassification),
    ):
        config = copy.deepcopy(policy.config)
        config.num_labels, config.classifier_dropout = 1, 0.0
        model: Any = kind(config)
        model.model.load_state_dict(body.state_dict())
        model.score = nn.Linear(config.hidden_size, 1)
        model.score.load_state_dict(reward.head.state_dict())
        made[name] = model
    made["reward"].eval().config.pad_token_id = -1  # nothing is filler; it wants some id
    return made


def measure(size: str, replies: int, new_tokens: int, repeats: int) -> dict[str, Any]:
    """Time one shape."""
    shape_config: ModelConfig = SHAPES[size]
    config = PPOConfig(
        max_new_tokens=new_tokens,
        batch_size=replies,
        mini_batch_size=replies // 4,
        held_out=0,
        evaluate_every=0,
        whitening="batch",
        score_limit=0.0,
        missing_eos_penalty=0.0,
        optimizer=OptimizerConfig(lr=1e-6, schedule="constant"),
        forward_batch=AT_ONCE,
        parallel=ParallelConfig(accelerator="cpu", compile="off"),
    )
    compiled = replace(config, parallel=replace(config.parallel, compile="on"))
    torch.manual_seed(0)
    chat = Transformer(shape_config)
    reward = RewardModel.from_chat(chat)
    plain = PlainPPO(**plain_models(chat, reward), config=config)
    check_same_function(chat, {"transformers": plain.policy})
    prompts_BP = torch.randint(0, shape_config.vocab_size, (replies, PROMPT))
    runs = {
        "transformers, plain": lambda: plain.iteration(prompts_BP),
        "llamalite": our_iteration(config, chat, reward, prompts_BP),
        COMPILED: our_iteration(compiled, chat, reward, prompts_BP),
    }
    return {
        "size": size,
        "shape": shape(shape_config),
        "goal": GOAL,
        "runs": summary(interleaved(runs, repeats), "transformers, plain", replies, "replies"),
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Parse the command line, measure and print."""
    parser = make_parser(__doc__, repeats=5)
    parser.add_argument("--replies", type=int, default=128, help="of an iteration; a multiple of 4")
    parser.add_argument("--new-tokens", type=int, default=48)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    compiler_seconds()  # before anything is timed
    results = [
        measure(size, options.replies, options.new_tokens, options.repeats)
        for size in options.sizes
    ]
    return print_report(
        {"benchmark": "PPO iteration", "results": results},
        options.json,
        {"replies / s": lambda run: f"{run['replies_per_second']:,.0f}"},
        ours=COMPILED,
    )


if __name__ == "__main__":
    main()
