"""Replies of the present policy, and what three networks say of every token. Section 3.2.3.

A row is the prompt's tokens, the reply's, filler; B rows, T columns. Replies alone are R columns,
from the row's own beginning. An action is a token of the reply, the end of sequence included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from llamalite.model.generate import Completion
from llamalite.shapes import Bool, Float, Int, Tensor


class Trajectory(NamedTuple):
    """One reply to each of B prompts. All fields are plain tensors on the CPU."""

    tokens_BT: Tensor
    """Prompt, reply and filler (0); int64."""
    prompt_lengths_B: Tensor
    reply_lengths_B: Tensor
    """Actions of each reply, at least 1; the end of sequence counts."""
    finished_B: Tensor
    """Whether the policy ended the reply, and not the limit; bool."""
    logprobs_BR: Tensor
    """Of each action under the policy that drew it, nats."""
    reference_BR: Tensor
    """Of each action under the original policy, nats."""
    values_BR: Tensor
    """Expected return before each action."""

    def mask(self) -> Bool[Tensor, "B R"]:
        """True on actions."""
        return length_mask(self.reply_lengths_B, self.logprobs_BR.shape[1])

    def replies(self) -> Int[Tensor, "B R"]:
        """The actions' token ids; anything under the mask."""
        R = self.logprobs_BR.shape[1]
        columns_BR = positions(self.prompt_lengths_B, R, self.tokens_BT.shape[1]) + 1
        return self.tokens_BT.gather(1, columns_BR.clamp(max=self.tokens_BT.shape[1] - 1))


class MiniBatch(NamedTuple):
    """What one gradient step learns from."""

    tokens_BT: Tensor
    prompt_lengths_B: Tensor
    replies_BR: Tensor
    mask_BR: Tensor
    old_logprobs_BR: Tensor
    old_values_BR: Tensor
    advantages_BR: Tensor
    returns_BR: Tensor

    def rows(self, chosen: Sequence[int]) -> MiniBatch:
        """Some rows, cut to the longest of them."""
        index = torch.tensor(chosen, dtype=torch.long)
        few = MiniBatch(*(field[index] for field in self))
        replies_B = few.mask_BR.sum(1)
        R, T = int(replies_B.max()), int((few.prompt_lengths_B + replies_B).max())
        widths = [T if name == "tokens_BT" else R for name in self._fields]
        return MiniBatch(
            *(f if f.ndim == 1 else f[:, :w] for f, w in zip(few, widths, strict=True))
        )


def count(batch: MiniBatch) -> tuple[int, int]:
    """Actions, and all tokens that are read."""
    return int(batch.mask_BR.sum()), batch.tokens_BT.numel()


def length_mask(lengths_B: Int[Tensor, " B"], width: int) -> Bool[Tensor, "B R"]:
    """True in each row's first `lengths_B` columns of `width`."""
    return torch.arange(width, device=lengths_B.device)[None] < lengths_B[:, None]


def positions(prompt_lengths_B: Int[Tensor, " B"], width: int, columns: int) -> Int[Tensor, "B R"]:
    """The column from which each action was predicted: the one before it, within the row."""
    offsets = torch.arange(width, device=prompt_lengths_B.device)
    return (prompt_lengths_B[:, None] - 1 + offsets).clamp(max=columns - 1)


def collate(
    prompts: Sequence[list[int]], completions: Sequence[Completion], eos_id: int
) -> Trajectory:
    """Rows of prompts and their replies, padded on the right; reference and values are still 0.

    A finished reply of ids [5, 6] to the prompt [1, 4], eos 2, is the row [1, 4, 5, 6, 2] with
    three actions; cut by the limit, it is [1, 4, 5, 6] with two.
    """
    actions = [[*c.ids, eos_id] if c.finished else c.ids for c in completions]
    rows = [torch.tensor(p + a) for p, a in zip(prompts, actions, strict=True)]
    logprobs_BR = _pad([torch.tensor(c.logprobs) for c in completions])
    assert all(len(a) == len(c.logprobs) for a, c in zip(actions, completions, strict=True))
    return Trajectory(
        _pad(rows),
        torch.tensor([len(prompt) for prompt in prompts]),
        torch.tensor([len(action) for action in actions]),
        torch.tensor([c.finished for c in completions]),
        logprobs_BR,
        torch.zeros_like(logprobs_BR),
        torch.zeros_like(logprobs_BR),
    )


def join(parts: Sequence[Trajectory]) -> Trajectory:
    """Trajectories one below the other, as wide as the widest."""
    fields = zip(*parts, strict=True)
    return Trajectory(*(_pad([row for part in field for row in part]) for field in fields))


@torch.no_grad()
def per_action(
    trajectory: Trajectory,
    measure: Callable[[Tensor, Tensor, Tensor], Float[Tensor, "B R"]],
    device: torch.device,
    at_once: int,
) -> Float[Tensor, "B R"]:
    """`measure(tokens_BT, prompt_lengths_B, replies_BR)` of all rows, some at once; on the CPU."""
    inputs = (trajectory.tokens_BT, trajectory.prompt_lengths_B, trajectory.replies())
    parts = [
        measure(*(each[i : i + at_once].to(device) for each in inputs)).float().cpu()
        for i in range(0, len(trajectory.tokens_BT), at_once)
    ]
    return torch.cat(parts)


def _pad(rows: Sequence[Tensor]) -> Any:
    if rows[0].ndim == 0:
        return torch.stack(list(rows))
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
