"""Real runs of two processes over gloo against one: same course, same models."""

import csv
import json
import multiprocessing

import pytest
import torch
from launched import run_together
from sharded_reward_run import process

from llamalite.reward.model import load_reward_model

SERVER = multiprocessing.get_context("forkserver")


def tune(out, world, *inputs):
    (out / "work").mkdir(parents=True)
    codes = run_together(SERVER, process, world, lambda _: (*inputs, out))
    assert codes == [0] * world, "".join(e.read_text() for e in out.glob("error-*.txt")) or codes


def column(folder, model, name):
    with (folder / f"{model}.csv").open() as stream:
        return [float(row[name]) for row in csv.DictReader(stream)]


def test_two_processes_train_the_models_that_one_does(sft, preferences, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    tune(one, 1, sft.path, preferences.path)
    tune(two, 2, sft.path, preferences.path)
    for model in ("helpfulness", "safety"):
        for name in ("loss", "accuracy", "gradient_norm"):
            found = column(two, model, name)
            assert found == pytest.approx(column(one, model, name), rel=5e-3, abs=1e-4), name
        weights, other = (load_reward_model(f / model).model.state_dict() for f in (one, two))
        for name, weight in weights.items():
            torch.testing.assert_close(other[name], weight, rtol=1e-2, atol=2e-3)
    reports = [json.loads((f / "metrics.json").read_text()) for f in (one, two)]
    assert reports[1]["safety_bias_moved"] == pytest.approx(reports[0]["safety_bias_moved"], 1e-2)
    course = [json.loads((f / "held_out.json").read_text())["safety"][-1] for f in (one, two)]
    assert course[1]["loss"] == pytest.approx(course[0]["loss"], rel=5e-3)
