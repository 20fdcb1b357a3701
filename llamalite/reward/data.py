"""Comparisons as pairs of token rows, and the mixes of the two models. Llama 2, section 3.2.2."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from llamalite.preferences.protocol import GUIDELINES, RATINGS, Place
from llamalite.protocols import Dialogue
from llamalite.reward.config import MarginKind
from llamalite.reward.loss import MARGINS
from llamalite.reward.rows import Encoder, Rows, pack_rows
from llamalite.shapes import Bool, Float, Int, Tensor

UNSAFE = {
    "chosen safe": (False, True),
    "both safe": (False, False),
    "both unsafe": (True, True),
}
"""Whether the chosen and the rejected reply are unsafe, by the bin of a safety comparison."""


@runtime_checkable
class Reply(Protocol):
    """What is read of a reply."""

    @property
    def text(self) -> str: ...
    @property
    def finished(self) -> bool: ...


@runtime_checkable
class Comparison(Protocol):
    """What is read of a comparison; those of the preferences stage fit."""

    @property
    def id(self) -> str: ...
    @property
    def batch(self) -> int: ...
    @property
    def guideline(self) -> str: ...
    @property
    def messages(self) -> Dialogue: ...
    @property
    def chosen(self) -> Reply: ...
    @property
    def rejected(self) -> Reply: ...
    @property
    def rating(self) -> str: ...
    @property
    def safety_bin(self) -> str | None: ...


class Pair(NamedTuple):
    """A comparison as token ids."""

    id: str
    batch: int
    """The "week" it was collected in, from 1."""
    guideline: int
    """Place in `GUIDELINES`."""
    rating: int
    """Place in `RATINGS`."""
    chosen: np.ndarray
    rejected: np.ndarray
    unsafe: tuple[bool, bool] | None
    """Of the chosen and the rejected reply; None where nobody said."""


class Unusable(NamedTuple):
    """A comparison that is none to learn from."""

    id: str
    reason: str
    place: Place | None
    """Of its row; None where it was read from no file."""


class EncodedPairs(NamedTuple):
    """Pairs that can be learned from, and what became of the others."""

    pairs: list[Pair]
    identical: list[str]
    """Ids of comparisons whose two rows are the same, cut or as they are."""
    unusable: list[Unusable]
    cut: int
    """Pairs of which a row was cut to length."""

    @property
    def report(self) -> dict[str, int]:
        """What was counted."""
        return {
            "pairs": len(self.pairs),
            "dropped_identical": len(self.identical),
            "dropped_unusable": len(self.unusable),
            "cut_pairs": self.cut,
        }


def encode_pairs(encoder: Encoder, comparisons: Iterable[Comparison]) -> EncodedPairs:
    """Encode comparisons, each prompt once.

    Pairs that are the same after cutting are dropped and named; so are comparisons with a malformed
    prompt, an unknown guideline, rating or bin, or a chosen unsafe reply against a safe one.
    """
    made = EncodedPairs([], [], [], 0)
    cut = 0
    for each in comparisons:
        try:
            pair, was_cut = _encode(encoder, each)
        except ValueError as error:
            place = getattr(each, "place", None)  # made by hand, it has none
            made.unusable.append(Unusable(str(each.id), str(error), place))
            continue
        cut += was_cut
        if np.array_equal(pair.chosen, pair.rejected):
            made.identical.append(pair.id)
        else:
            made.pairs.append(pair)
    return made._replace(cut=cut)


def _encode(encoder: Encoder, each: Comparison) -> tuple[Pair, bool]:
    if each.rating not in RATINGS:
        raise ValueError(f"rating {each.rating!r} is unknown; choose among {', '.join(RATINGS)}")
    if each.guideline not in GUIDELINES:
        raise ValueError(f"guideline {each.guideline!r} is unknown; choose helpfulness or safety")
    unsafe = None
    if each.safety_bin is not None:
        if each.safety_bin not in UNSAFE:
            known = ", ".join(UNSAFE)
            raise ValueError(f"safety bin {each.safety_bin!r} is unknown; choose among {known}")
        unsafe = UNSAFE[each.safety_bin]
    asked = encoder.prompt(each.messages)
    rows, cut = [], False
    for reply in (each.chosen, each.rejected):
        if not reply.text.strip():
            raise ValueError("a reply is empty")
        ids = encoder.reply(asked, reply.text, reply.finished)
        cut |= len(asked.ids) + len(ids) > encoder.length
        rows.append(np.asarray(encoder.cut(asked, ids), dtype=np.int32))
    guideline, rating = GUIDELINES.index(each.guideline), RATINGS.index(each.rating)
    return Pair(str(each.id), each.batch, guideline, rating, rows[0], rows[1], unsafe), cut


# --- which pairs ---------------------------------------------------------------------------------


def split_off(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from, and a share kept from training; the same seed keeps the same ones."""
    kept = set(np.random.default_rng([seed, 11]).permutation(len(pairs))[: int(share * len(pairs))])
    return (
        [pair for i, pair in enumerate(pairs) if i not in kept],
        [pair for i, pair in enumerate(pairs) if i in kept],
    )


