"""Real runs of two processes over gloo against one: same rows, same weights."""

import csv
import json
import multiprocessing

import pytest
import torch
from launched import run_together
from safetensors.torch import load_file
from sharded_ppo_run import process

SERVER = multiprocessing.get_context("forkserver")


def tune(folder, world):
    folder.mkdir()
    codes = run_together(SERVER, process, world, lambda _: (folder,))
    assert codes == [0] * world, "".join(e.read_text() for e in folder.glob("error-*.txt")) or codes
    tables = []
    for name in ("iterations.csv", "metrics.csv"):
        with (folder / name).open() as stream:
            tables.append([{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)])
    weights = load_file(folder / "weights.safetensors")
    return *tables, weights, json.loads((folder / "evaluations.json").read_text())


def test_two_processes_equal_one_and_free_what_they_put_together(tmp_path):
    rows, steps, weights, looks = tune(tmp_path / "one", 1)
    other_rows, other_steps, other_weights, other_looks = tune(tmp_path / "two", 2)
    # the weights put together are those that train, and the reference is the policy it began as
    assert other_steps[0]["ratio"] == pytest.approx(1, abs=1e-5)
    assert other_rows[0]["kl_k3"] == pytest.approx(0, abs=1e-5)
    assert other_rows[-1]["kl_k3"] > 1e-3
    for table, other in ((rows, other_rows), (steps, other_steps)):
        assert len(table) == len(other)
        for a, b in zip(table, other, strict=True):
            for name in ("tokens", "tokens_per_second"):  # fillers differ, and so does the clock
                a.pop(name, None), b.pop(name, None)
            assert b == pytest.approx(a, rel=5e-3, abs=2e-4)
    assert other_looks[-1]["objective"] == pytest.approx(looks[-1]["objective"], abs=1e-3)
    for name, weight in weights.items():
        torch.testing.assert_close(other_weights[name], weight, rtol=5e-3, atol=5e-4)
