"""The claim of appendix A.2.1 about serving: P6, figure 24."""

from __future__ import annotations

import math
from typing import Any

from llamalite.ablations.config import ServingConfig
from llamalite.ablations.variants import attention_variants
from llamalite.claims.budgets import SERVING
from llamalite.claims.rules import Above, Exact, Greater, Rule
from llamalite.claims.study import Finished, claim, own_arm

SHARED = ("GQA", "MQA")


@claim(
    "P6",
    Rule(
        "Three models of the same size serve batches that double until a process of each, allowed "
        "the same memory on top of its weights, has none left. Bytes counted on an allocated cache "
        "shrink by exactly the number of query heads per key/value head. Grouped- and multi-query "
        "attention sustain a larger batch than multi-head, and at multi-head's largest batch "
        "they write more tokens a second (ratios of turns taken one after another). All must hold. "
        "Seeds are repetitions: no training is behind this.",
        (
            Exact({f"bytes, MHA over {name}, less heads/kv-heads": (0, 6) for name in SHARED}),
            *(Greater(f"largest batch, {name}", "largest batch, MHA") for name in SHARED),
            *(Above(f"log throughput, {name} over MHA") for name in SHARED),
        ),
    ),
    arms=own_arm,
    until="world",
)
def serving(finished: Finished) -> dict[str, Any]:
    """Bytes, largest batches, and tokens a second by batch.

    Where a model runs out of memory before multi-head does, throughput is compared at its own
    largest batch: the claim is contradicted by then.
    """
    from llamalite.ablations.serving import serve, tokens_per_second

    settings = SERVING.get(finished.preset.name, SERVING["laptop"])
    config = ServingConfig(**settings)
    models = attention_variants(finished.preset.pretrain.model)
    served = serve(models, config)
    full = served["MHA"]
    if empty := [name for name, one in served.items() if not one.largest]:
        raise ValueError(
            f"{config.budget_mib} MiB hold not one sequence of {config.context} tokens with "
            f"{', '.join(empty)}; raise the budget of SERVING"
        )
    found: dict[str, Any] = {}
    for name, one in served.items():
        found[f"cache bytes of a sequence, {name}"] = one.cache_bytes
        found[f"largest batch, {name}"] = one.largest
        batches = sorted(one.seconds)
        found[f"curve batch, {name}"] = batches
        found[f"curve tokens a second, {name}"] = [
            sum(tokens_per_second(one, config, b)) / config.repeats for b in batches
        ]
    for name in SHARED:
        one, heads = served[name], models[name].n_heads / models[name].n_kv_heads
        found[f"bytes, MHA over {name}, less heads/kv-heads"] = (
            full.cache_bytes / one.cache_bytes - heads
        )
        both = min(full.largest, one.largest)  # a smaller largest batch already contradicts
        found[f"log throughput, {name} over MHA"] = _log_ratios(
            tokens_per_second(one, config, both), tokens_per_second(full, config, both)
        )
        found[f"log throughput at each's largest batch, {name} over MHA"] = _log_ratios(
            tokens_per_second(one, config, one.largest),
            tokens_per_second(full, config, full.largest),
        )
    return found


def _log_ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Natural logarithms of the ratios, turn by turn."""
    return [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
