"""The stage `general_reward`: a judge that no training step listens to. Llama 2, section 3.4.1.

A policy trained on a judge's scores learns that judge's taste. To see whether its climb is real,
the paper also scored its versions by "a more general reward, trained on diverse open-source Reward
Modeling datasets", and found no divergence. Here other people compare the replies of other writers,
and the model that learns from them is read by the stage `versions` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.evaluation.config import EvaluateConfig
from llamalite.evaluation.replies import write_replies
from llamalite.general_reward.config import BASE, GENERAL, SFT, GeneralRewardConfig
from llamalite.general_reward.pairs import Written, compare_all, draw_sources, split
from llamalite.jsonl import write_rows
from llamalite.model.checkpoint import load_model, read_json
from llamalite.preferences.reading import Comparisons, read_comparisons
from llamalite.processes import Share
from llamalite.prompt_mix import mixed_prompts
from llamalite.protocols import Annotator, Prompt
from llamalite.reward.data import Pair, encode_pairs, split_off
from llamalite.reward.files import write_rejected
from llamalite.reward.metrics import accuracy, measure, score_pairs
from llamalite.reward.model import RewardModel, reward_from_state, save_reward_model
from llamalite.reward.recipe import check, train
from llamalite.reward.rows import Encoder
from llamalite.reward.scorer import RewardScorer
from llamalite.text.tokenizer import Tokenizer

COMPARISONS, COLLECTED = "comparisons.jsonl", "collected.json"
_FIRST_ANNOTATOR = 700
"""Number of the first annotator: the loop's count from 0, the raters of `versions` from 500."""


class Crowd(NamedTuple):
    """What is asked, who compares, and the world that vendors write about."""

    prompts: list[Any]
    """By the protocol `Prompt`; vendors read more of the world's own."""
    annotators: Sequence[Annotator]
    world: Any


def run(
    config: GeneralRewardConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    *,
    progress: bool = True,
) -> None:
    """Write general/, a reward model, what it learned from, and what it is worth as test.json.

    Inputs: `world`; `pretrain`, the base model, and `chat`, the SFT model, both of which reply; the
    reward model begins with the latter. Called again on a draft that was cut short, it goes on. Of
    several processes (`training.parallel`) the first collects, and all train.
    """
    chat = load_model(inputs["chat"].path)
    tokenizer = Tokenizer.load(inputs["chat"].file("tokenizer.model"))
    check(config.training, chat, tokenizer)
    share = Share.among(config.training.parallel.processes)
    comparisons, rejected = gather(config, inputs, draft, seed, share)
    encoded = encode_pairs(Encoder(tokenizer, config.training.sequence_length), comparisons)
    kept, apart = split(len(encoded.pairs), config.test_share, seed)
    training, held_out = split_off(
        [encoded.pairs[i] for i in kept], config.training.held_out_share, seed
    )
    if not training:
        raise ValueError(
            f"none of {len(comparisons)} comparisons is left to learn from; raise "
            "general_reward.pairs, or give more data"
        )
    module, report = train(
        config.training,
        GENERAL,
        chat,
        training,
        held_out,
        seed,
        work=draft.work / GENERAL,
        metrics_file=draft.path / "metrics.csv",
        progress=progress,
    )
    weights = parallel.full_weights(module.model)
    if not module.trainer.is_global_zero:
        return
    model = reward_from_state(RewardModel(chat.config).config, weights, f"the {GENERAL} model")
    save_reward_model(draft.path / GENERAL, model, tokenizer, GENERAL)
    write_json(draft.path / "held_out.json", report.pop("held_out"))
    results = evaluate(draft, [encoded.pairs[i] for i in apart])
    if rejected or encoded.unusable:
        write_rejected(draft.path / "rejected.jsonl", rejected, encoded.unusable)
    draft.metrics.update(
        report,
        accuracy=results["all"]["mean"],
        test_pairs=len(apart),
        rejected_rows=len(rejected),
        **encoded.report,
    )


