"""A round of one process or of several that share it, one of which may kill itself."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from pathlib import Path

import torch
from deadly import arm_recipe
from launched import join_run, run_together
from rejection_run import CONFIG, SERVER, letters

from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.rejection_sampling import recipe
from llamalite.scoring import alone


def settings(processes):
    """Five files of two prompts; batches that one, two and three processes can share."""
    parallel = replace(CONFIG.refit.parallel, data_parallel=processes)
    return replace(
        CONFIG, prompts_at_once=2, refit=replace(CONFIG.refit, batch_size=6, parallel=parallel)
    )


def start(world, folders, prompts, out, victim=None, kill_at="", at_call=0):
    """Run `world` processes on the draft `out`; what each ended with.

    `victim` kills itself at one of its stations (see `deadly.arm_recipe`). The others are then
    ended, as a launcher does.
    """
    (out / "work").mkdir(parents=True, exist_ok=True)

    def arguments(rank):
        return folders, prompts, out, *((kill_at, at_call) if rank == victim else ("", 0))

    codes = run_together(SERVER, process, world, arguments)
    said = "".join(error.read_text() for error in out.glob("error-*.txt"))
    assert victim is not None or not said, said
    for error in out.glob("error-*.txt"):  # who was cut off while it talked to the victim
        error.unlink()
    return codes


def process(rank, world, port, folders, prompts, out, kill_at, at_call):
    """What a launcher such as torchrun would do for one process; it notes what it has sampled."""
    join_run(rank, world, port)
    torch.set_num_threads(1)
    arm_recipe(recipe, kill_at, at_call)
    note(recipe, "sample_candidates", lambda *given: [prompt.id for prompt in given[2]], out, rank)
    note(recipe, "score_candidates", lambda *given: [c.prompt_id for c in given[1]], out, rank)
    recipe.world_prompts = lambda *_: prompts
    draft = Draft(out, out / "work")
    inputs = {name: Artifact.open(folder) for name, folder in folders.items()}
    try:
        recipe.run(settings(world), {"world": inputs["pretrain"], **inputs}, draft, 0,
                   scoring=alone(letters), version="SFT")  # fmt: skip
    except BaseException:
        (out / f"error-{rank}.txt").write_text(traceback.format_exc())
        raise
    if rank == 0:
        write_json(out / "metrics.json", draft.metrics)


def note(owner, name, prompts, out, rank):
    """From now on the calls of a function that came back are noted beside the draft."""
    whole = getattr(owner, name)

    def function(*given, **named):
        found = whole(*given, **named)
        with noted(out, name, rank).open("a") as stream:
            stream.write(json.dumps(list(dict.fromkeys(prompts(*given)))) + "\n")
        return found

    setattr(owner, name, function)


def noted(out: Path, name: str, rank: int) -> Path:
    """Where a process notes its calls: the prompts of each, a line a call."""
    return out.with_name(f"{out.name}-{name}-{rank}.jsonl")
