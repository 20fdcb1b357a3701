"""Claims of section 2 and appendix A.2.1 about how models are pretrained: P3, P4 and P5.

Table 3, and tables 16, 17 and 18. An arm that is the ordinary run, or one of P2's sizes, is that
very run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llamalite.ablations.variants import attention_variants, recipes, with_context
from llamalite.claims.budgets import LONG_TASK_WORLD
from llamalite.claims.exam_items import average_items, group_items, right_answers, written_marks
from llamalite.claims.rules import Above, Below, Greater, Rule
from llamalite.claims.studies_pretraining import (
    SIZES,
    base_run,
    held_out_texts,
    load_trained,
    sized,
)
from llamalite.claims.study import Finished, claim, with_settings
from llamalite.evaluation.groups import EXAM_GROUPS, TABLE_3
from llamalite.presets import RunPreset
from llamalite.world.biographies import SOURCE, far_facts

RECIPE_SIZES = ("half", "whole")
"""P3's models, by the names of P2's."""
LONG_SHARE = 0.4
"""Of the tokens of P4's runs: long documents."""
MUCH, SAME = 0.10, 0.05
"""P4: how much more of the long task is to be right with the doubled context, and how much the mean
of the short exams may move either way."""
AS_GOOD = 0.03
"""P5: how much less of the exams grouped-query attention may get right and be about as good."""