def helpfulness_mix(
    helpfulness: Sequence[Pair], rest: Sequence[Pair], rest_per_helpfulness: float, seed: int
) -> list[Pair]:
    """What the helpfulness model learns: all of its own, and as much of the rest. Section 3.2.2.

    "We combine all Meta Helpfulness data with an equal parts of the remaining data uniformly
    sampled". The rest is drawn without repetition; where there is too little, all of it is taken.
    """
    return [*helpfulness, *_draw(rest, round(rest_per_helpfulness * len(helpfulness)), seed)]


def safety_mix(
    safety: Sequence[Pair], helpfulness: Sequence[Pair], helpfulness_share: float, seed: int
) -> list[Pair]:
    """What the safety model learns: all of its own, 90/10 with helpfulness. Section 3.2.2.

    `helpfulness_share` is that of the whole mix; drawn without repetition as far as there are any.
    """
    wanted = round(len(safety) * helpfulness_share / (1 - helpfulness_share))
    return [*safety, *_draw(helpfulness, wanted, seed)]


def _draw(pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    order = np.random.default_rng([seed, 12]).permutation(len(pairs))[:count]
    return [pairs[i] for i in sorted(order.tolist())]


# --- batches -------------------------------------------------------------------------------------


class PairBatch(NamedTuple):
    """B pairs as 2B rows' worth of tokens: the chosen replies first, then the rejected ones."""

    rows: Rows
    margin_B: Float[Tensor, " B"]
    rating_B: Int[Tensor, " B"]
    """Place in `RATINGS`."""
    unsafe_2B: Bool[Tensor, " 2*B"]
    safety_weight_2B: Float[Tensor, " 2*B"]
    """Weight in the auxiliary loss: 0 where nobody said whether the reply is safe."""
    counts: Bool[Tensor, ""]
    """False for filler that gives a process something to do and counts for nothing."""


class Losses(NamedTuple):
    """What a batch carries of the loss."""

    margin: MarginKind
    auxiliary_weight: float


def collate_pairs(pairs: Sequence[Pair], losses: Losses, length: int) -> PairBatch:
    """A batch of these pairs; of none, a batch of filler."""
    replies = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    margins = [MARGINS[losses.margin][pair.rating] for pair in pairs]
    ratings = [pair.rating for pair in pairs]
    unsafe = [bool(p.unsafe and p.unsafe[i]) for i in (0, 1) for p in pairs]
    weights = [losses.auxiliary_weight * (p.unsafe is not None) for _ in (0, 1) for p in pairs]
    if not pairs:
        replies, unsafe, weights = [np.zeros(1, dtype=np.int32)] * 2, [False] * 2, [0.0] * 2
        margins, ratings = [0.0], [0]
    return PairBatch(
        pack_rows(replies, length),
        torch.tensor(margins),
        torch.tensor(ratings),
        torch.tensor(unsafe),
        torch.tensor(weights),
        torch.tensor(bool(pairs)),
    )


def count(batch: PairBatch) -> tuple[int, int]:
    """Pairs and tokens of a batch, filler of the rows included."""
    return int(batch.counts) * len(batch.margin_B), batch.rows.tokens.numel()


class PairPlan:
    """Which pairs stand in which step: each epoch in an order of its own, by number and seed."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        losses: Losses,
        *,
        epochs: int,
        length: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.pairs, self.losses, self.length, self.batch_size = pairs, losses, length, batch_size
        orders = [
            np.random.default_rng([seed, 13, e]).permutation(len(pairs)) for e in range(epochs)
        ]
        self.order: list[int] = np.concatenate(orders).tolist()

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run; the last may have fewer pairs."""
        return -(-len(self.order) // self.batch_size)

    def batch(self, step: int, rank: int = 0, world: int = 1, parts: int = 1) -> list[PairBatch]:
        """One process's share of a step, in `parts` micro-batches."""
        chosen = self.order[step * self.batch_size : (step + 1) * self.batch_size][rank::world]
        return [
            collate_pairs([self.pairs[i] for i in chosen[part::parts]], self.losses, self.length)
            for part in range(parts)
        ]


def composition(pairs: Iterable[Pair]) -> dict[str, Any]:
    """How many pairs of each guideline and rating."""
    pairs = list(pairs)
    return {
        "guidelines": dict(sorted(Counter(GUIDELINES[p.guideline] for p in pairs).items())),
        "ratings": {r: sum(p.rating == i for p in pairs) for i, r in enumerate(RATINGS)},
        "batches": dict(sorted(Counter(p.batch for p in pairs).items())),
    }
