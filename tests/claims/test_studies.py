"""The studies that train, run for real at a tiny budget: processes, sharing, kill -9, verdicts."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from deadly import PATIENCE

from llamalite.claims import all_studies, ledger, run_claims
from llamalite.claims.studies_pretraining import last_slope

pytestmark = pytest.mark.timeout(1800)  # some 80 s on two quiet cores, 20 minutes on busy ones

TINY = """
import sys
from llamalite import presets
from llamalite.claims import budgets, run_claims
from llamalite.claims.study import with_settings
if __name__ == "__main__":
    tokens = 20 * presets.RUNS["ci"].pretrain.step_tokens
    presets.RUNS["ci"] = with_settings(
        presets.RUNS["ci"],
        tokenizer={"sample_documents": 1500},
        pretrain={"tokens": tokens},
        sft={"examples": 40},
    )
    budgets.PRETRAINING_TOKENS["ci"] = tokens
    budgets.FEW_EXAMPLES["ci"] = 12
    run_claims(sys.argv[1], [1], "ci", sys.argv[2], sys.argv[3])
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "tiny.py"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def everything(script, tmp_path_factory):
    """All studies that train, one seed, about a minute."""
    folder = tmp_path_factory.mktemp("claims")
    shown = subprocess.run(
        [sys.executable, script, "P1,P2,S1,S2", folder / "results", folder / "runs"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr[-3000:]
    return folder, shown.stdout


def result(folder, name):
    return json.loads((folder / "results" / "ci" / f"{name}.json").read_text())


def test_every_study_measures_what_its_rule_asks(everything):
    folder, shown = everything
    for name in ("P1", "P2", "S1", "S2"):
        found = result(folder, name)
        assert found["verdict"] == "not_shown", "one seed decides nothing"
        again, _ = all_studies()[name].rule.judge(found["measurements"])
        assert again == found["verdict"]
        assert found["seconds"] > 0
        assert found["peak_memory_bytes"] > 5e7
        assert name in shown
    assert ledger("ci", folder / "results")["not_shown"] == 4


def test_runs_are_shared_and_of_the_seeds_own_world(everything):
    folder, _ = everything
    made = [path.parent.name for path in (folder / "runs" / "ci-seed1").glob("*/*/manifest.json")]
    assert sorted(made) == ["pretrain"] * 5 + ["sft"] * 5 + ["tokenizer", "world"]
    (world,) = (folder / "runs").rglob("world.json")
    assert json.loads(world.read_text())["seed"] == 1


def test_measurements_make_sense(everything):
    folder, _ = everything
    p2 = result(folder, "P2")["measurements"][0]
    losses = [np.mean(p2[key]) for key in p2 if key.startswith("loss, ")]
    assert all(0.5 < loss < np.log(768) + 0.5 for loss in losses)
    assert p2["parameters, half"] < p2["parameters, one and a half"]
    assert p2["curve loss, whole"][0] > p2["curve loss, whole"][-1]
    p1 = result(folder, "P1")["measurements"][0]
    assert len(p1["recall at 1x"]) == len(p1["recall at 3x"]) > 20
    assert set(p1["rumours repeated at 1x"]) <= {0, 1}
    s2 = result(folder, "S2")["measurements"][0]
    checked = [np.mean(s2[f"approved, {vendor}"]) for vendor in ("careful", "mixed", "careless")]
    assert checked == sorted(checked, reverse=True)
    assert s2["help, ranked first"] == s2["help, careful"]


def test_killed_and_run_again_it_goes_on(script, everything, tmp_path):
    whole, _ = everything
    command = [sys.executable, script, "P1", tmp_path / "results", tmp_path / "runs"]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (made := list((tmp_path / "runs").rglob("tokenizer/manifest.json"))):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(2.0)  # somewhere in the two pretraining runs
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "results").exists()
    before = {path: path.stat().st_mtime_ns for path in made}
    subprocess.run(command, check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert result(tmp_path, "P1")["measurements"] == result(whole, "P1")["measurements"]


def test_last_slope_is_that_of_the_last_fifth():
    tokens = np.arange(1, 101) * 1e5
    loss = np.where(tokens > 8e6, 3 - 0.25 * (tokens / 1e6 - 8), 99.0)
    assert last_slope(tokens, loss) == pytest.approx(-0.25)
    with pytest.raises(ValueError, match="train longer"):
        last_slope(tokens[::30], loss[::30])


def test_a_failed_job_is_named_with_its_log(tmp_path, monkeypatch):
    from llamalite import presets
    from llamalite.claims.study import with_settings

    broken = with_settings(presets.RUNS["ci"], tokenizer={"mixture": {"no such source": 1.0}})
    monkeypatch.setitem(presets.RUNS, "ci", broken)
    with pytest.raises(ValueError, match=r"tokenizer seed 1 failed: .*log\.txt"):
        run_claims("P1", [1], "ci", tmp_path / "out", tmp_path / "runs", quiet=True)
    assert not (tmp_path / "out").exists()
