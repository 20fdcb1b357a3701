"""The stages of the chain in the paper's order, and what each reads. Llama 2, figure 4.

A stage is a row: its name, the paper's section, what it reads, and the recipe that does the work. A
later stage of the paper is one more row and one more folder. The rounds V1 to V5 repeat the same
stages on the newest model; a round's stages bear its number. The comparison of all models comes
last, so that what is done to the last version is measured too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llamalite.presets import RunPreset
from llamalite.rlhf.rounds import ROUNDS, of_round, version_stage
from llamalite.rlhf.versions import AFTER, VERSIONS, WITHOUT_PPO


@dataclass(frozen=True)
class Stage:
    """One link of the chain."""

    name: str
    """Folder of the artifact, and what --until and --force call it."""
    section: str
    """Section of the Llama 2 paper; empty where the paper has none."""
    summary: str
    """One line for help and tables."""
    inputs: Mapping[str, str]
    """What it reads: role in the recipe -> stage whose artifact plays it."""
    recipe: str
    """Module with `run(config, inputs, draft, seed)`; imported only when the stage runs."""
    files: tuple[str, ...] = ()
    """Settings that name files of the user's: the stage is stale when these files change."""
    shared: bool = False
    """Whether all processes that were started take part, whatever their number: it samples, and
    trains nothing. Stages that train say in their settings how many they are."""
    round: int = 0
    """Which of the rounds V1 to V5 it belongs to; 0: none."""
    apart: bool = False
    """Whether it belongs only to presets that name it."""
    packages: tuple[str, ...] = ()
    """Packages its recipe imports that stand in an extra, `[data]`."""

    @property
    def kind(self) -> str:
        """Verb on the command line and field of the run preset: the name without the round."""
        return self.name.removesuffix(f"_{self.round}")

    def config(self, preset: RunPreset) -> Any:
        """Its settings in a preset, those of its round where there are rounds."""
        settings = preset.config(self.kind)
        return of_round(settings, self.round) if self.round else settings

    def inputs_in(self, preset: RunPreset) -> dict[str, str]:
        """`inputs`, without those that a preset's settings make needless."""
        needs = getattr(self.config(preset), "needs", lambda role: True)
        return {role: name for role, name in self.inputs.items() if needs(role)}


def reads(*names: str, **roles: str) -> dict[str, str]:
    """Inputs of a stage: those that play the role of their own name, and others as role=stage."""
    return {name: name for name in names} | roles


def round_stages(number: int) -> Iterator[Stage]:
    """The stages of one round. Llama 2, section 3.2.3, "Iterative Fine-Tuning".

    Fresh preferences for the newest model, with the one before as regression test; both reward
    models anew on all batches; rejection sampling from the newest model, tuned from the base; and,
    in the last round, PPO on top.
    """
    newest = version_stage(number - 1)
    older = {"previous": version_stage(number - 2)} if number > 1 else {}
    yield Stage(
        name=f"preferences_{number}",
        section="3.2.1",
        summary=f"round {number}: annotators compare replies of the newest models",
        inputs=reads("world", newest=newest, **older),
        recipe="llamalite.preferences.recipe",
        files=("judged",),
        shared=True,
        round=number,
    )
    batches = [f"preferences_{batch}" for batch in range(1, number + 1)]
    yield Stage(
        name=f"reward_{number}",
        section="3.2.2",
        summary=f"round {number}: train both reward models on all comparisons so far",
        inputs=reads(*batches, chat=newest),
        recipe="llamalite.reward.recipe",
        files=("open_helpfulness", "open_safety"),
        round=number,
    )
    bags = {f"bag_{bag}": f"rejection_sampling_{bag}" for bag in range(1, number)}
    yield Stage(
        name=f"rejection_sampling_{number}",
        section="3.2.3",
        summary=f"round {number}: tune the base model on the best of N replies",
        inputs=reads("world", "pretrain", policy=newest, reward=f"reward_{number}", **bags),
        recipe="llamalite.rejection_sampling.recipe",
        files=("picks_from",),
        round=number,
    )
    if number == ROUNDS:
        yield Stage(
            name=f"ppo_{number}",
            section="3.2.3",
            summary=f"round {number}: PPO on top of rejection sampling",
            inputs=reads("world", policy=f"rejection_sampling_{number}", reward=f"reward_{number}"),
            recipe="llamalite.ppo.recipe",
            round=number,
        )


