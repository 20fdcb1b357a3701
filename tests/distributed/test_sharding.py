"""Real runs of two processes over gloo against one: same losses, exchangeable checkpoints."""

from __future__ import annotations

import csv
import multiprocessing
from pathlib import Path

import pytest
import torch
from launched import run_together
from safetensors.torch import load_file
from sharded_run import process

from llamalite import parallel
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.training_config import ParallelConfig

SERVER = multiprocessing.get_context("forkserver")


def train(
    folder: Path, data_parallel=1, tensor_parallel=1, steps=12, recompute=False
) -> list[float]:
    """Losses of a run, step by step, of this and of earlier runs in the folder."""
    world = data_parallel * tensor_parallel
    arguments = (folder, data_parallel, tensor_parallel, steps, recompute)
    codes = run_together(SERVER, process, world, lambda _: (folder, arguments))
    assert codes == [0] * world, "".join(e.read_text() for e in folder.glob("error-*.txt")) or codes
    with (folder / "metrics.csv").open() as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return train(folder), load_file(folder / "weights.safetensors")


def assert_same(losses, weights, alone):
    expected_losses, expected_weights = alone
    assert losses == pytest.approx(expected_losses, abs=1e-4)
    assert losses[-1] < losses[0] - 0.05  # it did train
    assert weights.keys() == expected_weights.keys()
    for name, weight in expected_weights.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("data_parallel", "tensor_parallel", "recompute"),
    [(2, 1, True), (1, 2, False), (2, 2, False)],
    ids=["fsdp", "tensor", "both"],
)
def test_sharded_training_equals_one_process(
    tmp_path, alone, data_parallel, tensor_parallel, recompute
):
    losses = train(tmp_path, data_parallel, tensor_parallel, 12, recompute)
    assert_same(losses, load_file(tmp_path / "weights.safetensors"), alone)


def test_a_checkpoint_of_two_resumes_on_one_and_back(tmp_path, alone):
    train(tmp_path, 2, 1, steps=4)
    (sharded,) = tmp_path.glob("resume-*")
    assert sharded.is_dir()
    train(tmp_path, 1, 1, steps=8)
    (single,) = tmp_path.glob("resume-*")
    assert single.is_file()
    losses = train(tmp_path, 2, 1, steps=12)
    assert_same(losses, load_file(tmp_path / "weights.safetensors"), alone)


def test_every_matrix_is_split_and_every_name_is_known():
    # the plan goes by the names of the model's parts: renaming one must not silently unsplit it
    config = ModelConfig(max_seq_len=32)
    model = Transformer(config)
    for block in parallel.blocks(model):
        names = {name.split(".")[-1] for name, part in block.named_modules() if part is not block}
        assert {"wq", "wk", "wv", "wo", "w1", "w2", "w3"} <= names
    assert len(parallel.blocks(model)) == config.n_layers
    tops = {name for name, _ in model.named_children()}
    assert {"tok_embeddings", "output"} <= tops


def test_fp16_is_refused_when_sharded():
    config = ParallelConfig(accelerator="cpu", data_parallel=2, precision="fp16")
    with pytest.raises(ValueError, match="fp16 does not go with sharding"):
        parallel.trainer_arguments(config)


def test_processes_divide_among_nodes():
    with pytest.raises(ValueError, match="3 processes do not divide among 2 nodes"):
        ParallelConfig(data_parallel=3, nodes=2)
