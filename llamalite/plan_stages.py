"""How long each stage of a run takes on one device, estimated before it runs. Not in the paper.

Rough on purpose: what is counted are tokens learned from (6 FLOPs a weight), tokens read or
written (2 FLOPs), optimizer steps and decoding steps, each of which costs a small device some
time whatever it holds. Replies count at their full length. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from llamalite.evaluation.config import EvaluateConfig
from llamalite.presets import RunPreset
from llamalite.rlhf.rounds import FIRST_WITH_ALL, ROUNDS
from llamalite.rlhf.versions import AFTER, VERSIONS
from llamalite.sft.config import SFTConfig

MOST_MINUTES = 60
"""What no stage of the `colab` preset should exceed by the plan."""

ORDINARY_KINDS = 12
"""Kinds of ordinary prompts in the micro-world."""


class Machine(NamedTuple):
    """One device, and what it is assumed to reach."""

    name: str
    peak_tflops: float
    """Dense matrix products in the training precision, TFLOP/s."""
    mfu: float
    """Share of the peak that training reaches at these sizes."""
    memory: float
    """GB (10^9 bytes)."""
    watts: float
    precision: Literal["fp32", "fp16"]
    update_seconds: float
    """An optimizer step's own cost: launches, logs."""
    decode_seconds: float
    """A decoding step's own cost: launches, sampling."""


MACHINES: dict[str, Machine] = {
    # 204 GFLOP/s and the shares were measured (LOG.md), not at the size of `english`; 35 W: a guess
    "ci": Machine("two CPU cores", 0.204, 0.45, 8.0, 35.0, "fp32", 0.005, 0.01),
    "laptop": Machine("two CPU cores", 0.204, 0.45, 8.0, 35.0, "fp32", 0.005, 0.01),
    "english": Machine("two CPU cores", 0.204, 0.45, 8.0, 35.0, "fp32", 0.005, 0.01),
    # peak, memory and watts are the vendor's; the rest is assumed, no T4 was at hand
    "colab": Machine("one T4", 65.0, 0.15, 15.0, 70.0, "fp16", 0.06, 0.03),
}
"""The device a preset was made for; the paper's presets have many, see `llamalite.plan`."""


class Work(NamedTuple):
    """What a stage does, or a part of one."""

    learned: float = 0.0
    """Tokens, forward and backward."""
    read: float = 0.0
    """Tokens, forward only: written by a model, or scored."""
    updates: int = 0
    """Optimizer steps."""
    decodes: int = 0
    """Steps of decoding, of however many sequences at once."""

    def __add__(self, other: Work) -> Work:  # type: ignore[override]
        return Work(
            self.learned + other.learned,
            self.read + other.read,
            self.updates + other.updates,
            self.decodes + other.decodes,
        )

    def times(self, factor: float) -> Work:
        """The same so many times."""
        return Work(
            self.learned * factor,
            self.read * factor,
            math.ceil(self.updates * factor),
            math.ceil(self.decodes * factor),
        )


class StageTime(NamedTuple):
    """A kind of stage, all of its rounds together."""

    kind: str
    rounds: int
    seconds: float
    """Of its longest round."""
    total: float
    """Of all rounds, seconds."""


def stage_times(preset: RunPreset) -> list[StageTime]:
    """The estimate for each of the preset's kinds of stage that uses the model, in their order.

    Raises ValueError for a preset of more than one device.
    """
    if preset.name not in MACHINES:
        raise ValueError(
            f"preset {preset.name} needs many devices; stage times are planned for "
            f"{', '.join(MACHINES)}"
        )
    machine, weights = MACHINES[preset.name], preset.pretrain.model.n_parameters
    found = []
    for kind, work in _KINDS.items():
        if preset.stages and kind not in preset.stages:
            continue
        rounds = ROUNDS if kind in _BY_ROUND else 1
        times = [seconds(work(preset, r), weights, machine) for r in range(1, rounds + 1)]
        found.append(StageTime(kind, rounds, max(times), sum(times)))
    return found


def seconds(work: Work, weights: int, machine: Machine) -> float:
    """Time of some work on a machine; reading and writing reach the same share of the peak."""
    flops = (6.0 * work.learned + 2.0 * work.read) * weights
    busy = flops / (machine.peak_tflops * 1e12 * machine.mfu)
    return busy + work.updates * machine.update_seconds + work.decodes * machine.decode_seconds


def _dialogue(preset: RunPreset) -> float:
    """Tokens of a prompt and its reply: one as long as allowed, the prompt half of that."""
    return 1.5 * preset.preferences.max_new_tokens


def _replies(prompts: float, at_once: int, most: int, each: int = 1) -> Work:
    """`each` replies of `most` tokens to prompts, `at_once` prompts a call."""
    return Work(read=1.5 * prompts * most * each, decodes=math.ceil(prompts / at_once) * most)


def _tuning(config: SFTConfig, dialogues: float, tokens: float) -> Work:
    """Fine-tuning on dialogues of so many tokens, packed into rows."""
    learned = dialogues * tokens * config.epochs
    return Work(learned, updates=math.ceil(learned / config.sequence_length / config.batch_size))


def _pretrain(preset: RunPreset, _: int) -> Work:
    config = preset.pretrain
    return Work(learned=float(config.tokens), updates=config.steps)


