"""Batched sampling from a model. Llama 2, section 3.2.3 samples K replies to every prompt.

Prompts of any lengths share a batch; the N samples of a prompt share one prefill; finished
sequences leave the batch. What a sequence samples depends on the seed, its prompt and its index
only, not on the batch it is decoded in (but for the last digits of the logits).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from llamalite.model.config import ModelConfig, SamplingConfig
from llamalite.model.decoding import Decoder
from llamalite.model.kv_cache import KVCache
from llamalite.model.sampling import uniform_numbers
from llamalite.model.transformer import Transformer
from llamalite.progress import tell
from llamalite.shapes import Float, Tensor

__all__ = ["Completion", "SamplingConfig", "generate", "stream"]

DEFAULT_BATCH_SIZE = 256
CHECK_EVERY = 8
"""Steps between looks for finished sequences; a look waits for the device."""


class Completion(NamedTuple):
    """One sampled reply."""

    ids: list[int]
    """The reply's token ids, without the end-of-sequence token."""
    logprobs: list[float]
    """Log-probability (nats) of each sampled token, the final end-of-sequence included, under
    the model itself: what the trainer computes for the same tokens, whatever the temperature."""
    finished: bool
    """Whether the model ended the reply, and not the limit."""


class _Row(NamedTuple):
    """A row of a batch: which prompt, which of its samples, and how many tokens it may get."""

    prompt: int
    sample: int
    limit: int
    uniform: Tensor


@torch.inference_mode()
def generate(
    model: Transformer | Decoder,
    prompts: Sequence[list[int]],
    sampling: SamplingConfig,
    *,
    eos_id: int,
    n: int = 1,
    seed: int = 0,
    batch_size: int | None = None,
    on_token: Callable[[int, int, int], None] | None = None,
    enough: Callable[[list[int]], bool] | None = None,
) -> list[list[Completion]]:
    """Sample `n` replies to each prompt of token ids; the result is indexed [prompt][sample].

    A `Decoder` in the model's place spares laying out the weights once more, and may read them in
    fewer bytes. `eos_id` ends a reply (-1: nothing does). At most `batch_size` sequences (256
    unless told) are decoded at once. `on_token(prompt, sample, id)` hears every token of a reply
    as it is drawn; how many replies are done is told as in `llamalite.progress`. `enough(ids)` is
    asked every few tokens whether a reply can be given up, as where it holds a stop string; it may
    go on for some tokens more, and counts as not finished. Raises ValueError when a prompt is
    empty, leaves no room in the context, or has ids outside the vocabulary.
    """
    if n < 1:
        raise ValueError(f"n is {n}; at least 1 sample per prompt is needed")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    decoder = _decoder(model)
    limits = [_room(decoder.config, i, prompt, sampling) for i, prompt in enumerate(prompts)]
    results: list[list[Completion]] = [[] for _ in prompts]
    rows = batch_size or DEFAULT_BATCH_SIZE
    samples_at_once = min(n, rows)
    prompts_at_once = rows // samples_at_once
    done = 0
    # Prompts of like length share a batch, so that little of it is padding.
    by_length = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for first in range(0, len(prompts), prompts_at_once):
        chosen = by_length[first : first + prompts_at_once]
        prefilled = _prefill(decoder, [prompts[i] for i in chosen])
        for first_sample in range(0, n, samples_at_once):
            samples = range(first_sample, min(first_sample + samples_at_once, n))
            batch = [
                _Row(i, j, limits[i], uniform_numbers(seed, (i, j), limits[i]))
                for i in chosen
                for j in samples
            ]
            origin = [row for row in range(len(chosen)) for _ in samples]

            def report(gone: int, before: int = done) -> None:
                tell("replies", before + gone, len(prompts) * n)

            completions = _decode(
                decoder, prefilled, origin, batch, sampling, eos_id, on_token, report, enough
            )
            for row, completion in zip(batch, completions, strict=True):
                results[row.prompt].append(completion)
            done += len(batch)
    return results


@torch.inference_mode()
def stream(
    model: Transformer | Decoder,
    prompt: list[int],
    sampling: SamplingConfig,
    *,
    eos_id: int,
    seed: int = 0,
) -> Iterator[int]:
    """Yield the ids of one reply as they are drawn: those `generate` gives for this seed."""
    decoder = _decoder(model)
    limit = _room(decoder.config, 0, prompt, sampling)
    prefilled, logits_BV = _prefill(decoder, [prompt])
    uniform = uniform_numbers(seed, (0, 0), limit).to(logits_BV.device)
    cache = prefilled.select(torch.zeros(1, dtype=torch.long), len(prompt) + limit)
    for step in range(limit):
        tokens_B, _ = decoder.sample(logits_BV, uniform[step : step + 1], sampling)
        if (token := int(tokens_B)) == eos_id:
            return
        yield token
        if step + 1 < limit:
            logits_BV = decoder.step(tokens_B, cache)


def _decoder(model: Transformer | Decoder) -> Decoder:
    if isinstance(model, Decoder):
        return model
    return Decoder(getattr(model, "_orig_mod", model))  # a compiled one compiles for every length


