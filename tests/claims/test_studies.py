"""The studies that train, run for real at a tiny budget: processes, sharing, kill -9, verdicts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from deadly import PATIENCE

from llamalite.claims import all_studies, ledger, run_claims
from llamalite.claims.studies_pretraining import last_slope

pytestmark = pytest.mark.timeout(1800)  # some minutes on two quiet cores, far more on busy ones


def test_results_can_be_judged_again_from_their_files(claims_run, measured):
    shown = (claims_run / "shown.txt").read_text()
    for name, found in measured.items():
        assert found["verdict"] == "not_shown", "one seed decides nothing"
        again, findings = all_studies()[name].rule.judge(found["measurements"])
        assert again == found["verdict"]
        assert [finding.condition for finding in findings] == [
            finding["condition"] for finding in found["findings"]
        ]
        assert found["seconds"] > 0
        assert found["peak_memory_bytes"] > 5e7
        assert name in shown
    assert ledger("ci", claims_run / "results")["not_shown"] == len(measured)


def test_runs_are_shared_and_of_the_seeds_own_world(claims_run):
    manifests = (claims_run / "runs" / "ci-seed1").glob("*/*/manifest.json")
    made = [path.parent.name for path in manifests]
    assert made.count("world") == made.count("tokenizer") == 1
    # P1's two and P2's four, one of which is the same; two of P5, one each of P11 and P12
    assert made.count("pretrain") == 5 + 4
    assert (made.count("cleaned"), made.count("contaminated")) == (2, 1)
    (world,) = (claims_run / "runs").rglob("world.json")
    assert json.loads(world.read_text())["seed"] == 1


def test_measurements_make_sense(measured):
    p2 = measured["P2"]["measurements"][0]
    losses = [np.mean(p2[key]) for key in p2 if key.startswith("loss, ")]
    assert all(0.5 < loss < np.log(768) + 0.5 for loss in losses)
    assert p2["parameters, half"] < p2["parameters, one and a half"]
    assert p2["curve loss, whole"][0] > p2["curve loss, whole"][-1]
    p1 = measured["P1"]["measurements"][0]
    assert len(p1["recall at 1x"]) == len(p1["recall at 3x"]) > 20
    assert set(p1["rumours repeated at 1x"]) <= {0, 1}
    s2 = measured["S2"]["measurements"][0]
    checked = [np.mean(s2[f"approved, {vendor}"]) for vendor in ("careful", "mixed", "careless")]
    assert checked == sorted(checked, reverse=True)
    assert s2["help, ranked first"] == s2["help, careful"]


def test_killed_and_run_again_it_goes_on(claims_run, measured, tmp_path):
    made = [m.parent.parent for m in claims_run.glob("runs/ci-seed1/*/tokenizer/manifest.json")]
    made += [m.parent.parent for m in claims_run.glob("runs/ci-seed1/*/world/manifest.json")]
    for folder in made:
        shutil.copytree(folder, tmp_path / folder.relative_to(claims_run))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("manifest.json")}
    assert len(before) == 2
    script = Path(__file__).with_name("tiny_claims.py")
    command = [sys.executable, script, "P1", tmp_path / "results", tmp_path / "runs"]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not list(tmp_path.rglob("pretrain.partial")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)  # somewhere in the two pretraining runs
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "results").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again = json.loads((tmp_path / "results" / "ci" / "P1.json").read_text())
    assert again["measurements"] == measured["P1"]["measurements"]


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
