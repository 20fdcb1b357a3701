"""The models that are compared, and what made each. Llama 2, sections 3.2.3, 3.3, 4.2 and 4.3.

Needs no torch.
"""

from __future__ import annotations

from typing import NamedTuple

from llamalite.rlhf.rounds import ROUNDS, version_stage


class Version(NamedTuple):
    """A chat model on the way from SFT to V5, or one that a later stage made of V5."""

    name: str
    """As in the paper's figures, if it is there; also the role it has among a stage's inputs."""
    stage: str
    """The stage whose artifact is the model."""
    reward_stage: str | None
    """The stage of the reward models it was steered by; None for SFT and Ghost Attention."""


BASELINE = "SFT"
WITHOUT_PPO = f"V{ROUNDS} without PPO"
VERSIONS = (
    Version(BASELINE, version_stage(0), None),
    *(Version(f"V{k}", version_stage(k), f"reward_{k}") for k in range(1, ROUNDS)),
    Version(WITHOUT_PPO, f"rejection_sampling_{ROUNDS}", f"reward_{ROUNDS}"),
    Version(f"V{ROUNDS}", version_stage(ROUNDS), f"reward_{ROUNDS}"),
)
"""Those of figures 11 and 20, oldest first."""
SAFE, TUNED = "safety", "after red teaming"
"""The safety-tuned model, and that tuned on what the red team found."""
AFTER = (
    Version("Ghost Attention", "ghost_attention", None),
    Version(SAFE, "safety", f"reward_{ROUNDS}"),
    Version(TUNED, "red_team", f"reward_{ROUNDS}"),
)
"""What the later stages made of the last version, each of the one before. The paper compares none
of them; without them, harm that these stages do would be seen by no one."""