STAGES: tuple[Stage, ...] = (
    Stage(
        name="world",
        section="",
        summary="build the micro-world: facts, sources, prompts and the truth to grade by",
        inputs=reads(),
        recipe="llamalite.world.recipe",
    ),
    Stage(
        name="tokenizer",
        section="2.2",
        summary="train the SentencePiece tokenizer on the corpus",
        inputs=reads("world"),
        recipe="llamalite.text.recipe",
        files=("model", "corpus"),
    ),
    Stage(
        name="pretrain",
        section="2",
        summary="pretrain the base model on the weighted mixture of sources",
        inputs=reads("world", "tokenizer"),
        recipe="llamalite.pretraining.recipe",
        files=("corpus",),
    ),
    Stage(
        name="sft",
        section="3.1",
        summary="fine-tune it on demonstrations into the first chat model",
        inputs=reads("world", "tokenizer", "pretrain"),
        recipe="llamalite.sft.recipe",
        files=("data",),
    ),
    Stage(
        name="evaluate",
        section="2.3, 3.4",
        summary="measure base and chat models against the world's truth",
        inputs=reads("world", "pretrain", "sft"),
        recipe="llamalite.evaluation.recipe",
    ),
    Stage(
        name="prose",
        section="",
        summary="measure models of real text on held-out documents, beside 5-grams",
        inputs=reads("pretrain", "sft"),
        recipe="llamalite.prose.recipe",
        apart=True,
        packages=("nltk",),
    ),
    *(stage for number in range(1, ROUNDS + 1) for stage in round_stages(number)),
    Stage(
        name="ghost_attention",
        section="3.3",
        summary="make instructions hold through a dialogue",
        inputs=reads("world", policy=version_stage(ROUNDS)),
        recipe="llamalite.ghost_attention.recipe",
    ),
    Stage(
        name="safety",
        section="4.2",
        summary="distil safety preprompts into the model, gated by the safety reward model",
        inputs=reads("world", policy="ghost_attention", reward=f"reward_{ROUNDS}"),
        recipe="llamalite.safety.recipe",
    ),
    Stage(
        name="red_team",
        section="4.3",
        summary="attack every model of the chain, and learn from what was found",
        inputs=reads(
            "world",
            reward=f"reward_{ROUNDS}",
            policy="safety",
            **{version.name: version.stage for version in VERSIONS if version.name != WITHOUT_PPO},
        ),
        recipe="llamalite.red_teaming.recipe",
        files=("transcripts",),
    ),
    Stage(
        name="general_reward",
        section="3.4.1",
        summary="train a general reward model outside the loop, only to score the models by",
        inputs=reads("world", "pretrain", chat=version_stage(0)),
        recipe="llamalite.general_reward.recipe",
        files=("data",),
    ),
    Stage(
        name="versions",
        section="3.4",
        summary="compare all chat models, SFT to the last, on the same prompts",
        inputs=reads(
            "world",
            reward=f"reward_{ROUNDS}",
            general="general_reward",
            **{version.name: version.stage for version in (*VERSIONS, *AFTER)},
        ),
        recipe="llamalite.rlhf.recipe",
    ),
)


def chain(preset: RunPreset, until: str = "") -> tuple[Stage, ...]:
    """The stages a preset consists of, in order, up to one where it is named.

    Raises ValueError for a stage that the preset does not have, and when one of its stages reads
    another that it does not have.
    """
    found = tuple(
        stage
        for stage in STAGES
        if (stage.kind in preset.stages if preset.stages else not stage.apart)
    )
    names = [stage.name for stage in found]
    if until:
        get_stage(until)
        if until not in names:
            raise ValueError(
                f"the preset {preset.name} has no stage {until}; choose among {', '.join(names)}"
            )
        found = found[: names.index(until) + 1]
    for stage in found:
        for name in stage.inputs_in(preset).values():
            if name not in names:
                raise ValueError(
                    f"{stage.name} would read the stage {name}, which the preset {preset.name} "
                    f"has not; name texts of your own in {stage.name}'s settings, or take another "
                    "preset"
                )
    return found


def get_stage(name: str) -> Stage:
    """The stage of that name; ValueError that lists the names otherwise."""
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise ValueError(f"unknown stage {name!r}; choose among {', '.join(s.name for s in STAGES)}")


def speaking() -> tuple[str, ...]:
    """Names of the stages that make a language model: the base, and every version after it."""
    versions = {version.stage for version in (*VERSIONS, *AFTER)}
    return tuple(stage.name for stage in STAGES if stage.name in {"pretrain"} | versions)


def kinds(preset: RunPreset | None = None) -> dict[str, Stage]:
    """The kinds of stages in order, of all or of a preset's, each with its first stage."""
    found: dict[str, Stage] = {}
    for stage in chain(preset) if preset else STAGES:
        found.setdefault(stage.kind, stage)
    return found
