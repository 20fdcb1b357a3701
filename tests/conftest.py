"""For all tests: shapes in annotations are checked at run time; one thread keeps numbers equal."""

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # and two would collapse on a busy machine

from jaxtyping import install_import_hook

install_import_hook(["llamalite.model", "llamalite.text.packing"], "beartype.beartype")

from hypothesis import settings

settings.register_profile("llamalite", deadline=None)  # a busy machine is not a failure
settings.load_profile("llamalite")
