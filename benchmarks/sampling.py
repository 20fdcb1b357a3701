"""Sampling speed beside `transformers.generate`: python -m benchmarks.sampling

64 prompts of 32 tokens, 64 new tokens each, at temperature 1, no early end. Both programs hold
the same weights; repeats are interleaved, and the ratio is the median of side-by-side ratios. Ours
lays out its weights anew in every run.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers import (
    SHAPES,
    check_same_function,
    compiler_seconds,
    interleaved,
    shape,
    transformers_peer,
)
from benchmarks.reporting import make_parser, print_report, summary
from llamalite.model.compiled import sampling_decoder
from llamalite.model.config import SamplingConfig
from llamalite.model.generate import generate
from llamalite.model.transformer import Transformer
from llamalite.training_config import Compile

GOALS = {"1.0M": 2.5, "8.3M": 1.7}
"""Times as fast as transformers, at least."""
PLAIN, COMPILED = "llamalite", "llamalite, compiled"


def measure(
    size: str, prompts: int, prompt_length: int, new_tokens: int, repeats: int, compiling: float
) -> dict[str, Any]:
    """Time one shape; milliseconds per step are of the whole batch, its prefill included.

    `compiling` is how many seconds the compiler took.
    """
    config = SHAPES[size]
    torch.manual_seed(0)
    ours = Transformer(config).eval()
    theirs = transformers_peer(ours).eval()
    check_same_function(ours, {"transformers": theirs})
    tokens = torch.randint(0, config.vocab_size, (prompts, prompt_length))
    mixed = [ids[i % 8 :] for i, ids in enumerate(tokens.tolist())]
    sampling = SamplingConfig(new_tokens)

    def sample_ours(
        ids: list[list[int]],
        n: int = 1,
        settings: SamplingConfig = sampling,
        choice: Compile = "on",
    ) -> None:
        decoder = sampling_decoder(ours, choice, prompts * new_tokens)
        completions = generate(decoder, ids, settings, eos_id=-1, n=n)
        assert all(len(c.ids) == new_tokens for samples in completions for c in samples)

    def sample_theirs() -> None:
        output = theirs.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=new_tokens,
            do_sample=True,
            top_k=0,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert output.shape == (prompts, prompt_length + new_tokens)

    runs: dict[str, Callable[[], None]] = {
        "transformers": sample_theirs,
        PLAIN: lambda: sample_ours(tokens.tolist(), choice="off"),
        COMPILED: lambda: sample_ours(tokens.tolist()),
        f"{COMPILED}, prompts of different length": lambda: sample_ours(mixed),
        f"{COMPILED}, 4 samples a prompt": lambda: sample_ours(tokens[::4].tolist(), 4),
        f"{COMPILED}, top-p 0.9": lambda: sample_ours(
            tokens.tolist(), settings=SamplingConfig(new_tokens, top_p=0.9)
        ),
    }
    seconds = interleaved(runs, repeats)
    found = summary(seconds, "transformers", prompts * new_tokens, "tokens")
    for run in found.values():
        run["ms_per_step"] = 1000 * statistics.median(run["seconds"]) / new_tokens
    saved = (found[PLAIN]["ms_per_step"] - found[COMPILED]["ms_per_step"]) / 1000
    return {
        "size": size,
        "shape": shape(config),
        "goal": GOALS[size],
        "compile_seconds": compiling,
        "steps_that_pay": math.ceil(compiling / saved) if saved > 0 else None,
        "runs": found,
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Parse the command line, measure and print."""
    parser = make_parser(__doc__, repeats=7)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--prompt-length", type=int, default=32, help="tokens")
    parser.add_argument("--new-tokens", type=int, default=64)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    compiling = compiler_seconds()
    work = (options.prompts, options.prompt_length, options.new_tokens, options.repeats)
    results = [measure(size, *work, compiling) for size in options.sizes]
    report = print_report(
        {"benchmark": "sampling", "results": results},
        options.json,
        {
            "ms / step": lambda run: f"{run['ms_per_step']:.2f}",
            "tokens / s": lambda run: f"{run['tokens_per_second']:,.0f}",
        },
        ours=COMPILED,
    )
    for result in () if options.json else results:
        pays = result["steps_that_pay"]
        when = f"pays after {pays} steps" if pays else "did not pay here"
        print(f"{result['size']}: compiling took {compiling:.1f} s and {when}")
    return report


if __name__ == "__main__":
    main()
