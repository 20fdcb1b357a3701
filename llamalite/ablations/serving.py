"""How many sequences a model serves at once before memory runs out, and how fast. Figure 24.

As in the paper, the batch is doubled until there is no memory left. Every model lives in a process
of its own whose memory the system limits, so that running out is the real thing; the models take
turns at each batch, so that all share the machine's weather. The weights are random: neither bytes
nor seconds depend on their values.
"""

from __future__ import annotations

import ctypes
import re
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from llamalite.ablations.config import ServingConfig
from llamalite.model.config import ModelConfig, SamplingConfig
from llamalite.model.generate import generate
from llamalite.model.kv_cache import KVCache
from llamalite.model.transformer import Transformer

STATUS = Path("/proc/self/status")
"""Where Linux tells a process how much memory it has taken."""


@dataclass
class Served:
    """What one model did."""

    parameters: int
    cache_bytes: int
    """Of one sequence, prompt and answer, counted on the tensors of an allocated cache."""
    seconds: dict[int, list[float]] = field(default_factory=dict)
    """Batch -> seconds of each turn; the batches that fit."""
    failed: int | None = None
    """The batch for which there was no memory; None when doubling ended before."""

    @property
    def largest(self) -> int:
        """Largest batch that fitted, 0 when not even one sequence did."""
        return max(self.seconds, default=0)


def serve(
    models: Mapping[str, ModelConfig],
    config: ServingConfig,
    on_progress: Callable[[str], None] | None = None,
) -> dict[str, Served]:
    """Serve growing batches with every model, in turns, until its memory runs out.

    Linux only (the limit on a process's data is Linux's), on the CPU, with the caller's number of
    threads. `on_progress` hears what is tried. Raises ValueError elsewhere.
    """
    if not STATUS.exists():
        raise ValueError("a memory budget can be kept on Linux only; run this there")
    found: dict[str, Served] = {}
    with ExitStack() as stack:
        pools: dict[str, ProcessPoolExecutor] = {}
        for name, model in models.items():
            model = replace(model, max_seq_len=config.context + config.new_tokens)
            pools[name] = stack.enter_context(
                ProcessPoolExecutor(
                    1, get_context("spawn"), _set_up, (model, config, torch.get_num_threads())
                )
            )
            found[name] = Served(model.n_parameters, cache_bytes(model, 1, model.max_seq_len))
        for turn in range(1 + config.repeats):
            _take_turn(pools, found, config, turn, on_progress or (lambda what: None))
    return found


def _take_turn(
    pools: Mapping[str, ProcessPoolExecutor],
    found: Mapping[str, Served],
    config: ServingConfig,
    turn: int,
    say: Callable[[str], None],
) -> None:
    """Every batch with every model that has memory for it; the first turn finds out which have."""
    batch = 1
    while batch <= config.largest:
        for name, pool in pools.items():
            served = found[name]
            if served.failed is not None and batch >= served.failed:
                continue
            say(f"{name}, {batch} at once")
            seconds = pool.submit(_answer, batch).result()
            if seconds is None:  # where it once went well it was a close thing: not counted
                served.failed = batch
                served.seconds = {b: taken for b, taken in served.seconds.items() if b < batch}
            elif turn == 0:
                served.seconds[batch] = []
            else:
                served.seconds[batch].append(seconds)
        batch *= 2


def cache_bytes(model: ModelConfig, batch: int, slots: int, device: str = "cpu") -> int:
    """Bytes of the storage behind a key/value cache that is really allocated, in float32."""
    cache = KVCache.allocate(model, batch, slots, device=device)
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


# --- in a model's own process --------------------------------------------------------------------

_served: tuple[Transformer, ServingConfig]


def _set_up(model: ModelConfig, config: ServingConfig, threads: int) -> None:
    """Build the model, answer once so that every library is loaded, and set the limit."""
    import resource

    global _served
    torch.set_num_threads(threads)
    _return_memory()
    _served = Transformer(model).eval(), config
    _generate(1)
    taken = re.search(r"VmData:\s*(\d+) kB", STATUS.read_text(encoding="utf-8"))
    assert taken is not None
    limit = 1024 * int(taken.group(1)) + 2**20 * config.budget_mib
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _return_memory() -> None:
    """Have the C library give freed tensors back to the system at once, as far as it is GNU's.

    It would keep them for later, in pieces that depend on what came before, and they would count
    against the limit.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for option in (-1, -3):  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
            library.mallopt(option, 2**17)


def _answer(batch: int) -> float | None:
    """Seconds a batch takes; None when memory runs out."""
    try:
        return _generate(batch)
    except MemoryError:
        return None
    except RuntimeError as error:  # PyTorch's, when an allocation fails
        if "memory" not in str(error):
            raise
        return None


def _generate(batch: int) -> float:
    model, config = _served
    prompt = [token % model.config.vocab_size for token in range(config.context)]
    sampling = SamplingConfig(config.new_tokens)
    began = time.perf_counter()
    (answers,) = generate(model, [prompt], sampling, eos_id=-1, n=batch, batch_size=batch)
    assert sum(len(answer.ids) for answer in answers) == batch * config.new_tokens
    return time.perf_counter() - began


# --- what follows from it ------------------------------------------------------------------------


def tokens_per_second(served: Served, config: ServingConfig, batch: int) -> list[float]:
    """Throughput of every turn at a batch."""
    return [batch * config.new_tokens / seconds for seconds in served.seconds[batch]]


def plain(found: Mapping[str, Served], config: ServingConfig) -> dict[str, Any]:
    """Figures for a file or a page: by model, with the median turn's throughput by batch."""
    return {
        name: {
            "parameters": served.parameters,
            "cache_bytes": served.cache_bytes,
            "largest": served.largest,
            "failed": served.failed,
            "tokens_per_second": {
                batch: statistics.median(tokens_per_second(served, config, batch))
                for batch in served.seconds
            },
        }
        for name, served in found.items()
    }
