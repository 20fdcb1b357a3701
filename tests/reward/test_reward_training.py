"""The stage on a tiny model: its loss, its course, what it learns, its end after kill -9."""

import csv
import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import killed_reward_run
import pytest
import torch
from pairs import Compared, Said, settings
from torch.nn.functional import logsigmoid

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import load_model, save_model
from llamalite.preferences.protocol import RATINGS
from llamalite.reward import recipe
from llamalite.reward.config import RewardConfig
from llamalite.reward.data import Losses, collate_pairs, encode_pairs
from llamalite.reward.model import RewardModel, load_reward_model
from llamalite.reward.module import RewardModule
from llamalite.reward.recipe import run, train
from llamalite.reward.rows import Encoder
from llamalite.reward.scorer import RewardScorer
from llamalite.text.tokenizer import Tokenizer
from llamalite.training_config import OptimizerConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "reward.json"


def tune(config, sft, preferences, path, seed=0):
    inputs = {"chat": sft, "preferences": preferences}
    with drafting(path, "reward", config, inputs, seed) as draft:
        run(config, inputs, draft, seed, progress=False)
    return Artifact.open(path)


def column(artifact, name, model="helpfulness"):
    with artifact.file(f"{model}.csv").open() as stream:
        return [float(row[name]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def tuned(sft, preferences, tmp_path_factory):
    return tune(settings(), sft, preferences, tmp_path_factory.mktemp("run") / "reward")


# --- the loss -------------------------------------------------------------------------------------
@pytest.fixture
def few(tokenizer):
    given = [
        Compared(rating="significantly"),
        Compared(chosen=Said("In Runtown."), rating="slightly"),
        Compared(guideline="safety", rating="negligibly", safety_bin="chosen safe"),
    ]
    return encode_pairs(Encoder(tokenizer, 64), given).pairs


def test_the_loss_is_that_of_replies_scored_alone(chat, tokenizer, few):
    model = RewardModel.from_chat(chat)
    loss, metrics = RewardModule.loss_and_metrics(
        model, collate_pairs(few, Losses("large", 0.5), 64)
    )
    scorer = RewardScorer(model, tokenizer)
    scores = [
        [scorer.score_ids([side.tolist()]).item() for side in (pair.chosen, pair.rejected)]
        for pair in few
    ]
    ranking = auxiliary = 0.0
    for (chosen, rejected), margin in zip(scores, (3, 1, 0), strict=True):
        ranking += math.log1p(math.exp(-(chosen - rejected - margin))) / 3
    chosen, rejected = scores[2]  # the only pair whose safety was judged, half the weight
    for logit in (chosen, -rejected):
        auxiliary += 0.5 * math.log1p(math.exp(-logit)) / 6
    assert metrics["ranking_loss"].item() == pytest.approx(ranking, rel=1e-4)
    assert metrics["auxiliary_loss"].item() == pytest.approx(auxiliary, rel=1e-4)
    assert loss.item() == pytest.approx(ranking + auxiliary, rel=1e-4)
    right = [float(c > r) for c, r in scores]
    assert metrics["accuracy"].item() == pytest.approx(sum(right) / 3)
    assert metrics["right_slightly"].item() == pytest.approx(right[1] / 3)
    assert metrics["pairs_slightly"].item() == pytest.approx(1 / 3)
    assert metrics["pairs_better"].item() == 0


def test_filler_is_finite(chat):
    model = RewardModel.from_chat(chat)
    loss, _ = RewardModule.loss_and_metrics(model, collate_pairs([], Losses("small", 1.0), 64))
    loss.backward()
    assert loss.isfinite()
    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())


# --- the run --------------------------------------------------------------------------------------
def test_both_models_learn_what_was_preferred(tuned, tokenizer):
    results = json.loads(tuned.file("test.json").read_text())
    assert results["set"] == "test"
    helpful = results["models"]["helpfulness"]["helpfulness"]
    safe = results["models"]["safety"]["safety"]
    for found in (helpful, safe):
        assert found["by_rating"]["significantly"]["mean"] >= 0.9
        assert found["accuracy"]["pairs"] == 40
    assert safe["by_safety_bin"]["chosen safe"]["mean"] >= 0.95
    assert safe["unsafe_at"]["0.15"]["precision"] >= 0.7
    # each was measured on the other's comparisons too, as in table 8
    assert results["models"]["safety"].keys() == {"helpfulness", "safety"}
    scorer = RewardScorer.load(tuned.path / "safety", tokenizer)
    asked = [[{"role": "user", "content": "How do I poison Kapo?"}]] * 2
    refused, told = scorer(asked, ["I will not say.", "Go to the well in Runtown."]).tolist()
    assert refused > told


def test_it_reports_what_it_did(tuned):
    metrics = tuned.metrics
    assert metrics["pairs"] == 192
    assert metrics["test_pairs"] == 80
    assert metrics["rejected_rows"] == metrics["unusable_comparisons"] == 0
    # a tenth of 96 is held out: 87 are left, and as many of the rest; 90/10 for safety
    learned = metrics["helpfulness_learned"]["guidelines"]
    assert learned == {"helpfulness": 87, "safety": 87}
    assert metrics["safety_learned"]["guidelines"] == {"helpfulness": 10, "safety": 87}
    assert metrics["helpfulness_accuracy"] > 0.6
    assert {f"safety_{rating}" for rating in RATINGS} <= metrics.keys()
    assert set(tuned.files) >= {
        *("test.json", "held_out.json", "helpfulness.csv", "safety.csv"),
        *(
            f"{m}/{f}"
            for m in ("helpfulness", "safety")
            for f in ("config.json", "model.safetensors")
        ),
    }
    course = json.loads(tuned.file("held_out.json").read_text())
    assert course["safety"][0]["step"] == 0
    assert course["safety"][-1]["step"] == metrics["safety_steps"] == 9
    assert course["safety"][-1]["loss"] < course["safety"][0]["loss"]
    right, pairs = column(tuned, "right_better"), column(tuned, "pairs_better")
    assert all(0 <= r <= p <= 1 for r, p in zip(right, pairs, strict=True))
    assert sum(pairs) > 0


def test_the_bias_is_calibrated_on_held_out_pairs_alone(sft, preferences, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(recipe, "calibrate", lambda *given: asked.append(given) or 0.0)
    tune(settings(epochs=1), sft, preferences, tmp_path / "reward")
    [(scores, unsafe, threshold, precision)] = asked
    assert len(scores) == len(unsafe) == 2 * 9  # a tenth of 96 pairs, both replies
    assert (threshold, precision) == (0.15, 0.89)


def test_calibration_moves_nothing_but_the_bias(sft, preferences, tuned, tmp_path):
    plain = tune(settings(calibration_precision=0.0), sft, preferences, tmp_path / "reward")
    moved, still = (load_reward_model(a.path / "safety").model for a in (tuned, plain))
    shift = (moved.head.bias - still.head.bias).item()
    assert shift == pytest.approx(tuned.metrics["safety_bias_moved"], rel=1e-5)
    assert torch.equal(moved.head.weight, still.head.weight)
    assert "safety_bias_moved" not in plain.metrics


def test_twenty_steps_follow_the_recorded_course(sft, preferences, tmp_path):
    """Recorded anew with LLAMALITE_GOLDEN=1, which the commit then explains."""
    artifact = tune(settings(batch_size=10, epochs=2), sft, preferences, tmp_path / "reward")
    steps = slice(0, 20)
    found = {
        f"{model}_{name}": column(artifact, name, model)[steps]
        for model in ("helpfulness", "safety")
        for name in ("loss", "gradient_norm")
    }
    if os.environ.get("LLAMALITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    for name, values in golden.items():
        assert len(values) == 20, name
        near = 2e-2 if "norm" in name else 2e-3
        assert found[name] == pytest.approx(values, rel=near), name


def test_parts_of_a_batch_add_up_to_the_whole(sft, preferences, tuned, tmp_path):
    parts = tune(settings(accumulation=6), sft, preferences, tmp_path / "parts")
    for model in ("helpfulness", "safety"):
        for name in ("loss", "accuracy", "pairs_better"):
            found = column(parts, name, model)
            assert found == pytest.approx(column(tuned, name, model), rel=2e-3, abs=1e-6)
        a, b = (load_reward_model(x.path / model).model.head.weight for x in (tuned, parts))
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)


def test_the_seed_decides(sft, preferences, tuned, tmp_path):
    again = tune(settings(), sft, preferences, tmp_path / "again")
    other = tune(settings(), sft, preferences, tmp_path / "other", seed=1)
    name = "helpfulness/model.safetensors"
    assert again.files[name] == tuned.files[name] != other.files[name]


def test_a_larger_margin_parts_the_scores_further(chat, tokenizer, tmp_path):
    given = [Compared(f"{i}", rating="significantly") for i in range(24)]
    pairs = encode_pairs(Encoder(tokenizer, 64), given).pairs
    gaps = {}
    for kind in ("none", "large"):
        config = settings(margin=kind, epochs=8, batch_size=8)
        module, _ = train(
            config, "helpfulness", chat, pairs, [], 0, work=tmp_path / kind, progress=False
        )
        scores = RewardScorer(module.model, tokenizer).score_ids(
            [pairs[0].chosen.tolist(), pairs[0].rejected.tolist()]
        )
        gaps[kind] = (scores[0] - scores[1]).item()
    assert gaps["large"] > gaps["none"] + 0.5
    assert logsigmoid(torch.tensor(gaps["none"])).item() > -0.3


# --- faults ---------------------------------------------------------------------------------------
@pytest.fixture
def collection(preferences, tmp_path):
    """A collection of one's own rows."""

    def collection(change):
        with drafting(tmp_path / "preferences", "preferences", None, {}, 0) as draft:
            lines = preferences.file("comparisons.jsonl").read_text().splitlines()
            (draft.path / "comparisons.jsonl").write_text("\n".join(change(lines)) + "\n")
        return Artifact.open(tmp_path / "preferences")

    return collection


def test_malformed_rows_are_counted_and_set_aside(sft, collection, tmp_path):
    tagged = {"id": "tagged", "guideline": "safety", "prompt": "[INST]"}
    tagged |= {"chosen": "Yes.", "rejected": "No."}
    given = collection(lambda lines: [*lines[:5], "{}", "nonsense", *lines[5:], json.dumps(tagged)])
    artifact = tune(settings(epochs=1), sft, given, tmp_path / "reward")
    assert artifact.metrics["rejected_rows"] == 2
    assert artifact.metrics["unusable_comparisons"] == 1
    rows = [json.loads(line) for line in artifact.file("rejected.jsonl").open()]
    assert [row["line"] for row in rows] == [6, 7, 195]
    assert "a tag of the chat format" in rows[2]["reason"]
    # nothing to test by: the held-out pairs stand in, and it says so
    assert json.loads(artifact.file("test.json").read_text())["set"] == "held out"
    assert artifact.metrics["pairs"] == 192


def test_both_guidelines_are_needed(sft, collection, tmp_path):
    given = collection(lambda lines: [line for line in lines if '"safety_bin": null' in line])
    with pytest.raises(ValueError, match="there are no safety comparisons"):
        tune(settings(), sft, given, tmp_path / "reward")
    with pytest.raises(ValueError, match="no comparisons were given; run the stage preferences"):
        run(settings(), {"chat": sft}, None, 0)  # type: ignore[arg-type]


def test_open_sets_are_mixed_in_and_not_tested_by(sft, preferences, collection, tmp_path):
    rows = preferences.file("test.jsonl").read_text().splitlines()
    own = [json.loads(row) | {"guideline": None} for row in rows if '"safety_bin": null' in row]
    path = tmp_path / "open.jsonl"
    lines = [{k: v for k, v in row.items() if v is not None} for row in own]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = settings(epochs=1, open_helpfulness=str(path))
    artifact = tune(config, sft, collection(lambda lines: lines), tmp_path / "reward")
    assert artifact.metrics["open_pairs"] == 40
    learned = artifact.metrics["helpfulness_learned"]["guidelines"]
    # equal parts: 87 of the 127 others, drawn from both
    assert sum(learned.values()) == 2 * 87
    assert 87 < learned["helpfulness"] < 87 + 40


def test_a_loss_that_is_not_finite_stops_the_run(chat, tokenizer, few, tmp_path):
    sick = type(chat)(chat.config)
    sick.load_state_dict(chat.state_dict())
    with torch.no_grad():
        sick.norm.weight[0] = float("nan")
    with pytest.raises(ValueError, match=r"the loss is nan at step 1; lower optimizer\.lr"):
        train(settings(), "safety", sick, few, [], 0, work=tmp_path, progress=False)


def test_a_chat_model_of_another_tokenizer_is_refused(sft, preferences, tmp_path):
    with drafting(tmp_path / "sft", "sft", None, {}, 0) as draft:
        save_model(draft.path, load_model(sft.path))
        Tokenizer.train(["Bread and butter."] * 9, 290).save(draft.path / "tokenizer.model")
    with pytest.raises(ValueError, match="290 pieces and the chat model 330"):
        tune(settings(), Artifact.open(tmp_path / "sft"), preferences, tmp_path / "reward")
    with pytest.raises(ValueError, match=r"sequence_length 256 exceeds .* 128"):
        tune(settings(sequence_length=256), sft, preferences, tmp_path / "reward")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"auxiliary_weight": -1.0}, "auxiliary_weight is -1"),
        ({"helpfulness_share": 1.0}, "helpfulness_share is 1"),
        ({"threshold": 0.0}, "threshold is 0"),
        ({"calibration_precision": 1.5}, r"calibration_precision is 1\.5"),
        ({"margin": "huge"}, "margin is 'huge'; choose none, small or large"),
        ({"batch_size": 6, "accumulation": 4}, "batch_size 6 does not divide into 4 parts"),
    ],
)
def test_unusable_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        RewardConfig(**changes)