def _sft(preset: RunPreset, _: int) -> Work:
    each = preset.sft.sequence_length if preset.sft.data else _dialogue(preset)  # people's: at most
    return _tuning(preset.sft, preset.sft.examples, each)


def _asked(config: EvaluateConfig) -> int:
    """Test prompts of all kinds."""
    plain = config.prompts_per_kind * ORDINARY_KINDS
    return plain + config.adversarial_prompts + config.borderline_prompts


def _evaluate(preset: RunPreset, _: int) -> Work:
    config = preset.evaluate
    prompts = _asked(config)
    exams = Work(read=6.0 * 4 * config.exam_questions * _dialogue(preset))
    return (_replies(prompts, config.batch_size, config.max_new_tokens) + exams).times(2)


def _preferences(preset: RunPreset, _: int) -> Work:
    config = preset.preferences
    prompts = config.helpfulness + config.safety
    return _replies(prompts, config.prompts_at_once, config.max_new_tokens).times(2)


def _reward(preset: RunPreset, number: int) -> Work:
    pairs = (preset.preferences.helpfulness + preset.preferences.safety) * number
    config = preset.reward
    one = Work(
        learned=2.0 * pairs * config.epochs * _dialogue(preset),
        updates=math.ceil(pairs * config.epochs / config.batch_size),
    )
    return one.times(2)  # helpfulness and safety


def _rejection_sampling(preset: RunPreset, number: int) -> Work:
    config = preset.rejection_sampling
    heats = len(config.temperatures)
    sampled = _replies(
        config.prompts, config.prompts_at_once, config.max_new_tokens * heats, config.candidates
    )
    scored = Work(read=2.0 * config.prompts * config.candidates * _dialogue(preset))
    bags = number if number >= FIRST_WITH_ALL else 1
    return sampled + scored + _tuning(config.refit, config.prompts * bags, _dialogue(preset))


def _ppo(preset: RunPreset, _: int) -> Work:
    config = preset.ppo
    tokens = config.batch_size * _dialogue(preset)
    rollout = _replies(config.batch_size, config.batch_size, config.max_new_tokens)
    scored = Work(read=5.0 * tokens)  # two reward models, reference, old policy, values
    learned = Work(learned=2.0 * tokens * config.epochs, updates=2 * config.updates)
    return (rollout + scored + learned).times(config.iterations)


def _ghost_attention(preset: RunPreset, _: int) -> Work:
    config = preset.ghost_attention
    questions = config.dialogues * config.turns
    drawn = _replies(
        questions, config.dialogues_at_once * config.turns, config.max_new_tokens
    ).times(config.answers)
    half = config.turns / 2 * _dialogue(preset)  # beginnings are of all lengths
    tuned = _tuning(config.tuning, config.dialogues * config.cuts, half)
    replies = _replies(
        config.measured_dialogues * config.measured_turns,
        config.measured_dialogues,
        config.max_new_tokens,
    )
    read_again = Work(read=config.measured_dialogues * config.measured_turns * half)
    return drawn + tuned + (replies + read_again).times(6)  # two models, three groups


def _safety(preset: RunPreset, _: int) -> Work:
    config = preset.safety
    drawn = _replies(config.prompts, config.prompts_at_once, config.max_new_tokens)
    replay = drawn.times(config.replay)
    dialogues = config.prompts * (1 + config.replay)
    return drawn.times(4) + replay + _tuning(config.tuning, dialogues, _dialogue(preset))


def _red_team(preset: RunPreset, _: int) -> Work:
    config = preset.red_team
    turn = _replies(config.attackers, config.attackers, config.max_new_tokens)
    attacks = turn.times(
        (config.attempts + 2) * (ROUNDS + 5)
    )  # SFT, V1 to V5; safety, tuned: twice
    feedback = config.feedback
    found = config.attackers * config.attempts  # at most, of one round
    learned = _tuning(feedback.tuning, found * (1 + feedback.replay), _dialogue(preset))
    drawn = _replies(found, feedback.prompts_at_once, feedback.max_new_tokens).times(5)
    return attacks + drawn + learned


def _general_reward(preset: RunPreset, _: int) -> Work:
    config = preset.general_reward
    training = Work(
        learned=2.0 * config.pairs * _dialogue(preset),
        updates=math.ceil(config.pairs / config.training.batch_size),
    )
    return _replies(config.pairs, 256, config.max_new_tokens).times(2) + training


def _versions(preset: RunPreset, _: int) -> Work:
    config = preset.versions.replies
    prompts = _asked(config)
    scored = Work(read=3.0 * prompts * _dialogue(preset))
    return (_replies(prompts, config.batch_size, config.max_new_tokens) + scored).times(
        len(VERSIONS) + len(AFTER)
    )


_BY_ROUND = ("preferences", "reward", "rejection_sampling")
_KINDS: dict[str, Callable[[RunPreset, int], Work]] = {
    "pretrain": _pretrain,
    "sft": _sft,
    "evaluate": _evaluate,
    "preferences": _preferences,
    "reward": _reward,
    "rejection_sampling": _rejection_sampling,
    "ppo": _ppo,
    "ghost_attention": _ghost_attention,
    "safety": _safety,
    "red_team": _red_team,
    "general_reward": _general_reward,
    "versions": _versions,
}
