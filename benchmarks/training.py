"""Training speed beside transformers and litgpt: python -m benchmarks.training

Same Llama shape, weights, batch, loss and fused AdamW, fp32. The peers run as their users run them
(eager); compiled they are timed as well, for honesty. Repeats are interleaved, and the ratio is the
median of side-by-side ratios.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.peers import (
    PEERS,
    SHAPES,
    check_same_function,
    interleaved,
    peer_logits,
    shape,
)
from benchmarks.reporting import make_parser, print_report, summary
from llamalite.model.loss import next_token_loss
from llamalite.model.transformer import Transformer
from llamalite.training import make_optimizer
from llamalite.training_config import OptimizerConfig

BATCHES = {"1.0M": 32, "8.3M": 16}
"""Rows of a batch."""
LENGTH = 256
"""Tokens of a row."""
GOALS = {"1.0M": 1.4, "8.3M": 1.3}
"""Times as fast as the faster of the peers, at least."""
OURS = "llamalite, compiled"


def our_loss(model: nn.Module, tokens_BT: Tensor, targets_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean loss of a batch, as the pretraining module computes it on unpacked rows."""
    return next_token_loss(model(tokens_BT), targets_BT, mask_BT)


def peer_loss(model: nn.Module, tokens_BT: Tensor, targets_BT: Tensor, _: Tensor) -> Tensor:
    """The same mean in plain PyTorch."""
    return cross_entropy(peer_logits(model, tokens_BT).flatten(0, 1), targets_BT.flatten())


def step_of(
    model: nn.Module, loss: Callable[..., Tensor], batch: tuple[Tensor, ...], compiled: bool
) -> Callable[[], None]:
    """One optimizer step on a fixed batch: forward, backward, clip, update."""
    optimizer = make_optimizer(model, OptimizerConfig(lr=1e-4))
    function = torch.compile(loss, dynamic=False) if compiled else loss

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        function(model, *batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def matmul_peak(seconds: float = 1.0) -> float:
    """Floating point operations per second of this machine's best fp32 matrix product."""
    best = 0.0
    for width in (512, 1024, 2048):
        a, b = torch.randn(width, width), torch.randn(width, width)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            start = time.perf_counter()
            a @ b
            best = max(best, 2 * width**3 / (time.perf_counter() - start))
    return best


def measure(size: str, repeats: int, peak: float) -> dict[str, Any]:
    """Time one shape in every program, eager and compiled."""
    config = SHAPES[size]
    torch.manual_seed(0)
    ours = Transformer(config)
    peers = {name: make(ours) for name, make in PEERS.items()}
    check_same_function(ours, peers)
    rows = BATCHES[size]
    tokens = torch.randint(0, config.vocab_size, (rows, LENGTH + 1))
    batch = (tokens[:, :-1], tokens[:, 1:], torch.ones(rows, LENGTH, dtype=torch.bool))

    programs = {"llamalite": (ours, our_loss)} | {
        name: (peer, peer_loss) for name, peer in peers.items()
    }
    runs, first = {}, {}
    for name, (model, loss) in programs.items():
        for label, compiled in ((name, False), (f"{name}, compiled", True)):
            torch._dynamo.reset()
            runs[label] = step_of(model, loss, batch, compiled)
            start = time.perf_counter()
            runs[label]()
            first[label] = time.perf_counter() - start
    seconds = interleaved(runs, repeats, warm_ups=2)

    medians = {name: statistics.median(times) for name, times in seconds.items()}
    fastest = min(PEERS, key=medians.__getitem__)
    compile_seconds = first[OURS] - medians[OURS]
    saved = medians["llamalite"] - medians[OURS]
    # 6 N D for the weights that multiply, and 12 L D T for the scores (Kaplan et al., 2020)
    weights = config.n_parameters - config.vocab_size * config.dim
    attention = 12 * config.n_layers * config.n_heads * config.head_dim * LENGTH
    flops = (6 * weights + attention) * rows * LENGTH
    found = summary(seconds, fastest, rows * LENGTH, "tokens")
    for name, run in found.items():
        run["share_of_matmul_peak"] = flops / medians[name] / peak
    return {
        "size": size,
        "shape": shape(config),
        "batch": [rows, LENGTH],
        "goal": GOALS[size],
        "faster_peer": fastest,
        "compile_seconds": compile_seconds,
        "steps_that_pay": math.ceil(compile_seconds / saved) if saved > 0 else None,
        "runs": found,
    }


def show_compiling(report: dict[str, Any]) -> None:
    """Print what the table has no room for."""
    print(f"fp32 matrix product: {report['matmul_flops'] / 1e9:.0f} GFLOP/s")
    for result in report["results"]:
        pays = result["steps_that_pay"]
        when = f"pays after {pays} steps" if pays else "did not pay here"
        print(
            f"{result['size']}: faster peer {result['faster_peer']}; "
            f"compiling took {result['compile_seconds']:.1f} s and {when}"
        )


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Parse the command line, measure and print."""
    parser = make_parser(__doc__, repeats=9)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    peak = matmul_peak()
    results = [measure(size, options.repeats, peak) for size in options.sizes]
    report = print_report(
        {"benchmark": "training", "matmul_flops": peak, "results": results},
        options.json,
        {
            "tokens / s": lambda run: f"{run['tokens_per_second']:,.0f}",
            "share of fp32 peak": lambda run: f"{run['share_of_matmul_peak']:.0%}",
        },
        OURS,
    )
    if not options.json:
        show_compiling(report)
    return report


if __name__ == "__main__":
    main()
