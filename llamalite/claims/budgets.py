"""How much the studies train at each scale: three seeds of every study within half an hour."""

from __future__ import annotations

from llamalite.presets import RunPreset

PRETRAINING_TOKENS = {"ci": 1_000_000, "laptop": 2_500_000}
"""Tokens of every pretraining run of a study; other presets take their own."""
PROMPTS_PER_KIND = {"ci": 20, "laptop": 60}
"""Test prompts of each kind that chat models are graded on."""
FEW_EXAMPLES = {"ci": 150, "laptop": 500}
"""Clean demonstrations of S1."""
CHECKED_DEMONSTRATIONS = {"ci": 100, "laptop": 400}
"""Demonstrations of each vendor that reviewers look at."""


def pretraining_tokens(preset: RunPreset) -> int:
    """Tokens of each run in a study of pretraining."""
    return PRETRAINING_TOKENS.get(preset.name, preset.pretrain.tokens)


def prompts_per_kind(preset: RunPreset) -> int:
    """Prompts of each kind a chat model is graded on."""
    return PROMPTS_PER_KIND.get(preset.name, PROMPTS_PER_KIND["laptop"])


def few_examples(preset: RunPreset) -> int:
    """Clean demonstrations of S1; a fifth of the preset's where nothing else is said."""
    return FEW_EXAMPLES.get(preset.name, max(1, preset.sft.examples // 5))


def checked_demonstrations(preset: RunPreset) -> int:
    """Demonstrations of each vendor that reviewers look at."""
    return CHECKED_DEMONSTRATIONS.get(preset.name, CHECKED_DEMONSTRATIONS["laptop"])