def _room(config: ModelConfig, index: int, prompt: list[int], sampling: SamplingConfig) -> int:
    """How many tokens may follow a prompt; ValueError when the prompt cannot be continued."""
    if not prompt:
        raise ValueError(f"prompt {index} is empty; begin it with the bos token")
    if len(prompt) >= config.max_seq_len:
        raise ValueError(
            f"prompt {index} has {len(prompt)} tokens, which leaves no room in a context of "
            f"{config.max_seq_len}; shorten it"
        )
    if not 0 <= min(prompt) <= max(prompt) < config.vocab_size:
        raise ValueError(
            f"prompt {index} has ids from {min(prompt)} to {max(prompt)} and the vocabulary has "
            f"{config.vocab_size}; encode it with the model's own tokenizer"
        )
    return min(sampling.max_new_tokens, config.max_seq_len - len(prompt))


def _prefill(decoder: Decoder, prompts: list[list[int]]) -> tuple[KVCache, Tensor]:
    """Read the prompts once: their cache, and the logits of what follows each."""
    weight = decoder.model.tok_embeddings.weight
    lengths = [len(prompt) for prompt in prompts]
    longest = max(lengths)
    starts_B = None
    if min(lengths) < longest:
        starts_B = torch.tensor([longest - length for length in lengths], device=weight.device)
    cache = KVCache.allocate(
        decoder.config, len(prompts), longest, starts_B, weight.dtype, weight.device
    )
    tokens_BT = torch.tensor([[0] * (longest - len(p)) + p for p in prompts], device=weight.device)
    return cache, decoder.prefill(tokens_BT, cache)


def _decode(
    decoder: Decoder,
    prefilled: tuple[KVCache, Float[Tensor, "P V"]],
    origin: list[int],
    batch: list[_Row],
    sampling: SamplingConfig,
    eos_id: int,
    on_token: Callable[[int, int, int], None] | None,
    report: Callable[[int], None],
    enough: Callable[[list[int]], bool] | None,
) -> list[Completion]:
    """Decode a batch whose row b continues prefilled prompt origin[b], until all are done."""
    cache, logits_BV = prefilled
    device, steps = logits_BV.device, max(row.limit for row in batch)
    origin_B = torch.tensor(origin, device=device)
    cache, logits_BV = cache.select(origin_B, cache.length + steps - 1), logits_BV[origin_B]
    uniform_BR = pad_sequence([row.uniform for row in batch], batch_first=True).to(device)
    limits_B = torch.tensor([row.limit for row in batch], device=device)
    limits = set(limits_B.tolist())
    ids_BR = torch.full((len(batch), steps), -1, device=device)
    logprobs_BR = torch.zeros((len(batch), steps), device=device)
    alive = torch.arange(len(batch), device=device)  # which of the batch each cache row holds
    recent: list[tuple[Tensor, Tensor]] = []  # what the rows drew since the last look
    ended: set[int] = set()
    for step in range(1, steps + 1):
        tokens_B, logprobs_B = decoder.sample(logits_BV, uniform_BR[:, step - 1], sampling)
        recent.append((tokens_B, logprobs_B))
        if on_token:
            for index, token in zip(alive.tolist(), tokens_B.tolist(), strict=True):
                if token == eos_id or step > batch[index].limit:
                    ended.add(index)
                if index not in ended:
                    on_token(batch[index].prompt, batch[index].sample, token)
        if step in limits or len(recent) == CHECK_EVERY:
            ids_BR[alive, step - len(recent) : step] = torch.stack([ids for ids, _ in recent], 1)
            logprobs_BR[alive, step - len(recent) : step] = torch.stack([lp for _, lp in recent], 1)
            recent.clear()
            going = (ids_BR[alive, :step] != eos_id).all(1) & (limits_B[alive] > step)
            if enough:
                given_up = [enough(ids) for ids in ids_BR[alive, :step].tolist()]
                going &= ~torch.tensor(given_up, device=device)
            kept = going.nonzero()[:, 0]
            report(len(batch) - len(kept))
            if not len(kept):
                break
            # Dropping rows copies the cache, which costs about a step, so a few finished ones
            # may stay on; not at the end of the context, where there is no step to take.
            if len(kept) < 0.9 * len(alive) or step in limits:
                alive, tokens_B, uniform_BR = alive[kept], tokens_B[kept], uniform_BR[kept]
                cache = cache.select(kept)
        logits_BV = decoder.step(tokens_B, cache)
    lists = zip(ids_BR.tolist(), logprobs_BR.tolist(), batch, strict=True)
    return [_completion(ids, values, row.limit, eos_id) for ids, values, row in lists]


def _completion(ids: list[int], logprobs: list[float], limit: int, eos_id: int) -> Completion:
    """Cut a row of drawn tokens at its end of sequence, or at its limit."""
    if eos_id in ids[:limit] and eos_id >= 0:
        end = ids.index(eos_id)
        return Completion(ids[:end], logprobs[: end + 1], True)
    drawn = ids.index(-1) if -1 in ids[:limit] else limit  # less where a reply was given up
    return Completion(ids[:drawn], logprobs[:drawn], False)
