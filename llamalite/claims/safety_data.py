"""The study stage `safety_data`: more and more safety data, the helpful part fixed.

Llama 2, section 4.2.3: the pretrained model is fine-tuned for two epochs, as in section 3.1, on all
of some 0.9M helpful examples and 0 to 100 % of some 0.1M safety ones. The mixes are those of
`llamalite.safety.scaling`, the tuning is the stage `sft`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llamalite.sft.config import SFTConfig

if TYPE_CHECKING:
    from llamalite.artifacts import Artifact, Draft

HELPFUL_PER_SAFE = 9
"""Helpful demonstrations for each of the whole safety data; the paper's 0.9M to 0.1M."""


@dataclass(frozen=True)
class SafetyDataConfig:
    """One of the mixes of figures 14 and 15, and how it is learned."""

    sft: SFTConfig
    """Vendor and number of the helpful demonstrations, and the tuning. Its shares of adversarial
    and borderline prompts are not used: the safety data is added, and the paper answers no
    borderline prompts on purpose, which would hide what figure 33 shows."""
    fraction: float
    """Of the safety data, 0 to 1."""
    vendor: str = "careful"
    """Who writes the safety data. The mixed vendor's careless writers help with every fifth
    misdeed, and such a demonstration is no safety data."""

    @property
    def safety(self) -> int:
        """Demonstrations of the whole safety data."""
        return max(1, round(self.sft.examples / HELPFUL_PER_SAFE))


def run(config: SafetyDataConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write the chat model tuned on the mix, with the files of the stage `sft`.

    Inputs: `world` and `pretrain`. Called again on a draft that was cut short, it goes on.
    """
    from llamalite.sft import recipe

    file = draft.work / "mix.jsonl"
    rows = (json.dumps({"messages": dialogue}) for dialogue in mix(config, inputs["world"], seed))
    file.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    # examples=0 is all of the file
    recipe.run(replace(config.sft, data=str(file), examples=0, held_out=0), inputs, draft, seed)
    assert not draft.metrics.get("rejected_rows"), "the world writes rows that can be used"


def mix(config: SafetyDataConfig, world: Artifact, seed: int) -> list[list[dict[str, Any]]]:
    """All helpful demonstrations and the fraction of the safety ones, as dialogues, shuffled.

    A greater fraction of the same seed has all that a smaller one has.
    """
    from llamalite.safety.scaling import safety_mixes
    from llamalite.sft.recipe import world_dialogues

    plain = replace(config.sft, data="", held_out=0, safety_share=0.0, borderline_share=0.0)
    safe = replace(plain, vendor=config.vendor, examples=config.safety, safety_share=1.0)
    helpful, safety = (list(world_dialogues(part, world, seed)) for part in (plain, safe))
    return safety_mixes(helpful, safety, [config.fraction], seed=seed)[config.fraction]
