"""A pretraining on streams in one or several processes, each of which runs `process`.

Every process leaves the steps after which it had part in bringing the places together; the first
the hash of the weights and what was read.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from deadly import arm
from launched import join_run
from made_up import Corpus, train_tokenizer
from test_recipe import CONFIG

from llamalite import parallel
from llamalite.pretraining import recipe
from llamalite.resume import StreamData
from llamalite.training import TrainingModule

EVERY = 6
"""Steps between two resume states; the run has 24."""


def process(
    rank: int, world: int, port: int, folder: Path, files: dict, workers: int, end: str, call: int
) -> None:
    """Train; at micro-batch `call` the last process gets the signal `end`, "" for none."""
    join_run(rank, world, port)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    # the tests end their processes with themselves; here that would forbid a reader of its own
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    multiprocessing.set_start_method("fork", force=True)  # as where nobody is tested
    recipe.StreamData = partial(StreamData, workers=workers)  # type: ignore[assignment]
    if end and rank == world - 1:
        if end == "SIGKILL":
            arm(TrainingModule, "training_step", call)
        else:
            whole, calls = TrainingModule.training_step, iter(range(1, 10_000))

            def told(*arguments):
                if next(calls) == call:
                    os.kill(os.getpid(), signal.Signals[end])
                return whole(*arguments)

            TrainingModule.training_step = told  # type: ignore[method-assign]
    gathers, step = [], [0]
    note_steps(step)
    for name in ("gather_object", "all_gather_object"):
        note_calls(name, gathers, step)
    config = replace(
        CONFIG,
        corpus=files,
        shuffle=7,
        parallel=replace(CONFIG.parallel, data_parallel=world, checkpoint_steps=EVERY),
    )
    try:
        module, report = recipe.pretrain(
            config, train_tokenizer(Corpus()), None, 0, work=folder, progress=False
        )
    except BaseException as error:
        if not isinstance(error, SystemExit | KeyboardInterrupt):
            (folder / f"error-{rank}.txt").write_text(traceback.format_exc())
        raise
    finally:
        (folder / f"gathers-{rank}.json").write_text(json.dumps(gathers))
    weights = parallel.full_weights(module.model)
    if rank == 0:
        content = b"".join(weights[name].numpy().tobytes() for name in sorted(weights))
        found = {"hash": hashlib.sha256(content).hexdigest(), "mixture": report["mixture"]}
        (folder / "found.json").write_text(json.dumps(found | {"resumed": report["resumed_at"]}))


def note_steps(step: list[int]) -> None:
    """Keep in `step` how many optimizer steps have been done."""
    whole = recipe.PretrainingModule.on_train_batch_start

    def begun(module, *arguments):
        step[0] = module.trainer.global_step
        return whole(module, *arguments)

    recipe.PretrainingModule.on_train_batch_start = begun


def note_calls(name: str, calls: list[int], step: list[int]) -> None:
    """Add to `calls` the step at work whenever one of torch's collectives is given a place.

    Saving in shards calls them too, for lists of what each process writes.
    """
    whole = getattr(torch.distributed, name)

    def noted(*arguments, **named):
        given = [argument[1] for argument in arguments if isinstance(argument, tuple)]
        if any("mixture" in place for place in given if isinstance(place, dict)):
            calls.append(step[0] + 1)
        return whole(*arguments, **named)

    setattr(torch.distributed, name, noted)
