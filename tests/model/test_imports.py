"""What the model's folder may load: nothing for its configuration, no trainer for the rest."""

import subprocess
import sys

import pytest

MODULES = [
    "checkpoint",
    "decoding",
    "generate",
    "hf",
    "kv_cache",
    "layers",
    "loss",
    "meta",
    "projection",
    "sampling",
    "transformer",
]


def loaded_by(*modules: str) -> set[str]:
    imports = "; ".join(f"import llamalite.model.{name}" for name in modules)
    program = f"import sys; {imports}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_configuration_needs_no_torch():
    assert not {"torch", "numpy", "jaxtyping"} & loaded_by("config")


@pytest.mark.filterwarnings("ignore")
def test_model_loads_no_trainer():
    loaded = loaded_by(*MODULES)
    assert "torch" in loaded
    assert not {"lightning", "pytorch_lightning", "transformers"} & loaded
