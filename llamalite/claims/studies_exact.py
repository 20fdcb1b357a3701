"""Claims that are arithmetic: P7, P8 and E3. No training, the same at any scale."""

from __future__ import annotations

import math

from llamalite.claims.rules import Exact, Rule
from llamalite.claims.study import Finished, claim
from llamalite.claims.worked_examples import WORKED_EXAMPLES, WorkedExample, ratings_of_table
from llamalite.evaluation.agreement import Agreement, gwet_ac, gwet_ac_from_counts
from llamalite.plan import (
    PAPER_RUNS,
    PAPER_TOTAL_GPU_HOURS,
    PAPER_TOTAL_TCO2EQ,
    PlanConfig,
    carbon_table,
    run_plan,
)
from llamalite.presets import MODELS

RELEASED = {
    # weights in the released checkpoints, and bytes of one token's keys and values in 16 bits
    "7b": (6_738_415_616, 524_288),
    "13b": (13_015_864_320, 819_200),
    "34b": (33_743_970_304, 196_608),  # never released; the shape is Code Llama 34B's
    "70b": (68_976_648_192, 327_680),
}
TABLE_1 = {
    # size as table 1 names it; 70B stands for 68.98, so it is rounded to tens of billions
    "7b billions": (7, 0),
    "13b billions": (13, 0),
    "34b billions": (34, 0),
    "70b billions": (70, -1),
}


@claim(
    "P7",
    Rule(
        "Parameters counted on the meta device equal the released checkpoints' to the last one and "
        "table 1's names when rounded; bytes of an allocated cache equal those of the released "
        "shapes.",
        (
            Exact(
                TABLE_1
                | {f"{name} parameters": (row[0], 0) for name, row in RELEASED.items()}
                | {f"{name} cache bytes": (row[1], 0) for name, row in RELEASED.items()}
            ),
        ),
    ),
)
def parameter_counts(finished: Finished) -> dict[str, float]:
    """Count what the modules really hold; the config's own formula is not asked."""
    import torch

    from llamalite.model.kv_cache import KVCache
    from llamalite.model.transformer import Transformer

    found: dict[str, float] = {}
    for name in RELEASED:
        with torch.device("meta"):
            model = Transformer(MODELS[name])
        cache = KVCache.allocate(MODELS[name], 1, 1, dtype=torch.float16, device="meta")
        parameters = sum(weight.numel() for weight in model.parameters())
        found[f"{name} parameters"] = parameters
        found[f"{name} billions"] = parameters / 1e9
        found[f"{name} cache bytes"] = sum(
            tensor.numel() * tensor.element_size()
            for layer in cache.layers
            for tensor in (layer.keys, layer.values)
        )
    return found


@claim(
    "P8",
    Rule(
        "The emissions of every row of table 2 and their total follow from the printed GPU hours x "
        "power x PUE 1.1 x 0.385 kg/kWh, rows cut to 0.01 t as printed; the rows' GPU hours, which "
        "are given, add up to the printed total. Erratum: the printed rows add up to 538.98, "
        "the printed total of 539.00 is that of the uncut rows.",
        (
            Exact(
                {f"{name} tCO2eq": (run.tco2eq, 2) for name, run in PAPER_RUNS.items()}
                | {
                    "total tCO2eq": (PAPER_TOTAL_TCO2EQ, 2),
                    "total GPU hours": (PAPER_TOTAL_GPU_HOURS, 0),
                }
            ),
        ),
    ),
)
def carbon(finished: Finished) -> dict[str, float]:
    """What `llamalite plan` says of the paper's four runs."""
    found = {f"{name} tCO2eq": run_plan(PlanConfig(preset=name))["tco2eq"] for name in PAPER_RUNS}
    table = carbon_table()
    return found | {"total tCO2eq": table["total"], "total GPU hours": table["gpu_hours"]}


@claim(
    "E3",
    Rule(
        "AC1 and AC2, their standard errors, intervals and chance agreement equal the published "
        "results of five rating studies within the printed rounding. Standard errors of the two "
        "contingency tables (2 abstractors, 2 psychiatrists) are multiplied by sqrt(1 - 1/n) for "
        "their n subjects before they are compared: the source computes tables with a variance "
        "that divides by n, and lists of ratings with one that divides by n - 1, as ours does. "
        "The abstractors' AC1 and AC2 and the psychiatrists' AC1 need it; all else agrees without.",
        (
            Exact(
                {
                    f"{example.name}: {field}": printed
                    for example in WORKED_EXAMPLES
                    for field, printed in example.printed.items()
                }
            ),
        ),
    ),
)
def agreement_statistics(finished: Finished) -> dict[str, float]:
    """Our statistics on the published ratings."""
    return {
        f"{example.name}: {field}": getattr(_agreement(example), field)
        for example in WORKED_EXAMPLES
        for field in example.printed
    }


def _agreement(example: WorkedExample) -> Agreement:
    if example.kind == "counts":
        return gwet_ac_from_counts(example.data, example.weights)
    raw = ratings_of_table(example.data) if example.kind == "table" else example.data
    found = gwet_ac(raw, example.weights)
    if not example.population_variance:
        return found
    shrink = math.sqrt(1 - 1 / found.subjects)  # see the rule of E3
    return found._replace(standard_error=found.standard_error * shrink)
