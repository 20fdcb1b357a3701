"""How much the studies train at each scale: three seeds of every study within half an hour."""

from __future__ import annotations

from llamalite.presets import RunPreset

PRETRAINING_TOKENS = {"ci": 500_000, "laptop": 4_000_000}
"""Tokens of every pretraining run of a study; other presets take their own."""
PROMPTS_PER_KIND = {"ci": 20, "laptop": 60}
"""Test prompts of each kind that chat models are graded on."""
CHECKED_PROMPTS = {"ci": 60, "laptop": 200}
"""Prompts on which reviewers compare the vendors' demonstrations."""


def pretraining_tokens(preset: RunPreset) -> int:
    """Tokens of a study's pretraining run."""
    return PRETRAINING_TOKENS.get(preset.name, preset.pretrain.tokens)


def prompts_per_kind(preset: RunPreset) -> int:
    """Prompts of each kind a chat model is graded on."""
    return PROMPTS_PER_KIND.get(preset.name, PROMPTS_PER_KIND["laptop"])


def checked_prompts(preset: RunPreset) -> int:
    """Prompts of a vendor check."""
    return CHECKED_PROMPTS.get(preset.name, CHECKED_PROMPTS["laptop"])
