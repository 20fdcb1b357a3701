"""A finished stage `reward` as what scores replies. Llama 2, section 3.2.3."""

from __future__ import annotations

import torch

from llamalite.artifacts import Artifact
from llamalite.preferences.protocol import GUIDELINES
from llamalite.reward.combine import piecewise_rule
from llamalite.reward.scorer import RewardScorer
from llamalite.scoring import Scoring
from llamalite.text.tokenizer import Tokenizer


def load_scoring(
    reward: Artifact, tokenizer: Tokenizer | None = None, device: torch.device | str = "cpu"
) -> Scoring:
    """Both reward models, combined by the piecewise rule with the threshold they were made for.

    Raises ValueError when they were trained for another tokenizer than `tokenizer`.
    """
    scorers = {
        name: RewardScorer.load(reward.path / name, tokenizer, device) for name in GUIDELINES
    }
    return Scoring(scorers, piecewise_rule(reward.manifest["config"]["threshold"]))
