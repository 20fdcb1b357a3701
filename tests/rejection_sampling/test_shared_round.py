"""Real rounds of several processes over gloo against one: the same picks, each its own share."""

import json
import signal

import pytest
import torch
from safetensors.torch import load_file
from shared_round_run import noted, start

from llamalite.rejection_sampling.candidates import read_candidates

PICKS = ("candidates.parquet", "selected.parquet", "curves.json")
"""Files that do not depend on the number of processes at all."""


@pytest.fixture(scope="module")
def begin(artifacts, prompts):
    folders = {name: artifact.path for name, artifact in artifacts.items()}
    return lambda world, *more: start(world, folders, prompts, *more)


@pytest.fixture(scope="module")
def one(begin, tmp_path_factory):
    """The undisturbed round of one process."""
    out = tmp_path_factory.mktemp("one") / "round"
    assert begin(1, out) == [0]
    return out


def calls(out, name, rank):
    file = noted(out, name, rank)
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def assert_same(out, one):
    for name in PICKS:
        assert (out / name).read_bytes() == (one / name).read_bytes(), name
    found, expected = (load_file(each / "model.safetensors") for each in (out, one))
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-2, atol=2e-3)


def standing(out, kind):
    """When each finished file of a kind was written."""
    return {f.name: f.stat().st_mtime_ns for f in (out / "work").glob(f"{kind}-*.parquet")}


def test_two_processes_sample_and_score_a_share_each_and_pick_what_one_does(begin, one, tmp_path):
    two = tmp_path / "round"
    assert begin(2, two) == [0, 0]
    assert_same(two, one)
    files = [[f"p{i}", f"p{i + 1}"] for i in range(0, 10, 2)]
    assert len(read_candidates(two / "candidates.parquet")) == 10 * 8
    for name in ("sample_candidates", "score_candidates"):
        assert calls(one, name, 0) == files
        assert calls(two, name, 0) == [files[0], files[2], files[4]]
        assert calls(two, name, 1) == [files[1], files[3]]
    reports = [json.loads((folder / "metrics.json").read_text()) for folder in (one, two)]
    assert reports[0]["steps"] == reports[1]["steps"] > 3
    for name in ("selected", "prompts_without_usable_reply", "selected_score"):
        assert reports[0][name] == reports[1][name]


def test_kill_9_and_another_number_of_processes_end_with_the_same_bytes(begin, one, tmp_path):
    out = tmp_path / "round"
    # of two the second dies over its second file, 6; of three the first, whose files are 0 and 6,
    # dies over its first scores: of 0, or of 6 if the first of two had scored 0 when it ended
    assert begin(2, out, 1, "sample_candidates", 2)[1] == -signal.SIGKILL
    sampled = standing(out, "sampled")
    assert "sampled-00000002.parquet" in sampled
    assert "sampled-00000006.parquet" not in sampled
    assert begin(3, out, 0, "score_candidates", 1)[0] == -signal.SIGKILL
    assert "scored-00000006.parquet" not in standing(out, "scored")
    assert sampled.items() <= standing(out, "sampled").items()  # what stood was not made again
    assert begin(1, out) == [0]
    assert sampled.items() <= standing(out, "sampled").items()
    for name in (*PICKS, "model.safetensors", "config.json", "tokenizer.model", "held_out.json"):
        assert (out / name).read_bytes() == (one / name).read_bytes(), name


def test_a_round_killed_while_two_tune_is_ended_by_one(begin, one, tmp_path):
    out = tmp_path / "round"
    assert begin(2, out, 1, "tuning", 4)[1] == -signal.SIGKILL
    before = standing(out, "sampled") | standing(out, "scored")
    assert begin(1, out) == [0]
    assert standing(out, "sampled") | standing(out, "scored") == before
    assert len(calls(out, "sample_candidates", 0)) == 3  # all before the kill
    assert json.loads((out / "metrics.json").read_text())["resumed_at"] == 2
    assert_same(out, one)
