"""The key/value cache: storage for a whole generation, allocated once. Llama 2, section 2.2.

All sequences of a batch end at the same slot. Shorter ones begin later, so a step of
generation writes one column for the whole batch, and what lies left of a sequence's beginning
is masked out. The cache's size is why the larger models use grouped-query attention (A.2.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from llamalite.model.config import ModelConfig
from llamalite.shapes import Int, Tensor


@dataclass
class LayerCache:
    """One layer's keys and values, [B, K, slots, E] each, of which `length` slots are filled."""

    keys: Tensor
    values: Tensor
    length: int = 0

    def append(self, k_BKTE: Tensor, v_BKTE: Tensor) -> tuple[Tensor, Tensor]:
        """Store T more columns and return all that are filled. ValueError when it is full."""
        end = self.length + k_BKTE.shape[2]
        if end > self.keys.shape[2]:
            raise ValueError(
                f"the cache holds {self.keys.shape[2]} tokens and {end} are needed; "
                "allocate a larger one"
            )
        self.keys[:, :, self.length : end] = k_BKTE
        self.values[:, :, self.length : end] = v_BKTE
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class KVCache:
    """Every layer's cache, and where each sequence begins in it."""

    def __init__(self, layers: list[LayerCache], starts_B: Int[Tensor, " B"] | None = None) -> None:
        self.layers = layers
        self.starts_B = starts_B
        self._padding_mask: Tensor | None = None

    @classmethod
    def allocate(
        cls,
        config: ModelConfig,
        batch: int,
        slots: int,
        starts_B: Int[Tensor, " B"] | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> KVCache:
        """Room for `slots` tokens of `batch` sequences; `starts_B` is each one's first slot.

        Takes 2 L K E bytes-per-value a slot and sequence, e.g. 320 KiB for the 70B model in
        half precision. No `starts_B` means that all sequences begin at slot 0.
        """
        shape = (batch, config.n_kv_heads, slots, config.head_dim)
        make = lambda: torch.zeros(shape, dtype=dtype, device=device)  # noqa: E731
        return cls([LayerCache(make(), make()) for _ in range(config.n_layers)], starts_B)

    @property
    def length(self) -> int:
        """Slots filled so far, the same for every sequence."""
        return self.layers[0].length

    @property
    def slots(self) -> int:
        """Slots there are."""
        return self.layers[0].keys.shape[2]

    def positions(self, count: int) -> Int[Tensor, "#B T"]:
        """Positions of the next `count` columns, counted from each sequence's beginning."""
        keys = self.layers[0].keys
        columns = torch.arange(self.length, self.length + count, device=keys.device)[None]
        if self.starts_B is None:
            return columns
        return (columns - self.starts_B[:, None]).clamp(min=0)  # the padding has no position

    def padding_mask(self, end: int, dtype: torch.dtype) -> Tensor:
        """What to add to the scores [B, H, end] of a new token: -inf left of its beginning."""
        assert self.starts_B is not None
        if self._padding_mask is None:  # the same at every step but for its width
            columns = torch.arange(self.slots, device=self.starts_B.device)
            mask = torch.zeros(
                len(self.starts_B), 1, self.slots, dtype=dtype, device=columns.device
            )
            mask.masked_fill_(columns < self.starts_B[:, None, None], float("-inf"))
            self._padding_mask = mask
        return self._padding_mask[:, :, :end]

    def select(self, rows_N: Int[Tensor, " N"], slots: int | None = None) -> KVCache:
        """A cache of the given rows (repeats allowed), with `slots` slots if that is more.

        Samples of one prompt share a prefill this way, and finished sequences are dropped.
        """
        length, slots = self.length, max(slots or 0, self.slots)

        def take(old: Tensor) -> Tensor:
            new = old.new_empty(len(rows_N), old.shape[1], slots, old.shape[3])
            new[:, :, :length] = old[rows_N, :, :length]
            return new

        layers = [LayerCache(take(c.keys), take(c.values), length) for c in self.layers]
        return KVCache(layers, None if self.starts_B is None else self.starts_B[rows_N])