def evaluate(draft: Draft, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Write test.json: how often the model orders pairs as the annotators did.

    Over all, and apart for those that safety and those that helpfulness decided.
    """
    scored = score_pairs(RewardScorer.load(draft.path / GENERAL), pairs)
    results = {"all": accuracy(scored.right), "decided_by": measure(scored)}
    write_json(draft.path / "test.json", results)
    return results


def gather(
    config: GeneralRewardConfig,
    inputs: dict[str, Artifact],
    draft: Draft,
    seed: int,
    share: Share,
) -> Comparisons:
    """The comparisons of the config's file, or those collected in the micro-world; and bad rows."""
    if config.data:
        return read_comparisons(config.data, guideline="helpfulness")
    path = draft.path / COMPARISONS
    if share.leads and not path.exists():
        rows, found = collect(config, inputs, draft, seed)
        write_json(draft.path / COLLECTED, found)
        partial = path.with_name(path.name + ".partial")
        write_rows(partial, rows)
        partial.replace(path)
    share.wait_for([path])
    return read_comparisons(path)


def collect(
    config: GeneralRewardConfig, inputs: dict[str, Artifact], draft: Draft, seed: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Have every prompt answered by two sources and compared; rows, and how the sources fared."""
    crowd = open_world(inputs["world"], config, seed)
    pairs = draw_sources(len(crowd.prompts), config.sources, seed)
    replies: dict[str, dict[int, Written]] = {}
    for source in config.sources:
        places = [i for i, pair in enumerate(pairs) if source in pair]
        if source in (SFT, BASE):
            writer = inputs["chat" if source == SFT else "pretrain"]
            replies[source] = sampled(config, source, writer, crowd.prompts, places, draft, seed)
        else:
            replies[source] = delivered(source, crowd, places, seed)
    rows, left_out = compare_all(crowd.prompts, pairs, replies, crowd.annotators)
    won = Counter(row["chosen_source"] for row in rows)
    lost = Counter(row["rejected_source"] for row in rows)
    shares = {
        source: won[source] / (won[source] + lost[source])
        for source in config.sources
        if won[source] + lost[source]
    }
    return rows, {"pairs": len(rows), "left_out": left_out, "chosen_share": shares}


def open_world(world: Artifact, config: GeneralRewardConfig, seed: int) -> Crowd:
    """The micro-world's prompts, and annotators who judge no pair of the loop."""
    from llamalite.world import Annotator, World

    opened = World.load(world.file("world.json"))
    prompts = mixed_prompts(
        opened,
        config.pairs,
        safety_share=config.safety_share,
        borderline_share=config.borderline_share,
        first=config.first_prompt,
    )
    annotators = [
        Annotator(
            opened,
            1000 * seed + _FIRST_ANNOTATOR + number,
            noise=config.noise,
            safety_noise=config.safety_noise,
            bias=config.bias,
        )
        for number in range(config.annotators)
    ]
    return Crowd(prompts, annotators, opened)


def delivered(vendor: str, crowd: Crowd, places: Sequence[int], seed: int) -> dict[int, Written]:
    """What a vendor's writers reply, each with a care of their own; ValueError for an unknown one.

    Vendors that sell few kinds of prompts are asked for all of them here.
    """
    from llamalite.world import demonstrate
    from llamalite.world.seeding import rng_for
    from llamalite.world.vendors import VENDORS

    if vendor not in VENDORS:
        known = ", ".join((*VENDORS, SFT, BASE))
        raise ValueError(f"unknown source {vendor!r} in sources; choose among {known}")
    found = {}
    for i in places:
        writer = rng_for("general", vendor, seed, i)
        quality = writer.choice(VENDORS[vendor].qualities)
        found[i] = Written(demonstrate(crowd.world, crowd.prompts[i], writer, quality))
    return found


def sampled(
    config: GeneralRewardConfig,
    source: str,
    writer: Artifact,
    prompts: Sequence[Prompt],
    places: Sequence[int],
    draft: Draft,
    seed: int,
) -> dict[int, Written]:
    """A model's replies to some of the prompts, written once and read after that.

    The base model is asked in plain lines, as it has never seen the chat format.
    """
    part = draft.work / f"replies-{source}.json"
    if not part.exists():
        model = load_model(writer.path, parallel.pick_device()).eval()
        limits = EvaluateConfig(
            temperature=config.temperature, top_p=1.0, max_new_tokens=config.max_new_tokens
        )
        dice = np.random.SeedSequence([seed, 43, config.sources.index(source)]).generate_state(1)
        replies = write_replies(
            model,
            Tokenizer.load(writer.file("tokenizer.model")),
            [prompts[i] for i in places],
            limits,
            style="chat" if source == SFT else "plain",
            seed=int(dice[0]),
        )
        write_json(part, {"replies": [[reply.text, reply.finished] for reply in replies]})
    read = [Written(*row) for row in read_json(part)["replies"]]
    return dict(zip(places, read, strict=True))
