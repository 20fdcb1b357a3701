"""What tells the rounds V1 to V5 apart. Llama 2, section 3.2.3, "Iterative Fine-Tuning".

Needs no torch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from llamalite.ppo.config import PPOConfig
from llamalite.preferences.config import PreferencesConfig
from llamalite.rejection_sampling.config import RejectionSamplingConfig

ROUNDS = 5
"""RLHF-V1 to RLHF-V5."""
FIRST_WITH_ALL = 4
"""The round from which the best replies of all earlier rounds are learned from again: after V3 had
forgotten how to rhyme."""
PROMPTS_APART = 10_000
"""Each round's prompts begin so many further on: fresh ones, which no earlier round has seen."""


def version_stage(number: int) -> str:
    """The stage that makes version `number`: 0 is the SFT model, 5 has PPO on top."""
    if not 0 <= number <= ROUNDS:
        raise ValueError(f"there is no version {number}; choose 0 to {ROUNDS}")
    if number == 0:
        return "sft"
    return f"ppo_{number}" if number == ROUNDS else f"rejection_sampling_{number}"


def of_round(config: Any, number: int) -> Any:
    """A stage's settings as they are in round `number`, from 1.

    Prompts are fresh in each round; selection is from the round's own replies up to V3 and from
    all rounds' from V4, as in the paper; picks of another run are those of its round of the same
    number. Settings that do not change come back as they are.
    """
    if not isinstance(config, PreferencesConfig | RejectionSamplingConfig | PPOConfig):
        return config
    first = config.first_prompt + (number - 1) * PROMPTS_APART
    if isinstance(config, PreferencesConfig):
        return replace(config, batch=number, first_prompt=first)
    if isinstance(config, RejectionSamplingConfig):
        own = "round" if config.selection == "all" and number < FIRST_WITH_ALL else config.selection
        picks = picks_of_round(config.picks_from, number)
        return replace(config, first_prompt=first, selection=own, picks_from=picks)
    return replace(config, first_prompt=first)


def picks_of_round(where: str, number: int) -> str:
    """The file of what a round of the run folder `where` has picked.

    What is such a file already stays as it is, and so does "" (none).
    """
    if not where or where.endswith(".parquet"):
        return where
    return str(Path(where) / f"rejection_sampling_{number}" / "selected.parquet")
