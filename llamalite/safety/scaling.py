"""More and more safety data, the helpful part fixed. Llama 2, section 4.2.3, figure 15."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

FRACTIONS = (0.0, 0.01, 0.1, 0.25, 0.5, 1.0)
"""Of the safety data; the paper's, of about 0.1M examples beside 0.9M helpful ones."""
T = TypeVar("T")


def safety_mixes(
    helpful: Sequence[T],
    safety: Sequence[T],
    fractions: Sequence[float] = FRACTIONS,
    *,
    seed: int = 0,
) -> dict[float, list[T]]:
    """All of `helpful` with a fraction of `safety`, shuffled, for each fraction.

    Mixes are nested: what a smaller fraction has of the safety data, a larger one has too, so that
    two mixes differ only by what was added. (`SFTConfig.safety_share` would trade helpful examples
    for safety ones instead.) Raises ValueError when a fraction is not between 0 and 1.
    """
    wrong = [fraction for fraction in fractions if not 0 <= fraction <= 1]
    if wrong:
        raise ValueError(f"fraction {wrong[0]} of the safety data; choose 0 to 1")
    chosen = np.random.default_rng([seed, 31]).permutation(len(safety)).tolist()
    mixes: dict[float, list[T]] = {}
    for fraction in fractions:
        some = [*helpful, *(safety[i] for i in chosen[: round(fraction * len(safety))])]
        order = np.random.default_rng([seed, 32]).permutation(len(some)).tolist()
        mixes[fraction] = [some[i] for i in order]
    return mixes
