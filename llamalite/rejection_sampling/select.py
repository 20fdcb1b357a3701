"""Which replies are learned from. Llama 2, section 3.2.3; pure.

A reply is usable when it has text, ended by itself and holds no tag of the chat format: an empty
one teaches silence, and one cut by the limit would be taught an end it did not have. Among replies
of equal score the first in order is taken. A prompt without a usable reply is left out and counted.
None of this is in the paper.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from llamalite.rejection_sampling.candidates import Candidate
from llamalite.text.tokenizer import TAGS


class Selection(NamedTuple):
    """One reply a prompt, prompts in the order in which they first came."""

    chosen: list[Candidate]
    left_out: int
    """Prompts without a usable reply."""


def usable(candidate: Candidate) -> bool:
    """Whether a reply can be learned from."""
    text = candidate.text
    return candidate.finished and bool(text.strip()) and not any(tag in text for tag in TAGS)


def best_of_round(candidates: Sequence[Candidate]) -> Selection:
    """Each prompt's reply of the highest score, of one round's bag: the paper's way up to V3.

    Raises ValueError when a candidate has no score.
    """
    for candidate in candidates:
        if candidate.score is None:
            raise ValueError(
                f"a reply to prompt {candidate.prompt_id} has no score; score the candidates first"
            )
    # max takes the first of equals
    return _pick(candidates, lambda mine: max(mine, key=lambda c: c.score or 0.0))


def best_of_rounds(bags: Sequence[Sequence[Candidate]]) -> Selection:
    """Each prompt's best reply over all rounds, the newest bag first: the paper's way from V4.

    "Top-performing samples from all prior iterations" is read prompt by prompt: a prompt of several
    rounds keeps its best reply, a prompt of one round the best of that. All scores must be of the
    same reward models. Among equals the newest bag goes first.
    """
    return best_of_round([candidate for bag in bags for candidate in bag])


def matched_random(
    candidates: Sequence[Candidate], chosen: Sequence[Candidate], seed: int
) -> list[Candidate]:
    """For every chosen reply one drawn at random from the usable ones to the same prompt.

    The control of a selection: as many replies, to the same prompts, by the same models, without
    regard to scores. What a prompt draws depends on its id and the seed alone. Raises ValueError
    when a chosen prompt has no candidate.
    """
    wanted = [candidate.prompt_id for candidate in chosen]
    drawn = {c.prompt_id: c for c in _pick(candidates, lambda mine: _any(mine, seed)).chosen}
    missing = [prompt for prompt in wanted if prompt not in drawn]
    if missing:
        raise ValueError(
            f"prompt {missing[0]} has no usable candidate to draw from; give the bags that the "
            "chosen replies come from"
        )
    return [drawn[prompt] for prompt in wanted]


def _any(mine: Sequence[Candidate], seed: int) -> Candidate:
    mark = hashlib.sha256(mine[0].prompt_id.encode()).digest()[:8]
    dice = np.random.default_rng([seed, int.from_bytes(mark, "little")])
    return mine[int(dice.integers(len(mine)))]


def _pick(
    candidates: Sequence[Candidate], pick: Callable[[list[Candidate]], Candidate]
) -> Selection:
    by_prompt: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        mine = by_prompt.setdefault(candidate.prompt_id, [])
        if usable(candidate):
            mine.append(candidate)
    kept = [mine for mine in by_prompt.values() if mine]
    return Selection([pick(mine) for mine in kept], len(by_prompt) - len(kept))
