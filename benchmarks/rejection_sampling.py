"""Speed of rejection sampling's draws beside transformers: python -m benchmarks.rejection_sampling

64 prompts of 32 tokens, 16 samples each of 48 tokens, at temperature 1, no early end. Here the
samples of a prompt share its prefill; `transformers.generate` repeats the prompt for each
(`num_return_sequences`). Both hold the same weights.
"""

from __future__ import annotations

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

GOAL = 2.0
"""Times as fast as transformers, at least."""
COMPILED = "llamalite, compiled"


def measure(size: str, prompts: int, samples: int, new_tokens: int, repeats: int) -> dict[str, Any]:
    """Time one shape."""
    config = SHAPES[size]
    torch.manual_seed(0)
    ours = Transformer(config).eval()
    theirs = transformers_peer(ours).eval()
    check_same_function(ours, {"transformers": theirs})
    tokens = torch.randint(0, config.vocab_size, (prompts, 32))

    def sample_ours(choice: Compile) -> None:
        settings, decoder = SamplingConfig(new_tokens), sampling_decoder(ours, choice, count)
        completions = generate(decoder, tokens.tolist(), settings, eos_id=-1, n=samples)
        assert sum(len(one.ids) for each in completions for one in each) == count

    def sample_theirs() -> None:
        output = theirs.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=new_tokens,
            num_return_sequences=samples,
            do_sample=True,
            top_k=0,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert output[:, tokens.shape[1] :].numel() == count

    count = prompts * samples * new_tokens
    programs = {
        "transformers": sample_theirs,
        "llamalite": lambda: sample_ours("off"),
        COMPILED: lambda: sample_ours("on"),
    }
    runs = summary(interleaved(programs, repeats), "transformers", count, "tokens")
    return {"size": size, "shape": shape(config), "goal": GOAL, "runs": runs}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Parse the command line, measure and print."""
    parser = make_parser(__doc__, repeats=5)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16, help="of each prompt")
    parser.add_argument("--new-tokens", type=int, default=48)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    compiler_seconds()  # before anything is timed
    results = [
        measure(size, options.prompts, options.samples, options.new_tokens, options.repeats)
        for size in options.sizes
    ]
    return print_report(
        {"benchmark": "rejection sampling", "results": results},
        options.json,
        {"tokens / s": lambda run: f"{run['tokens_per_second']:,.0f}"},
        ours=COMPILED,
    )


if __name__ == "__main__":
    main()
