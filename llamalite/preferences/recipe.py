"""The stage `preferences`: one batch of comparisons. Llama 2, section 3.2.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.jsonl import write_rejected, write_rows
from llamalite.preferences.collection import Drawn, Variant, collect, draw_all, reasons
from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.judged import (
    Judged,
    ask_people,
    of_store,
    read_judged,
    waits_for_people,
)
from llamalite.preferences.prompts import choose_prompts
from llamalite.preferences.protocol import GUIDELINES, Comparison, Guideline
from llamalite.preferences.statistics import statistics
from llamalite.preferences.store import PreferenceStore
from llamalite.preferences.variants import model_variant
from llamalite.preferences.writing import write_items, write_jsonl, write_parquet
from llamalite.processes import Share
from llamalite.text.tokenizer import Tokenizer

STORE = "preferences.sqlite"
ASKED = "pairs_wanted"
"""In the draft's work, once the first process has found that people need pairs to judge."""
COUNTED = "statistics.json"
"""What is written last."""


def run(
    config: PreferencesConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    *,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write comparisons and test pairs (.jsonl and .parquet), items.parquet, set_aside.jsonl and
    statistics.json; and rejected.jsonl where a file of people's verdicts has malformed rows.

    Inputs: `world`, whose simulated annotators judge; `newest`, the chat model to collect for;
    and, if there is one, `previous`. `versions` names them in the records ("newest": "V1"),
    which else bear their folders' names. Called again on a draft that was cut short, it goes on.
    All processes that were started draw pairs; the first has them judged.

    With `config.judged` the verdicts are people's. Where there are any of this batch, no pair is
    drawn; where there are none, this raises ValueError when the pairs are in place to be judged.
    """
    share = Share.among_started()
    asked = draft.work / ASKED
    if not share.leads:
        # whether people have judged is for the first to find: they go on judging meanwhile
        if not config.judged or share.wait_for_one([asked, draft.path / COUNTED]) == asked:
            draw_round(config, inputs, draft, seed, share, versions)
        return
    if not config.judged:
        found, left_out = simulate(config, inputs, draft, seed, share, versions)
        write_batch(config, inputs, draft, seed, found, left_out)
        return
    found = read_judged(config.judged, config.batch)
    if found.comparisons:
        write_batch(config, inputs, draft, seed, found)
        draft.metrics.update(by_people(config, inputs["newest"], found))
        return
    drawn = Drawn([], [])
    if not waits_for_people(found, config.batch):
        asked.touch()
        drawn = draw_round(config, inputs, draft, seed, share, versions)
    ask_people(config.judged, config.batch, drawn.items, config.judgements_each)


def draw_round(
    config: PreferencesConfig,
    inputs: Mapping[str, Artifact],
    draft: Draft,
    seed: int,
    share: Share,
    versions: Mapping[str, str] | None = None,
) -> Drawn:
    """The pairs of a batch under both guidelines, judged by nobody; this process's share of them.

    They are those that simulated annotators would be shown. The first process comes back with all.
    """
    from llamalite.world import World

    world = World.load(inputs["world"].file("world.json"))
    variants, drawn = open_variants(config, inputs, versions), Drawn([], [])
    for guideline in GUIDELINES:
        made = draw_all(
            variants,
            choose_prompts(world, config, guideline),
            guideline,
            config.batch,
            config,
            seed=seed,
            work=draft.work,
            share=share,
        )
        drawn.items.extend(made.items)
        drawn.left_out.extend(made.left_out)
    return drawn


def simulate(
    config: PreferencesConfig,
    inputs: Mapping[str, Artifact],
    draft: Draft,
    seed: int,
    share: Share,
    versions: Mapping[str, str] | None = None,
) -> tuple[Judged, list[tuple[str, str]]]:
    """What simulated annotators say of a batch, and the prompts for which no pair was made."""
    from llamalite.world import Annotator, World

    world = World.load(inputs["world"].file("world.json"))
    variants, drawn = open_variants(config, inputs, versions), Drawn([], [])
    annotators = [
        Annotator(
            world,
            1000 * seed + number,  # another seed, other people
            noise=config.noise,
            safety_noise=config.safety_noise,
            bias=config.bias,
        )
        for number in range(config.annotators)
    ]
    with PreferenceStore(draft.work / STORE, durable=False) as store:
        for guideline in GUIDELINES:
            made = collect(
                variants,
                choose_prompts(world, config, guideline),
                annotators,
                guideline,
                config.batch,
                config,
                store,
                seed=seed,
                work=draft.work,
                share=share,
            )
            drawn.items.extend(made.items)
            drawn.left_out.extend(made.left_out)
    said = of_store(str(draft.work / STORE), config.batch)
    return said._replace(items=drawn.items), drawn.left_out


def open_variants(
    config: PreferencesConfig,
    inputs: Mapping[str, Artifact],
    versions: Mapping[str, str] | None,
) -> list[Variant]:
    """The newest model and, if there is one, the previous."""
    return [
        model_variant(
            inputs[name],
            (versions or {}).get(name, inputs[name].path.name),
            config,
            parallel.pick_device(),
        )
        for name in ("newest", "previous")
        if name in inputs
    ]


def write_batch(
    config: PreferencesConfig,
    inputs: Mapping[str, Artifact],
    draft: Draft,
    seed: int,
    found: Judged,
    left_out: Sequence[tuple[str, str]] = (),
) -> None:
    """Write all files of the artifact, whoever judged, and what was counted."""
    training: list[Comparison] = []
    test: list[Comparison] = []
    for guideline in GUIDELINES:
        said = [each for each in found.comparisons if each.guideline == guideline]
        kept, apart = split_test(config, said, guideline, seed)
        training += kept
        test += apart
    for name, comparisons in (("comparisons", training), ("test", test)):
        write_jsonl(draft.path / f"{name}.jsonl", comparisons)
        write_parquet(draft.path / f"{name}.parquet", comparisons)
    write_items(draft.path / "items.parquet", found.items)
    lines = [{"prompt": name, "reason": why} for name, why in left_out]
    write_rows(draft.path / "set_aside.jsonl", [*lines, *found.aside])
    if found.rejected:
        write_rejected(draft.path / "rejected.jsonl", found.rejected)
    tokenizer = Tokenizer.load(inputs["newest"].file("tokenizer.model"))
    counted = statistics([*training, *test], lambda text: len(tokenizer.encode(text)))
    write_json(draft.path / COUNTED, counted)
    draft.metrics.update(
        comparisons=len(training),
        test_comparisons=len(test),
        items=len(found.items),
        left_out=reasons(left_out),
        set_aside=len(found.aside),
        **{key: counted["all"][key] for key in ("ratings", "safety_bins", "versions", "agreement")},
    )


def by_people(config: PreferencesConfig, newest: Artifact, found: Judged) -> dict[str, Any]:
    """What more is counted of people's verdicts.

    `of_newest` are comparisons with a reply of the newest model: people may have judged older ones'
    or other texts, which teach less of what this round's model says. `still_wanted` are judgements
    of this round that nobody has made yet: the stage does not wait for them.
    """
    others = {str(batch): n for batch, n in found.rounds.items() if batch != config.batch}
    mine = [newest.fingerprint in (each.a.model, each.b.model) for each in found.comparisons]
    return {
        "judged_by": "people",
        "rejected_rows": len(found.rejected),
        "other_rounds": others,
        "of_newest": sum(mine),
        "still_wanted": found.still_wanted,
    }


def split_test(
    config: PreferencesConfig, comparisons: Sequence[Comparison], guideline: Guideline, seed: int
) -> tuple[list[Comparison], list[Comparison]]:
    """Comparisons to train on, and those kept to test by: all judgements of a pair on one side."""
    names = list(dict.fromkeys(each.id for each in comparisons))
    kept = min(round(config.test_share * len(names)), config.test_pairs)
    dice = np.random.default_rng([seed, config.batch, GUIDELINES.index(guideline), 3])
    apart = {names[i] for i in dice.permutation(len(names))[:kept].tolist()}
    return (
        [each for each in comparisons if each.id not in apart],
        [each for each in comparisons if each.id in apart],
    )
