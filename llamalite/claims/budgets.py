"""How much the studies train and measure at each scale.

At `laptop` three seeds of the studies of pretraining and fine-tuning take half an hour; those of
reward models, raters and L1 are meant to take 8 minutes of one thread more for each seed, and so
are, each, G1, F1 with F2, and F3 with F4. F6 is meant to add two minutes to the rounds.
"""

from __future__ import annotations

from typing import Any, TypeVar

from llamalite.preferences.protocol import GUIDELINES
from llamalite.presets import RunPreset

T = TypeVar("T")

PRETRAINING_TOKENS = {"ci": 1_000_000, "laptop": 2_500_000}
"""Tokens of every pretraining run of a study; other presets take their own."""
PROMPTS_PER_KIND = {"ci": 20, "laptop": 60}
"""Test prompts of each kind that chat models are graded on."""
FEW_EXAMPLES = {"ci": 150, "laptop": 500}
"""Clean demonstrations of S1."""
CHECKED_DEMONSTRATIONS = {"ci": 100, "laptop": 400}
"""Demonstrations of each vendor that reviewers look at."""

LONG_TASK_WORLD = {"people": 55, "attributes": 6, "towns": 8}
"""Settings of the world of P4: so few facts that a model learns them within these tokens. Of a fact
it has not learned it cannot be told whether it saw the name."""


def _at(preset: RunPreset, table: dict[str, T]) -> T:
    """What a table has for a preset; for those it does not name, what it has for `laptop`."""
    return table.get(preset.name, table["laptop"])


def pretraining_tokens(preset: RunPreset) -> int:
    """Tokens of each run in a study of pretraining."""
    return PRETRAINING_TOKENS.get(preset.name, preset.pretrain.tokens)


def prompts_per_kind(preset: RunPreset) -> int:
    """Prompts of each kind a chat model is graded on."""
    return _at(preset, PROMPTS_PER_KIND)


def few_examples(preset: RunPreset) -> int:
    """Clean demonstrations of S1; a fifth of the preset's where nothing else is said."""
    return FEW_EXAMPLES.get(preset.name, max(1, preset.sft.examples // 5))


def checked_demonstrations(preset: RunPreset) -> int:
    """Demonstrations of each vendor that reviewers look at."""
    return _at(preset, CHECKED_DEMONSTRATIONS)


PAIRS_FACTOR = {"ci": 2, "laptop": 4}
"""Comparisons of each guideline that the studies of reward models collect, in rounds of the
preset. A third of them tests, at `laptop` as many as thirteen rounds keep apart: a round's tenth is
too few to part ratings or margins (the accuracy of 180 pairs is known to 7 points, of 1,700 to 2).
The rest trains: more than a round's, so that no small number of pairs is what is measured."""
TEST_SHARE = 1 / 3
LONG_BAGS = {"ci": (24, 8), "laptop": (128, 32)}
"""Prompts of L1, and replies to each."""


def comparisons(preset: RunPreset) -> dict[str, Any]:
    """Settings of `preferences` that the studies of reward models change."""
    factor = _at(preset, PAIRS_FACTOR)
    pairs = {name: factor * getattr(preset.preferences, name) for name in GUIDELINES}
    return pairs | {"test_share": TEST_SHARE, "test_pairs": sum(pairs.values())}


def long_bags(preset: RunPreset) -> tuple[int, int]:
    """Prompts of L1, and replies to each."""
    return _at(preset, LONG_BAGS)


GHOST_DIALOGUES = {"ci": 12, "laptop": 60}
"""Dialogues of G1, the same for the model with Ghost Attention and without."""
SAFETY_PROMPTS = {"ci": (42, 21), "laptop": (420, 210)}
"""Adversarial and borderline test prompts of the studies of safety tuning. The paper has 210
borderline ones; adversarial ones are a multiple of the 21 cells of risk and attack."""


def ghost_dialogues(preset: RunPreset) -> int:
    """Dialogues of G1."""
    return _at(preset, GHOST_DIALOGUES)


def safety_prompts(preset: RunPreset) -> dict[str, int]:
    """Settings of `evaluate` that the studies of safety tuning change."""
    adversarial, borderline = _at(preset, SAFETY_PROMPTS)
    return {
        "prompts_per_kind": prompts_per_kind(preset),
        "adversarial_prompts": adversarial,
        "borderline_prompts": borderline,
    }


RED_TEAM = {"laptop": (40, 20)}
"""Attackers of F6, and attempts of each against every model; other presets take their own. The
paper has more than 350 people."""

SERVING = {
    "ci": {"context": 128, "new_tokens": 8, "budget_mib": 72, "repeats": 2},
    "laptop": {"context": 256, "new_tokens": 16, "budget_mib": 256, "repeats": 4},
}
"""What P6's models serve, and with how much memory on top of their weights."""


def red_team(preset: RunPreset) -> dict[str, int]:
    """Settings of `red_team` that F6 changes."""
    own = preset.red_team
    attackers, attempts = RED_TEAM.get(preset.name, (own.attackers, own.attempts))
    return {"attackers": attackers, "attempts": attempts}


AUDITED_DOCUMENTS = {"ci": 1000, "laptop": 4000}
"""Documents of P12's audit and of each source in P10's; P11's, for its small share, reads twice as
many."""
PARALLEL_SENTENCES = {"ci": 200, "laptop": 800}
"""Sentences that P12 measures in both languages."""


def audited_documents(preset: RunPreset) -> int:
    """Documents of P12's audit, of each source in P10's, and half of those of P11's."""
    return _at(preset, AUDITED_DOCUMENTS)


def parallel_sentences(preset: RunPreset) -> int:
    """Sentences that P12 measures in both languages."""
    return _at(preset, PARALLEL_SENTENCES)


PLANT_COPIES = {"laptop": 16}
"""Times that the corpus of P13 has each planted question."""


def plant_copies(preset: RunPreset) -> int:
    """Times that the corpus of P13 has each planted question."""
    return _at(preset, PLANT_COPIES)


BENCHMARK_PROMPTS = {"ci": 48}
"""Prompts of each of F8's three sets, at most."""


def benchmark_prompts(preset: RunPreset) -> int:
    """Prompts of each of F8's three sets, at most."""
    return BENCHMARK_PROMPTS.get(preset.name, 400)
