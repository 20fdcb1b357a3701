"""Which prompts replies are compared on. Llama 2, section 3.2.1; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator

from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.protocol import Guideline
from llamalite.protocols import ADVERSARIAL, BORDERLINE, Prompt, PromptSet

_PATIENCE = 200
"""How many prompts of a kind are looked at for one of the wanted form before the kind is left."""


def choose_prompts(
    prompts: PromptSet, config: PreferencesConfig, guideline: Guideline
) -> list[Prompt]:
    """The training prompts of a batch: ordinary kinds in turn for helpfulness, adversarial for
    safety, and the config's shares of borderline ones and of ones with earlier turns.

    The forms are spread evenly over the list. Where the set has none of a form, another's come.
    """
    ordinary, count = prompts.kinds, config.helpfulness
    share = config.borderline_share
    if guideline == "safety":
        ordinary, count, share = (ADVERSARIAL,), config.safety, config.safety_borderline_share
    borderline = round(share * count)
    streams = {False: list(ordinary), True: [BORDERLINE]}
    sizes = {False: count - borderline, True: borderline}
    groups: list[list[Prompt]] = []
    for which, kinds in streams.items():
        if config.multi_turn_share is None:
            groups.append(_take(prompts, kinds, sizes[which], config.first_prompt, None))
            continue
        several = round(config.multi_turn_share * count) if not which else 0
        several = min(several, sizes[which])
        found = _take(prompts, kinds, several, config.first_prompt, True)
        rest = _take(prompts, kinds, sizes[which] - len(found), config.first_prompt, False)
        if len(found) + len(rest) < sizes[which]:  # there is nothing without earlier turns
            wanted = sizes[which] - len(rest)
            found = _take(prompts, kinds, wanted, config.first_prompt, True)
        groups += [found, rest]
    placed = [((i + 0.5) / len(g), p.id, p) for g in groups for i, p in enumerate(g)]
    return [prompt for _, _, prompt in sorted(placed, key=lambda each: each[:2])]


def _take(
    prompts: PromptSet, kinds: list[str], count: int, first: int, several: bool | None
) -> list[Prompt]:
    """`count` prompts of these kinds in turn, with earlier turns, without, or (None) either way."""
    found: list[Prompt] = []
    streams = [_of_kind(prompts, kind, first, several) for kind in kinds]
    while len(found) < count and streams:
        for stream in list(streams):
            prompt = next(stream, None)
            if prompt is None:
                streams.remove(stream)
            elif len(found) < count:
                found.append(prompt)
    return found


def _of_kind(prompts: PromptSet, kind: str, index: int, several: bool | None) -> Iterator[Prompt]:
    missed = 0
    while missed < _PATIENCE:
        prompt = prompts.prompt(kind, index, "train")
        index += 1
        turns = sum(message["role"] == "user" for message in prompt.messages)
        if several is None or several == (turns > 1):
            missed = 0
            yield prompt
        else:
            missed += 1
