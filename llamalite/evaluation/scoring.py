"""How likely a model finds given text: batches of unequal rows, and sums with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from llamalite.evaluation.bootstrap import bootstrap_interval, wilson_interval
from llamalite.progress import tell
from llamalite.shapes import Tensor

BATCH_TOKENS = 8192
"""Tokens of one forward pass, padding included."""


class Scored(NamedTuple):
    """What a model says of a row's tokens, given those before each."""

    logprobs: np.ndarray
    """Log-probability (nats) of each."""
    likeliest: np.ndarray
    """Whether each is the token that greedy decoding would take."""


def token_logprobs(
    model: Any,
    rows: Sequence[Sequence[int]],
    starts: Sequence[int] | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> list[np.ndarray]:
    """Log-probabilities (nats) of each row's tokens from `starts[i]` on; see `token_scores`."""
    return [each.logprobs for each in token_scores(model, rows, starts, batch_tokens)]


@torch.no_grad()
def token_scores(
    model: Any,
    rows: Sequence[Sequence[int]],
    starts: Sequence[int] | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> list[Scored]:
    """How likely each row's tokens from `starts[i]` on are, given those before.

    `starts` are at least 1, the default: a first token has nothing before it. Rows are grouped by
    length, and logits are computed only where they are asked for. How many rows are done is told as
    in `llamalite.progress`. Raises ValueError for a row longer than the model's context plus
    one, or a start outside its row.
    """
    starts = [1] * len(rows) if starts is None else starts
    context = model.config.max_seq_len
    for row, start in zip(rows, starts, strict=True):
        if len(row) - 1 > context:
            raise ValueError(
                f"a row of {len(row)} tokens does not fit a context of {context}; shorten it"
            )
        if not 1 <= start <= len(row):
            raise ValueError(
                f"start {start} lies outside a row of {len(row)} tokens; give 1 or more"
            )
    device = next(model.parameters()).device
    out = [Scored(np.empty(0), np.empty(0, dtype=bool))] * len(rows)
    done = 0
    for batch in _batches(rows, batch_tokens):
        width = max(len(rows[i]) for i in batch) - 1
        tokens_BT = torch.zeros(len(batch), width, dtype=torch.long)
        targets_BT = torch.zeros(len(batch), width, dtype=torch.long)
        wanted_BT = torch.zeros(len(batch), width, dtype=torch.bool)
        for place, i in enumerate(batch):
            row = torch.tensor(rows[i], dtype=torch.long)
            tokens_BT[place, : len(row) - 1] = row[:-1]
            targets_BT[place, : len(row) - 1] = row[1:]
            wanted_BT[place, starts[i] - 1 : len(row) - 1] = True
        hidden_BTD = model.hidden(tokens_BT.to(device))
        wanted_BT = wanted_BT.to(device)
        chosen = _chosen(model, hidden_BTD[wanted_BT], targets_BT.to(device)[wanted_BT])
        counts = [len(rows[i]) - starts[i] for i in batch]
        parts = (torch.split(values, counts) for values in chosen)
        for i, logprobs, likeliest in zip(batch, *parts, strict=True):
            out[i] = Scored(logprobs.double().cpu().numpy(), likeliest.cpu().numpy())
        done += len(batch)
        tell("texts scored", done, len(rows))
    return out


def windows(ids: Sequence[int], context: int) -> list[list[int]]:
    """A long document as rows that fit the context; each token after the first stands in one.

    A row begins with the last token of the row before, from which its first is predicted.
    """
    return [list(ids[i : i + context + 1]) for i in range(0, max(1, len(ids) - 1), context)]


def estimate(values: ArrayLike, resamples: int = 1000) -> dict[str, Any]:
    """Mean of per-item values with its 95 % bootstrap interval over items, for a result file.

    Of no items nothing was measured: `mean`, `low` and `high` are None (null in the file).
    """
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        return {"mean": None, "low": None, "high": None, "n": 0}
    interval = bootstrap_interval(array, resamples=resamples)
    return _rounded(*interval, array.size)


def share(successes: Sequence[bool | int]) -> dict[str, Any]:
    """A share with its Wilson interval as result files hold it; None for each when n is 0.

    Wilson's interval stays honest where nothing was seen at all: of false refusals the paper counts
    1 in some 16,000 (figure 33), and a bootstrap of none would say 0 to 0.
    """
    n = len(successes)
    if not n:
        return {"mean": None, "low": None, "high": None, "n": 0}
    return {**wilson_interval(sum(map(bool, successes)), n)._asdict(), "n": n}


def ratio_estimate(
    numerators: ArrayLike, denominators: ArrayLike, resamples: int = 1000
) -> dict[str, Any]:
    """Sum over sum (as nats per token over documents) with its interval; documents are resampled.

    The denominators are positive. Percentile bootstrap, as `bootstrap_interval`.
    """
    top, bottom = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    drawn = np.random.default_rng(0).integers(top.size, size=(resamples, top.size))
    low, high = np.quantile(top[drawn].sum(1) / bottom[drawn].sum(1), [0.025, 0.975])
    return _rounded(top.sum() / bottom.sum(), low, high, top.size)


def perplexity(nats: float) -> float:
    """exp of a loss in nats per token; infinite where that overflows."""
    return math.exp(nats) if nats < 700 else math.inf


def _batches(rows: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of rows in groups of like length whose padded size stays below the limit."""
    order = sorted((i for i in range(len(rows)) if len(rows[i]) > 1), key=lambda i: len(rows[i]))
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * len(rows[i]) > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _chosen(
    model: Any, hidden_ND: Tensor, targets_N: Tensor, rows: int = 4096
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target, and whether it is the likeliest token.

    The [N, V] logits exist for `rows` of them at a time.
    """
    logprobs, likeliest = [hidden_ND.new_zeros(0)], [targets_N.new_zeros(0, dtype=torch.bool)]
    for start in range(0, len(targets_N), rows):
        logits_NV = model.logits(hidden_ND[None, start : start + rows])[0].float()
        targets = targets_N[start : start + rows]
        logprobs.append(logits_NV.gather(1, targets[:, None])[:, 0] - logits_NV.logsumexp(1))
        likeliest.append(logits_NV.argmax(1) == targets)
    return torch.cat(logprobs), torch.cat(likeliest)


def _rounded(mean: float, low: float, high: float, n: int) -> dict[str, Any]:
    return {
        "mean": round(float(mean), 6),
        "low": round(float(low), 6),
        "high": round(float(high), 6),
        "n": int(n),
    }
