"""All benchmarks, or one: python -m benchmarks [training | sampling | ...] [its options]."""

from __future__ import annotations

import importlib
import sys

PARTS = ("training", "sampling", "rejection_sampling", "reward", "ppo", "real_weights")


def main(arguments: list[str]) -> None:
    """Run the part that is named, with its options, or all parts one after the other."""
    chosen = PARTS
    if arguments and not arguments[0].startswith("-"):
        if arguments[0] not in PARTS:
            raise SystemExit(f"no benchmark {arguments[0]!r}; choose among {', '.join(PARTS)}")
        chosen, arguments = (arguments[0],), arguments[1:]
    for name in chosen:
        importlib.import_module(f"benchmarks.{name}").main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
