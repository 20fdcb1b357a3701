"""A short PPO run of one or two processes, whose replies do not depend on their number."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from pathlib import Path

import torch
from launched import join_run
from safetensors.torch import save_file
from tiny import CPU, LETTERS, make_policy, make_prompts, make_tokenizer, settings

from llamalite.model.generate import Completion
from llamalite.ppo import loop
from llamalite.ppo.recipe import tune

GENERATED_BY = []


def replies_by_prompt(decoder, prompts, sampling, *, eos_id, seed):
    """Some tokens for each prompt, and what the model given thinks of them."""
    model = decoder.model
    GENERATED_BY.append(model)
    made = []
    for prompt in prompts:
        dice = torch.Generator().manual_seed(sum(prompt))
        length = int(torch.randint(2, 9, (), generator=dice))
        ids = torch.randint(3, 300, (length,), generator=dice).tolist()
        with torch.no_grad():
            logprobs = model(torch.tensor([[*prompt, *ids, eos_id]]))[0].log_softmax(-1)
        own = [logprobs[len(prompt) + t - 1, i].item() for t, i in enumerate([*ids, eos_id])]
        made.append([Completion(ids, own, True)])
    return made


def main(folder: Path, processes: int) -> None:
    torch.set_num_threads(1)
    loop.generate = replies_by_prompt
    tokenizer = make_tokenizer()
    config = settings(
        iterations=3,
        mini_batch_size=8,
        accumulation=2,
        evaluate_every=3,
        parallel=replace(CPU, data_parallel=processes),
    )
    tuned = tune(
        config,
        make_policy(tokenizer),
        tokenizer,
        make_prompts(40),
        make_prompts(13, "held-out-"),  # which two processes cannot share evenly
        LETTERS,
        0,
        work=folder,
        iterations_file=folder / "iterations.csv",
        metrics_file=folder / "metrics.csv",
        progress=False,
    )
    if processes > 1:  # weights that were put together are gone again
        assert all(w.is_meta for model in GENERATED_BY for w in model.parameters())
    if tuned.policy is not None:
        save_file(dict(tuned.policy.state_dict()), folder / "weights.safetensors")
        (folder / "evaluations.json").write_text(json.dumps(tuned.evaluations))


def process(rank: int, world: int, port: int, folder: Path) -> None:
    """What a launcher such as torchrun would do for one process."""
    join_run(rank, world, port)
    try:
        main(folder, world)
    except BaseException:
        (folder / f"error-{rank}.txt").write_text(traceback.format_exc())
        raise