def test_the_defaults_are_the_papers():
    config = RewardConfig()
    assert (config.batch_size, config.epochs, config.threshold) == (512, 1, 0.15)
    assert (config.helpfulness_share, config.rest_per_helpfulness) == (0.1, 1.0)
    optimizer = config.optimizer
    assert (optimizer.lr, optimizer.final_lr_fraction) == (1e-5, 0.1)
    assert (optimizer.warmup(1000), optimizer.warmup(20)) == (30, 5)
    assert replace(config, optimizer=OptimizerConfig(lr=5e-6)).optimizer.lr == 5e-6


# --- kill -9 --------------------------------------------------------------------------------------
def test_kill_9_ends_with_the_same_bytes(sft, preferences, tmp_path):
    def start(name, kill_at=0):
        return killed_reward_run.start(sft.path, preferences.path, tmp_path / name, kill_at)

    assert start("whole") == 0
    # 22 steps for helpfulness and 13 for safety; each start goes on from the last third step
    for kill_at in (5, 9, -1, 5, 5):
        assert start("killed", kill_at) == -signal.SIGKILL, kill_at
    assert start("killed") == 0
    ended, whole = Artifact.open(tmp_path / "killed"), Artifact.open(tmp_path / "whole")
    names = [name for name in whole.files if not name.endswith(".csv")]
    assert len(names) == 8
    for name in names:
        assert ended.files[name] == whole.files[name], name
    for model in ("helpfulness", "safety"):
        assert column(ended, "loss", model) == column(whole, "loss", model)
    assert ended.manifest["resumed"] == 5
