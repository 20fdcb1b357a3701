"""The versions that figures 11 and 20 compare, and what made each. Llama 2, section 3.2.3.

Needs no torch.
"""

from __future__ import annotations

from typing import NamedTuple

from llamalite.rlhf.rounds import ROUNDS, version_stage


class Version(NamedTuple):
    """A chat model on the way from SFT to V5."""

    name: str
    """As in the paper's figures; also the role it has among a stage's inputs."""
    stage: str
    """The stage whose artifact is the model."""
    reward_stage: str | None
    """The stage of the reward models it was steered by; None for SFT."""


BASELINE = "SFT"
WITHOUT_PPO = f"V{ROUNDS} without PPO"
VERSIONS = (
    Version(BASELINE, version_stage(0), None),
    *(Version(f"V{k}", version_stage(k), f"reward_{k}") for k in range(1, ROUNDS)),
    Version(WITHOUT_PPO, f"rejection_sampling_{ROUNDS}", f"reward_{ROUNDS}"),
    Version(f"V{ROUNDS}", version_stage(ROUNDS), f"reward_{ROUNDS}"),
)
"""Oldest first."""
