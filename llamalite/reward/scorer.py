"""A reward model as a scorer of texts. Llama 2, section 3.2.2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from llamalite.protocols import Dialogue
from llamalite.reward.model import RewardModel, load_reward_model
from llamalite.reward.rows import Encoder, pack_rows
from llamalite.shapes import Float, Tensor
from llamalite.text.tokenizer import Tokenizer

TOKENS_AT_ONCE = 16_384
_ROW = 256
"""Rows of several replies are about this long: longer ones cost attention, shorter ones padding."""


class RewardScorer:
    """`scorer(dialogues, replies)` gives scores_B, unbounded logits; a `protocols.EndReader`.

    A score depends on its own prompt and reply alone, whatever else is in the batch.
    """

    reads_ends: Literal[True] = True

    def __init__(self, model: RewardModel, tokenizer: Tokenizer, length: int | None = None) -> None:
        """`length` in tokens of a prompt with its reply; the model's context unless given."""
        if tokenizer.vocab_size != model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.vocab_size} pieces and the reward model "
                f"{model.config.vocab_size}; they do not belong together"
            )
        self.model = model.eval()
        context = model.config.max_seq_len
        self.encoder = Encoder(tokenizer, min(length or context, context))

    @classmethod
    def load(
        cls,
        folder: str | Path,
        tokenizer: Tokenizer | None = None,
        device: torch.device | str = "cpu",
    ) -> RewardScorer:
        """Read a reward model; refused when it was trained for another than `tokenizer`."""
        saved = load_reward_model(folder, tokenizer, device)
        return cls(saved.model, saved.tokenizer)

    def __call__(
        self,
        dialogues: Sequence[Dialogue],
        replies: Sequence[str],
        finished: Sequence[bool] | None = None,
    ) -> Float[Tensor, " B"]:
        """Scores of B replies to B prompts, float32 on the CPU.

        Replies count as finished unless `finished` says otherwise, see `Encoder.encode`. Raises
        ValueError when the numbers of prompts and replies differ or a prompt is malformed.
        """
        finished = [True] * len(replies) if finished is None else finished
        if not len(dialogues) == len(replies) == len(finished):
            raise ValueError(
                f"{len(dialogues)} dialogues come with {len(replies)} replies and "
                f"{len(finished)} marks of their end; give one each"
            )
        return self.score_ids(
            [
                self.encoder.encode(dialogue, reply, bool(end))
                for dialogue, reply, end in zip(dialogues, replies, finished, strict=True)
            ]
        )

    @torch.no_grad()
    def score_ids(self, sequences: Sequence[Sequence[int]]) -> Float[Tensor, " B"]:
        """Scores of encoded prompts with their replies."""
        sizes = [len(each) for each in sequences]
        scores_B = torch.zeros(len(sequences))
        order = np.argsort(sizes, kind="stable").tolist()
        device = self.model.head.weight.device
        while order:
            longest = sizes[order[-1]]
            count = max(1, TOKENS_AT_ONCE // longest)
            some, order = order[-count:], order[:-count]
            length = min(self.encoder.length, max(longest, _ROW))
            rows = pack_rows([sequences[i] for i in some], length)
            scores_B[some] = self.model(*(each.to(device) for each in rows)).cpu()
        return scores_B
