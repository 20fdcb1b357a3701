"""What replies are worth: reward models side by side, and one score of them. Section 3.2.3."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch

from llamalite.protocols import Dialogue, EndReader, Reward
from llamalite.shapes import Tensor

Combine = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""(scores_B by reward model, is_safety_B) -> the logit of R_c, one for each reply."""


class Asked(Protocol):
    """What scoring must know of a prompt; a `llamalite.protocols.Prompt` is one."""

    @property
    def id(self) -> str: ...
    @property
    def messages(self) -> Dialogue: ...
    @property
    def is_safety(self) -> bool: ...


class Scoring(NamedTuple):
    """Which reward models score replies, and what becomes of their scores."""

    rewards: Mapping[str, Reward | EndReader]
    """By name: "helpfulness", "safety"; their scores are logged under it."""
    combine: Combine
    """The piecewise rule of section 3.2.3, or anything else; not whitened."""


def alone(reward: Reward | EndReader, name: str = "score") -> Scoring:
    """A single scorer, taken as it is."""
    return Scoring({name: reward}, lambda scores, _: scores[name])


def score_replies(
    scoring: Scoring,
    prompts: Sequence[Asked],
    replies: Sequence[str],
    finished: Sequence[bool] | None = None,
) -> dict[str, list[float]]:
    """Every reward model's scores, as they are. ValueError when one does not score each reply.

    `finished` says which replies ended by themselves (None: all), to those that read it: the reward
    models of the chain, which have learned from cut replies without an end.
    """
    dialogues = [prompt.messages for prompt in prompts]
    found: dict[str, list[float]] = {}
    for name, reward in scoring.rewards.items():
        ends = (finished,) if getattr(reward, "reads_ends", False) else ()
        values: Any = reward(dialogues, replies, *ends)
        values = [float(value) for value in values]
        if len(values) != len(replies):
            raise ValueError(
                f"reward {name!r} gave {len(values)} scores for {len(replies)} replies; "
                "it must give one each"
            )
        found[name] = values
    return found


def combined(
    scoring: Scoring,
    scores: Mapping[str, Sequence[float]],
    prompts: Sequence[Asked],
    replies: Sequence[str],
) -> Tensor:
    """One score for each reply, float32. ValueError names prompts with a score not finite."""
    for name, values in scores.items():
        refuse_unusable(name, prompts, replies, values)
    tensors = {name: torch.tensor(values) for name, values in scores.items()}
    is_safety_B = torch.tensor([prompt.is_safety for prompt in prompts])
    found_B = scoring.combine(tensors, is_safety_B).float()
    refuse_unusable("combined", prompts, replies, found_B.tolist())
    return found_B


def refuse_unusable(
    name: str, prompts: Sequence[Asked], replies: Sequence[str], values: Sequence[float]
) -> None:
    """ValueError, with the prompts, when a score is NaN or infinite: nothing can be learned."""
    bad = [i for i, value in enumerate(values) if not math.isfinite(value)]
    if bad:
        named = ", ".join(f"{prompts[i].id} ({replies[i][:40]!r}: {values[i]})" for i in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise ValueError(
            f"reward {name!r} is not finite for {len(bad)} of {len(values)} replies, to prompts "
            f"{named}{more}; mend the reward model or leave these prompts out"
        )
