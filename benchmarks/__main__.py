"""All benchmarks, or one: python -m benchmarks [training | sampling | ...] [its options]."""

from __future__ import annotations

import argparse
import importlib
import sys

from llamalite.real_models.fetch import fetched_folder

PARTS = ("training", "sampling", "rejection_sampling", "reward", "ppo", "real_weights")
REAL = "real_weights"
"""The part that needs a model which `llamalite fetch` brings, and has no sizes to choose from."""


def main(arguments: list[str]) -> None:
    """Run the part that is named, with its options, or all parts one after the other.

    Among all parts, real weights are timed where they were fetched and no sizes are asked for;
    otherwise a line says that, and why, they are skipped.
    """
    if arguments and not arguments[0].startswith("-"):
        name, *options = arguments
        if name not in PARTS:
            raise SystemExit(f"no benchmark {name!r}; choose among {', '.join(PARTS)}")
        _run(name, options)
        return
    for name in PARTS:
        reason = why_skipped(arguments) if name == REAL else ""
        if reason:
            print(f"real weights: skipped, {reason}", file=sys.stderr)
        else:
            _run(name, arguments)


def why_skipped(arguments: list[str]) -> str:
    """Why real weights cannot be timed here with these options of all parts; empty if they can."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--sizes", nargs="*")
    if parser.parse_known_args(arguments)[0].sizes is not None:
        return "--sizes chooses among the other parts' models"
    try:
        fetched_folder("smollm2")
    except ValueError as error:
        return str(error)
    return ""


def _run(name: str, options: list[str]) -> None:
    importlib.import_module(f"benchmarks.{name}").main(options)


if __name__ == "__main__":
    main(sys.argv[1:])
