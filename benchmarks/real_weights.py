"""Speed on real weights beside `transformers`: python -m benchmarks.real_weights

SmolLM2-135M (`llamalite fetch smollm2`): greedy decoding of one and of eight sequences, reading a
prompt, and a training step. transformers decodes with its dynamic and with its static cache, and
the faster one counts. Repeats are interleaved; ratios are medians of side-by-side ratios, with
their quartiles. Weights of fewer bytes are compared with transformers in float32 too.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers import check_same_function, interleaved, shape, transformers_peer
from benchmarks.reporting import make_parser, print_report, summary
from benchmarks.training import our_loss, peer_loss, step_of
from llamalite.model.config import SamplingConfig
from llamalite.model.decoding import Decoder
from llamalite.model.generate import generate
from llamalite.model.kv_cache import KVCache
from llamalite.model.transformer import Transformer
from llamalite.real_models.fetch import fetched_folder
from llamalite.real_models.folder import open_model

PARTS = ("decoding", "prefill", "training")
OURS, HALF = "llamalite", "llamalite, float16 weights"
MIXED, COMPILED = "llamalite, bfloat16 products", "llamalite, compiled"
GOALS = {
    "decoding, batch 1": {OURS: 1.0, HALF: 1.6},
    "decoding, batch 8": {OURS: 1.3},
    "prefill": {OURS: 1.2},
    "training": {OURS: 1.2},
}
"""Times as fast as transformers in float32, at least."""
BANDWIDTH_GOAL = 0.7
"""Share of the measured memory bandwidth that one sequence in float32 should reach, at least: the
bytes of the weights over the median seconds of a step, over the bytes a second of the fastest of
several sums (`bandwidth`)."""
ROWS, LENGTH = 2, 256
"""A training step's batch."""


def bandwidth(megabytes: int = 512, repeats: int = 7) -> float:
    """Bytes a second at which this machine reads memory: the fastest sum of many numbers."""
    numbers = torch.ones(megabytes * 2**18)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        numbers.sum()
        best = min(best, time.perf_counter() - start)
    return numbers.numel() * 4 / best


def decoding(
    model: Transformer, peer: Any, batch: int, new_tokens: int, repeats: int, speed: float
) -> dict[str, Any]:
    """Greedy decoding of `batch` sequences after a short prompt, no early end."""
    prompts = torch.randint(0, model.config.vocab_size, (batch, 8))
    greedy = SamplingConfig(new_tokens, temperature=0.0)
    decoders = {OURS: Decoder(model), HALF: Decoder(model, "float16")}

    def ours(decoder: Decoder) -> None:
        drawn = generate(decoder, prompts.tolist(), greedy, eos_id=-1)
        assert all(len(reply.ids) == new_tokens for (reply,) in drawn)

    def theirs(cache: str) -> None:
        drawn = peer.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=new_tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
            cache_implementation=cache,
        )
        assert drawn.shape == (batch, 8 + new_tokens)

    runs: dict[str, Callable[[], None]] = {
        f"transformers, {cache} cache": lambda cache=cache: theirs(cache)
        for cache in ("dynamic", "static")
    }
    runs |= {name: lambda d=decoder: ours(d) for name, decoder in decoders.items()}
    result = _result(f"decoding, batch {batch}", runs, repeats, batch * new_tokens)
    for name, run in result["runs"].items():
        step = statistics.median(run["seconds"]) / new_tokens
        run["ms_per_step"] = 1000 * step
        if batch == 1:
            read = model.config.n_parameters * (2 if name == HALF else 4)
            run["share_of_bandwidth"] = read / step / speed
    if batch == 1:
        result["further_goals"] = {OURS: f"{BANDWIDTH_GOAL:.0%} of bandwidth at the median step"}
    return result


