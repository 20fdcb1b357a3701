"""`llamalite ARGUMENTS` as torchrun starts it, where process 1 kills itself in a training step.

torchrun killed_rank.py MICRO_BATCH ARGUMENTS: at the beginning of that micro-batch, from 1.
"""

import sys

from deadly import arm

from llamalite.cli import main
from llamalite.processes import started
from llamalite.training import TrainingModule

if __name__ == "__main__":
    if started()[0] == 1:
        arm(TrainingModule, "training_step", int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
