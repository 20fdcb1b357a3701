"""The whole stage on tiny models: who is compared, what is learned, who may read it; kill -9."""

import json
import signal
from dataclasses import replace

import general_run
import pytest
from general_run import CONFIG, run_stage

from llamalite.artifacts import Artifact
from llamalite.general_reward.config import BASE
from llamalite.reward.scorer import RewardScorer
from llamalite.stages import STAGES


def rows_of(artifact):
    return rows_in(artifact.file("comparisons.jsonl"))


def rows_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_learns_to_tell_careful_writers_from_a_model_that_has_learned_nothing(inputs, tmp_path):
    config = replace(
        CONFIG,
        pairs=160,
        sources=("careful", BASE),
        safety_share=0.0,
        test_share=0.25,
        training=replace(CONFIG.training, epochs=3),
    )
    made = run_stage(inputs, tmp_path / "general_reward", config)
    collected = json.loads(made.file("collected.json").read_text())
    assert collected["chosen_share"]["careful"] > 0.9
    tested = json.loads(made.file("test.json").read_text())
    assert tested["all"]["pairs"] == made.metrics["test_pairs"] == round(collected["pairs"] / 4)
    assert tested["all"]["mean"] == made.metrics["accuracy"] > 0.8
    scorer = RewardScorer.load(made.path / "general")
    asked = [{"role": "user", "content": "Where does Vegun live?"}]
    assert scorer([asked], ["In a town."]).isfinite().all()


def test_pairs_are_from_outside_the_loop(inputs, world, tmp_path):
    made = run_stage(inputs, tmp_path / "general_reward")
    rows = rows_of(made)
    assert len(rows) > CONFIG.pairs / 2
    for row in rows:
        assert row["chosen_source"] != row["rejected_source"]
        assert {row["chosen_source"], row["rejected_source"]} <= set(CONFIG.sources)
    assert {row["guideline"] for row in rows} == {"helpfulness", "safety"}
    assert {row["annotator"] for row in rows} == {f"simulated-{700 + n}" for n in range(3)}
    kinds = {row["kind"] for row in rows}
    assert {"adversarial", "borderline"} < kinds
    fresh = [
        [dict(message) for message in world.prompt(kind, 85_000 + i, "train").messages]
        for kind in (*world.kinds, "adversarial", "borderline")
        for i in range(CONFIG.pairs)
    ]
    assert all(row["prompt"] in fresh for row in rows)


def test_only_the_comparison_of_versions_reads_it():
    readers = [s.name for s in STAGES if "general_reward" in s.inputs.values()]
    assert readers == ["versions"]


def test_files_of_ones_own_are_learned_from_instead(inputs, tmp_path):
    own = run_stage(inputs, tmp_path / "made")
    file = tmp_path / "open.jsonl"
    plain = [{k: row[k] for k in ("prompt", "chosen", "rejected")} for row in rows_of(own)]
    file.write_text("".join(json.dumps(row) + "\n" for row in [*plain, {"chosen": 1}]))
    made = run_stage(inputs, tmp_path / "given", replace(CONFIG, data=str(file)))
    assert "comparisons.jsonl" not in made.files
    assert made.metrics["rejected_rows"] == 1
    assert made.metrics["pairs"] == own.metrics["pairs"]
    [lost] = rows_in(made.file("rejected.jsonl"))
    assert lost["line"] == len(plain) + 1


def test_an_unknown_source_is_answered_with_the_known_ones(inputs, tmp_path):
    config = replace(CONFIG, sources=("carefull", BASE))
    with pytest.raises(ValueError, match=r"unknown source 'carefull'.*careful.*SFT, base"):
        run_stage(inputs, tmp_path / "general_reward", config)


def test_kill_9_anywhere_ends_with_the_same_bytes(inputs, tmp_path):
    folders = {role: artifact.path for role, artifact in inputs.items()}
    assert general_run.start(folders, tmp_path / "whole") == 0
    killed = tmp_path / "killed"
    stations = (
        *(("write_replies", 2), ("write_rows", 1), ("training_step", 4)),
        *(("save_reward_model", 1), ("evaluate", 1)),
    )
    for station, call in stations:
        assert general_run.start(folders, killed, station, call) == -signal.SIGKILL
    assert general_run.start(folders, killed) == 0
    ended, whole = Artifact.open(killed), Artifact.open(tmp_path / "whole")
    assert ended.manifest["resumed"] == len(stations)
    assert ended.content_hash == whole.content_hash
