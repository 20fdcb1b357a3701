"""Shared by all tests: annotated shapes are checked at run time; a busy machine is no failure."""

import multiprocessing
import os

from hypothesis import settings
from jaxtyping import install_import_hook

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two would collapse on a busy machine

SHAPED = (
    *("model", "text.packing", "evaluation", "protocols", "training"),
    *("sft.data", "sft.module", "sft.recipe"),
    *("pretraining.data", "pretraining.module"),
    *(
        "ppo.advantages",
        "ppo.loss",
        "ppo.rollout",
        "reward.loss",
        "reward.combine",
        "reward.metrics",
    ),
)
"""Modules and folders that handle tensors, and what they are given."""
install_import_hook([f"llamalite.{name}" for name in SHAPED], "beartype.beartype")

# Processes of tests are forked off a server that has imported everything once, which saves seconds
# in each. There is one server for all tests, and in Python 3.11 it finds installed modules only.
STAGES = (
    *("pretraining", "sft", "preferences", "reward", "rejection_sampling", "ppo"),
    *("general_reward", "ghost_attention", "safety", "red_teaming"),
)
multiprocessing.get_context("forkserver").set_forkserver_preload(
    ["llamalite.cli", "llamalite.report", *(f"llamalite.{stage}.recipe" for stage in STAGES)]
)

settings.register_profile("llamalite", deadline=None)
settings.load_profile("llamalite")
