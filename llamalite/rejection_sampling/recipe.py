"""The stage `rejection_sampling`: tune the base model on the best of N replies. Section 3.2.3.

Several processes (`refit.parallel`, started by torchrun or srun) share the stage. Prompts come in
files; each process samples and scores its share of them, the first joins them and selects,
and all tune together. What is drawn and kept does not depend on how many processes there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.model.checkpoint import load_model, model_from_state, save_model
from llamalite.model.compiled import sampling_decoder
from llamalite.model.transformer import Transformer
from llamalite.processes import Share
from llamalite.progress import pieces
from llamalite.prompt_mix import mixed_prompts
from llamalite.protocols import Prompt
from llamalite.rejection_sampling.candidates import Candidate, read_candidates, write_candidates
from llamalite.rejection_sampling.config import RejectionSamplingConfig
from llamalite.rejection_sampling.curves import curves_by_temperature
from llamalite.rejection_sampling.picks import read_picks
from llamalite.rejection_sampling.sample import sample_candidates, score_candidates
from llamalite.rejection_sampling.select import (
    Selection,
    best_of_round,
    best_of_rounds,
    matched_random,
)
from llamalite.reward.scoring import load_scoring
from llamalite.scoring import Scoring
from llamalite.sft.config import SFTConfig
from llamalite.text.tokenizer import Tokenizer

CANDIDATES, SELECTED = "candidates.parquet", "selected.parquet"
BAG = "bag"


class Finetune(Protocol):
    """Supervised fine-tuning, as `llamalite.sft.recipe.finetune` does it."""

    def __call__(
        self,
        config: SFTConfig,
        model: Transformer,
        tokenizer: Tokenizer,
        dialogues: Sequence[Any],
        held_out: Sequence[Any],
        seed: int,
        *,
        work: Path,
        metrics_file: Path | None = None,
        progress: bool = True,
    ) -> tuple[Any, dict[str, Any]]: ...


def run(
    config: RejectionSamplingConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    *,
    scoring: Scoring | None = None,
    finetune: Finetune | None = None,
    version: str = "",
) -> None:
    """Write candidates, the selection, curves and the tuned model; resumes after any kill.

    Inputs: `world`, `pretrain` (the base, where every version's tuning begins), `policy` (the model
    to sample from), and any number of earlier rounds whose names begin with `bag`. Replies are
    ranked by the reward models of `reward`, or by `scoring`; `version` names the policy in the
    records. With `picks_from` nothing is sampled: what another model's round picked is learned from
    (the paper's way for all sizes but 70B), and only `pretrain` and `world` are read. Every process
    of a shared stage calls it.
    """
    tokenizer = Tokenizer.load(inputs["pretrain"].file("tokenizer.model"))
    share = Share.among(config.refit.parallel.processes)
    if config.picks_from:
        selection = Selection(read_picks(config.picks_from, inputs.get("world")), 0)
        if share.leads:
            write_candidates(draft.path / SELECTED, selection.chosen)
    else:
        if scoring is None and "reward" not in inputs:
            raise ValueError("no reward model was given; give one, a scoring or picks_from")
        device = parallel.pick_device(config.refit.parallel)
        scoring = scoring or load_scoring(inputs["reward"], tokenizer, device)
        selection = make_selection(config, inputs, draft, seed, tokenizer, scoring, version, share)
    report = refit(
        config,
        load_model(inputs["pretrain"].path),
        tokenizer,
        selection.chosen,
        seed,
        folder=draft.path,
        work=draft.work / "refit",
        finetune=finetune,
    )
    chosen = selection.chosen
    scores = [c.score for c in chosen if c.score is not None]
    draft.metrics.update(
        report,
        selected=len(chosen),
        prompts_without_usable_reply=selection.left_out,
        selected_by_version=dict(sorted(Counter(c.version for c in chosen).items())),
        selected_score=float(np.mean(scores)) if scores else None,
    )


def make_selection(
    config: RejectionSamplingConfig,
    inputs: Mapping[str, Artifact],
    draft: Draft,
    seed: int,
    tokenizer: Tokenizer,
    scoring: Scoring,
    version: str,
    share: Share,
) -> Selection:
    """Sample, score, select; each finished part stands in the draft and is not made again.

    Only the first process selects and counts what was left out; the others read its choice.
    """
    if not (draft.path / CANDIDATES).exists():
        prompts = world_prompts(config, inputs["world"])
        parts = range(0, len(prompts), config.prompts_at_once)
        own, policy, work = share.own(parts), inputs["policy"], draft.work
        _sample(config, prompts, own, policy, work, seed, tokenizer, version or policy.path.name)
        _score(work, own, scoring, config.score_batch)
        if share.leads:
            scored = [_file(work, "scored", first) for first in parts]
            share.wait_for(scored)
            joined = [candidate for file in scored for candidate in read_candidates(file)]
            write_candidates(draft.path / CANDIDATES, joined)
    if not share.leads:
        share.wait_for([draft.path / SELECTED])
        return Selection(read_candidates(draft.path / SELECTED), 0)
    candidates = read_candidates(draft.path / CANDIDATES)
    bags = [candidates]
    if config.selection == "all":  # by the newest reward models, as this round's
        bags += [
            score_candidates(scoring, read_candidates(inputs[name].file(SELECTED)))
            for name in sorted(inputs, reverse=True)
            if name.startswith(BAG)
        ]
    selection = best_of_rounds(bags) if len(bags) > 1 else best_of_round(candidates)
    if config.selection == "random":
        selection = Selection(
            matched_random(candidates, selection.chosen, seed), selection.left_out
        )
    if not selection.chosen:
        raise ValueError(
            f"none of {len(candidates)} replies can be learned from: all are empty or were cut at "
            f"{config.max_new_tokens} tokens; raise max_new_tokens or sample from a tuned model"
        )
    write_candidates(draft.path / SELECTED, selection.chosen)
    write_json(draft.path / "curves.json", curves_by_temperature(candidates))
    return selection


def refit(
    config: RejectionSamplingConfig,
    base: Transformer,
    tokenizer: Tokenizer,
    chosen: Sequence[Candidate],
    seed: int,
    *,
    folder: Path,
    work: Path,
    finetune: Finetune | None = None,
) -> dict[str, Any]:
    """Tune the base model on the chosen replies "similar to SFT", and write it; the report.

    A tenth of them, at most the config's `held_out`, only serves the held-out loss.
    """
    order = np.random.default_rng([seed, 7]).permutation(len(chosen)).tolist()
    dialogues = [chosen[i].dialogue for i in order]
    kept = min(config.refit.held_out, len(dialogues) // 10)
    module, report = (finetune or _sft())(
        config.refit,
        base,
        tokenizer,
        dialogues[kept:],
        dialogues[:kept],
        seed,
        work=work,
        metrics_file=folder / "metrics.csv",
    )
    weights = parallel.full_weights(module.model)
    if module.trainer.is_global_zero:
        save_model(folder, model_from_state(base.config, weights, folder))
        tokenizer.save(folder / "tokenizer.model")
        write_json(folder / "held_out.json", report.pop("held_out"))
    return report


def world_prompts(config: RejectionSamplingConfig, world: Artifact) -> list[Prompt]:
    """The round's prompts, of the micro-world."""
    from llamalite.world import World

    return mixed_prompts(
        World.load(world.file("world.json")),
        config.prompts,
        safety_share=config.safety_share,
        borderline_share=config.borderline_share,
        first=config.first_prompt,
    )


def _sample(
    config: RejectionSamplingConfig,
    prompts: Sequence[Prompt],
    parts: Sequence[int],
    policy: Artifact,
    work: Path,
    seed: int,
    tokenizer: Tokenizer,
    version: str,
) -> None:
    """Candidates in files of `prompts_at_once` prompts, `parts` the first prompt of each.

    Files that stand are left alone. A file's seed is its own, whoever makes it.
    """
    machine = config.refit.parallel
    tokens = config.prompts * config.candidates * config.max_new_tokens
    decoder = None
    for first in pieces(parts, "part"):
        path = _file(work, "sampled", first)
        if path.exists():
            continue
        if decoder is None:
            model = load_model(policy.path, parallel.pick_device(machine)).eval()
            decoder = sampling_decoder(model, machine.compile, tokens)
        dice = np.random.SeedSequence([seed, 8, first]).generate_state(1)
        found = sample_candidates(
            decoder,
            tokenizer,
            prompts[first : first + config.prompts_at_once],
            n=config.candidates,
            temperatures=config.temperatures,
            max_new_tokens=config.max_new_tokens,
            top_p=config.top_p,
            seed=int(dice[0]),
            version=version,
            fingerprint=policy.fingerprint,
        )
        write_candidates(path, found)


def _score(work: Path, parts: Sequence[int], scoring: Scoring, at_once: int) -> None:
    """The sampled files with their scores, each a file of its own; those that stand stay."""
    for first in pieces(parts, "scoring part"):
        path = _file(work, "scored", first)
        if not path.exists():
            sampled = read_candidates(_file(work, "sampled", first))
            write_candidates(path, score_candidates(scoring, sampled, at_once))


def _file(work: Path, kind: str, first: int) -> Path:
    return work / f"{kind}-{first:08d}.parquet"


def _sft() -> Callable[..., tuple[Any, dict[str, Any]]]:
    from llamalite.sft.recipe import finetune

    return finetune