def prefill(model: Transformer, peer: Any, length: int, repeats: int) -> dict[str, Any]:
    """Reading one prompt up to the logits of what follows it."""
    prompt = torch.randint(0, model.config.vocab_size, (1, length))

    def ours() -> None:
        with torch.inference_mode():
            decoder.prefill(prompt, KVCache.allocate(model.config, 1, length))

    def theirs() -> None:
        with torch.inference_mode():
            peer(prompt, use_cache=True, logits_to_keep=1)

    decoder = Decoder(model)
    runs = {"transformers": theirs, OURS: ours}
    return _result("prefill", runs, repeats, length)


def training(model: Transformer, peer: Any, repeats: int, compiled: bool) -> dict[str, Any]:
    """A step of forward, backward, clip and update on a fixed batch."""
    tokens = torch.randint(0, model.config.vocab_size, (ROWS, LENGTH + 1))
    batch = (tokens[:, :-1], tokens[:, 1:], torch.ones(ROWS, LENGTH, dtype=torch.bool))
    runs = {
        "transformers": step_of(peer, peer_loss, batch, compiled=False),
        OURS: step_of(model, our_loss, batch, compiled=False),
        MIXED: step_of(model, _mixed_loss, batch, compiled=False),
    }
    if compiled:
        runs[COMPILED] = step_of(model, our_loss, batch, compiled=True)
    return _result("training", runs, repeats, ROWS * LENGTH)


def _mixed_loss(model: torch.nn.Module, *batch: torch.Tensor) -> torch.Tensor:
    """The loss with matrix products in bfloat16, as `parallel.precision` bf16 trains."""
    with torch.autocast("cpu", torch.bfloat16):
        return our_loss(model, *batch)


def _result(
    part: str, runs: dict[str, Callable[[], None]], repeats: int, tokens: int
) -> dict[str, Any]:
    """Time a part's runs; transformers' fastest is what they are compared with."""
    seconds = interleaved(runs, repeats)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    peer = min((name for name in runs if "transformers" in name), key=medians.__getitem__)
    found = summary(seconds, peer, tokens, "tokens")
    for run in found.values():
        ratios = [a / b for a, b in zip(seconds[peer], run["seconds"], strict=True)]
        run["quartiles"] = (
            statistics.quantiles(ratios, n=4, method="inclusive")[::2]
            if len(ratios) > 1
            else ratios * 2
        )
    return {"size": part, "goal": GOALS[part], "fastest_peer": peer, "runs": found}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Parse the command line, measure and print; without the model, one line says how to get it."""
    parser = make_parser(__doc__, repeats=5, sizes=False)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--prompt-length", type=int, default=512, help="tokens")
    parser.add_argument("--compiled", action="store_true", help="time our compiled step too")
    parser.add_argument("--model", default=None, help="a model folder instead of smollm2's")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        model = open_model(options.model or fetched_folder("smollm2")).model
    except ValueError as error:
        raise SystemExit(f"real weights: {error}") from None
    peer = transformers_peer(model).eval()
    check_same_function(model, {"transformers": peer})
    speed = bandwidth()
    results = []
    if "decoding" in options.parts:
        for batch in (1, 8):
            results.append(decoding(model, peer, batch, options.new_tokens, options.repeats, speed))
    if "prefill" in options.parts:
        results.append(prefill(model, peer, options.prompt_length, options.repeats))
    if "training" in options.parts:
        results.append(training(model, peer, options.repeats, options.compiled))
    report = {
        "benchmark": "real weights",
        "bytes_per_second": speed,
        "bandwidth_goal": BANDWIDTH_GOAL,
        "shape": shape(model.config),
        "results": results,
    }
    columns = {
        "tokens / s": lambda run: f"{run['tokens_per_second']:,.1f}",
        "quartiles": lambda run: "{:.2f} to {:.2f}".format(*run["quartiles"]),
        "share of bandwidth": lambda run: (
            f"{run['share_of_bandwidth']:.0%}" if "share_of_bandwidth" in run else ""
        ),
    }
    report = print_report(report, options.json, columns, OURS)
    if not options.json:
        print(f"memory: {speed / 1e9:.1f} GB/s, the fastest of several sums of many numbers")
    return report


if __name__ == "__main__":
    main()
