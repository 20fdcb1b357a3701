"""The stage `preferences`: one batch of comparisons. Llama 2, section 3.2.1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.preferences.collection import Drawn, Variant, collect, draw_all, reasons
from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.prompts import choose_prompts
from llamalite.preferences.protocol import GUIDELINES, Comparison, Guideline
from llamalite.preferences.statistics import statistics
from llamalite.preferences.store import PreferenceStore
from llamalite.preferences.variants import model_variant
from llamalite.preferences.writing import write_items, write_jsonl, write_parquet
from llamalite.processes import Share
from llamalite.text.tokenizer import Tokenizer

STORE = "preferences.sqlite"


def run(
    config: PreferencesConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    *,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write comparisons and test pairs (.jsonl and .parquet), items.parquet, set_aside.jsonl and
    statistics.json.

    Inputs: `world`, whose simulated annotators judge; `newest`, the chat model to collect for;
    and, if there is one, `previous`. `versions` names them in the records ("newest": "V1"),
    which else bear their folders' names. Called again on a draft that was cut short, it goes on.
    All processes that were started draw pairs; the first has them judged.
    """
    from llamalite.world import Annotator, World

    world = World.load(inputs["world"].file("world.json"))
    models = {"newest": inputs["newest"]}
    if "previous" in inputs:
        models["previous"] = inputs["previous"]
    variants: list[Variant] = [
        model_variant(
            artifact,
            (versions or {}).get(name, artifact.path.name),
            config,
            parallel.pick_device(),
        )
        for name, artifact in models.items()
    ]
    share = Share.among_started()
    if not share.leads:
        for guideline in GUIDELINES:
            prompts = choose_prompts(world, config, guideline)
            draw_all(
                variants,
                prompts,
                guideline,
                config.batch,
                config,
                seed=seed,
                work=draft.work,
                share=share,
            )
        return
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
    drawn = Drawn([], [])
    training: list[Comparison] = []
    test: list[Comparison] = []
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
            kept, apart = split_test(
                config, list(store.export(config.batch, guideline)), guideline, seed
            )
            training += kept
            test += apart
        aside = list(store.export_set_aside(config.batch))
    for name, comparisons in (("comparisons", training), ("test", test)):
        write_jsonl(draft.path / f"{name}.jsonl", comparisons)
        write_parquet(draft.path / f"{name}.parquet", comparisons)
    write_items(draft.path / "items.parquet", drawn.items)
    lines = [{"prompt": name, "reason": why} for name, why in drawn.left_out]
    lines += [
        {"item": each.item.id, "annotator": each.annotator, "reason": each.reason} for each in aside
    ]
    (draft.path / "set_aside.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    tokenizer = Tokenizer.load(models["newest"].file("tokenizer.model"))
    found = statistics([*training, *test], lambda text: len(tokenizer.encode(text)))
    write_json(draft.path / "statistics.json", found)
    draft.metrics.update(
        comparisons=len(training),
        test_comparisons=len(test),
        items=len(drawn.items),
        left_out=reasons(drawn.left_out),
        set_aside=len(aside),
        **{key: found["all"][key] for key in ("ratings", "safety_bins", "versions", "agreement")},
    )


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