def half_context(preset: RunPreset) -> RunPreset:
    """The preset with half its context, and as many tokens a step."""
    pretrain = preset.pretrain
    return replace(preset, pretrain=with_context(pretrain, pretrain.sequence_length // 2))


def _recipe_arms(preset: RunPreset) -> dict[str, RunPreset]:
    """Both recipes at two sizes; v2 is the preset's own. See `recipes`."""
    base = base_run(preset)
    return {
        f"{name}, {size}": replace(base, pretrain=run)
        for size in RECIPE_SIZES
        for name, run in recipes(
            replace(base.pretrain, model=sized(base.pretrain.model, SIZES[size]))
        ).items()
    }


@claim(
    "P3",
    Rule(
        "Two sizes of model, each trained by the recipe v1 and by v2: 40 % more tokens, twice the "
        "context, and the encyclopedia at three times the weight. With v2 more questions are "
        "answered rightly in writing, at both sizes, in each group of exams that is a column of "
        f"table 3 ({', '.join(TABLE_3)}). All must hold.",
        tuple(
            Greater(f"{group}, v2, {size}", f"{group}, v1, {size}")
            for size in RECIPE_SIZES
            for group in TABLE_3
        ),
    ),
    arms=_recipe_arms,
    until="pretrain",
)
def both_recipes(finished: Finished) -> dict[str, Any]:
    """Items of every group of exams, those included that are no column of table 3."""
    found: dict[str, Any] = {}
    for arm, stages in finished.arms.items():
        world, model, tokenizer = load_trained(stages, "pretrain")
        items = group_items(written_marks(model, tokenizer, world))
        found |= {f"{group}, {arm}": items[group] for group in EXAM_GROUPS}
    return found


def _context_arms(preset: RunPreset) -> dict[str, RunPreset]:
    """The preset's context and half of it, on a corpus that has long documents too."""
    base = base_run(preset)
    mixture = base.pretrain.mixture
    rest = (1 - LONG_SHARE) / sum(mixture.values())
    mixture = {source: rest * weight for source, weight in mixture.items()} | {SOURCE: LONG_SHARE}
    rows = base.pretrain.batch_size // 2  # what far words mean is learned late: more steps
    base = with_settings(
        base, world=LONG_TASK_WORLD, pretrain={"mixture": mixture, "batch_size": rows}
    )
    return {"T": half_context(base), "2T": base}


@claim(
    "P4",
    Rule(
        "The same tokens of the same corpus, two fifths of it pages of up to 2T tokens that name "
        "their person at the top only, with a context of T and of 2T. Asked a fact more than T "
        f"tokens below the name, the model of 2T answers right in more than {MUCH:.0%} of the "
        "questions more. The mean over the ordinary exams moves by less than "
        f"{SAME:.0%} either way. Presupposed: with the name a quarter of T above, the model of T "
        "answers more of the same questions than with the name out of its reach, so it is the "
        "reach that it lacks.",
        (
            Above("gain on long inputs", MUCH),
            Above("change, short", -SAME),
            Below("change, short", SAME),
        ),
        presupposed=(Greater("name near, T", "name far, T"),),
    ),
    arms=_context_arms,
    until="pretrain",
)
def contexts(finished: Finished) -> dict[str, Any]:
    """The same questions with the name near and far, and every ordinary exam."""
    found: dict[str, Any] = {}
    reach = finished.arms["T"]["pretrain"].manifest["config"]["sequence_length"]
    for arm, stages in finished.arms.items():
        world, model, tokenizer = load_trained(stages, "pretrain")
        for place, tokens in (("near", reach // 4), ("far", reach + 1)):
            questions = asked_below(world, tokenizer, tokens)
            found[f"name {place}, {arm}"] = right_answers(model, tokenizer, questions)
        marks = written_marks(model, tokenizer, world)
        found[f"short, {arm}"] = average_items(marks)
        found |= {f"{group}, {arm}": items for group, items in group_items(marks).items()}
    gain = found["name far, 2T"] - found["name far, T"]
    return found | {
        "gain on long inputs": gain,
        "change, short": found["short, 2T"] - found["short, T"],
    }


def asked_below(world: Any, tokenizer: Any, tokens: int) -> list[Any]:
    """Questions with at least so many tokens between the name and the end, as few as will do."""
    sums = 0
    while True:
        questions = far_facts(world.knowledge, sums)
        below = [question.prompt.split(". ", 1)[-1] for question in questions]
        if min(len(tokenizer.encode(text)) for text in below) >= tokens:
            return questions
        sums += 1


def _attention_arms(preset: RunPreset) -> dict[str, RunPreset]:
    base = base_run(preset)
    variants = attention_variants(base.pretrain.model)
    return {name: with_settings(base, pretrain={"model": m}) for name, m in variants.items()}


@claim(
    "P5",
    Rule(
        "Three models of the same size to within a percent, what attention saves given to the "
        "feed-forward layer, on the same tokens. The mean over all exams, answered in writing: "
        "grouped-query attention is better than multi-query, and less than "
        f"{AS_GOOD:.0%} of the questions below multi-head. All must hold.",
        (
            Greater("exams, GQA", "exams, MQA"),
            Above("exams, GQA less MHA", -AS_GOOD),
        ),
        presupposed=(Below("largest difference of parameters", 0.01),),
    ),
    arms=_attention_arms,
    until="pretrain",
)
def attentions(finished: Finished) -> dict[str, Any]:
    """Items of the mean over all exams, and nats per token of held-out documents."""
    from llamalite.evaluation.perplexity import document_nats

    found: dict[str, Any] = {}
    for arm, stages in finished.arms.items():
        world, model, tokenizer = load_trained(stages, "pretrain")
        marks = written_marks(model, tokenizer, world)
        found[f"exams, {arm}"] = average_items(marks)
        found |= {f"{group}, {arm}": items for group, items in group_items(marks).items()}
        nats, tokens = document_nats(model, tokenizer, held_out_texts(world, stages["pretrain"]))
        found[f"loss, {arm}"] = nats / tokens
        found[f"parameters, {arm}"] = sum(weight.numel() for weight in model.parameters())
    counts = [found[f"parameters, {arm}"] for arm in finished.arms]
    return found | {
        "exams, GQA less MHA": found["exams, GQA"] - found["exams, MHA"],
        "largest difference of parameters": max(counts) / min(counts) - 1,
    }
