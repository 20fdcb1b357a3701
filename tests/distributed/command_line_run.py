"""One process of a run from the command line, as torchrun or srun would start it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

# imported once, by the server from which the processes are forked
import llamalite.pretraining.recipe
import llamalite.report
import llamalite.sft.recipe
import llamalite.terminal  # noqa: F401
from llamalite.cli import main


def process(
    arguments: list[str], variables: dict[str, str], folder: Path, rank: int, largest: int
) -> None:
    """`llamalite ARGUMENTS` in such an environment; what it says goes to two files of `folder`.

    It may write no file larger than `largest` bytes, -1 for any, which stands in for a full disk.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    for number, name in ((1, "out"), (2, "err")):
        said = os.open(folder / f"{name}-{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, number)
    for name in [name for name in os.environ if name.startswith(("SLURM_", "TORCHELASTIC_"))]:
        del os.environ[name]
    os.environ |= variables
    sys.exit(main(arguments))
