"""A fine-tuning run on a tiny model: its loss, its course, its end after kill -9."""

import csv
import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import killed_sft_run
import pytest
import torch
from deadly import kill_apart, run_apart

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import load_model
from llamalite.model.generate import SamplingConfig, generate
from llamalite.sft.config import SFTConfig
from llamalite.sft.data import Plan, encode_all
from llamalite.sft.module import SFTModule
from llamalite.sft.recipe import read_dialogues, run
from llamalite.text.chat import encode_dialogue, encode_prompt
from llamalite.text.packing import collate, make_row
from llamalite.training_config import OptimizerConfig, ParallelConfig
from llamalite.world import World, WorldConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "sft.json"
CPU = ParallelConfig(accelerator="cpu", compile="off")
SERVER = multiprocessing.get_context("forkserver")


@pytest.fixture
def config(demonstrations_file):
    """20 steps over 44 dialogues."""
    return SFTConfig(
        data=str(demonstrations_file),
        examples=0,
        held_out=4,
        epochs=8,
        sequence_length=128,
        batch_size=6,
        optimizer=OptimizerConfig(lr=5e-3, warmup_fraction=0.1),
        parallel=CPU,
    )


def tune(config, base, path, seed=0):
    with drafting(path, "sft", config, {"pretrain": base}, seed) as draft:
        run(config, {"pretrain": base, "world": base}, draft, seed)
    return Artifact.open(path)


def column(artifact, name):
    with artifact.file("metrics.csv").open() as stream:
        return [float(row[name]) for row in csv.DictReader(stream)]


# --- the loss -----------------------------------------------------------------------------------
def test_the_loss_is_the_mean_over_answer_tokens_of_dialogues_computed_alone(
    base, tokenizer, dialogues
):
    model = load_model(base.path).eval()
    examples, _ = encode_all(tokenizer, dialogues[:6], 128)
    batch = Plan(examples, epochs=1, length=128, batch_size=4, seed=0).batch(0)[0]
    packed, _ = SFTModule.loss_and_metrics(model, batch)
    surprises = []
    for dialogue in dialogues[:6]:
        ids, learned = encode_dialogue(tokenizer, dialogue)
        logprobs = model(torch.tensor([ids]))[0].log_softmax(-1)
        surprises += [-logprobs[i - 1, ids[i]].item() for i, counts in enumerate(learned) if counts]
    assert packed.item() == pytest.approx(sum(surprises) / len(surprises), rel=1e-5)


def test_prompts_as_targets_touch_neither_loss_nor_gradient(base, tokenizer, dialogues):
    examples, _ = encode_all(tokenizer, dialogues[:6], 128)
    batch = collate([make_row(examples[:3], 128), make_row(examples[3:], 128)])
    other = batch._replace(
        targets_BT=torch.where(batch.loss_mask_BT, batch.targets_BT, 7)  # prompts and filler
    )
    results = []
    for each in (batch, other):
        model = load_model(base.path)
        loss, _ = SFTModule.loss_and_metrics(model, each)
        loss.backward()
        results.append((loss, [weight.grad for weight in model.parameters()]))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1], strict=True))


def test_a_batch_of_filler_stays_finite(base):
    model = load_model(base.path)
    loss, _ = SFTModule.loss_and_metrics(model, collate([make_row([], 32)] * 2))
    loss.backward()
    assert loss == 0
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


# --- the run ------------------------------------------------------------------------------------
def test_twenty_steps_follow_the_recorded_course(config, base, tmp_path):
    """Recorded anew with LLAMALITE_GOLDEN=1, which the commit then explains."""
    artifact = tune(config, base, tmp_path / "sft")
    found = {
        "loss": column(artifact, "loss"),
        "gradient_norm": column(artifact, "gradient_norm"),
        "held_out": json.loads(artifact.file("held_out.json").read_text()),
    }
    if os.environ.get("LLAMALITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert len(golden["loss"]) == 20
    assert found["loss"] == pytest.approx(golden["loss"], rel=2e-3)
    assert found["gradient_norm"] == pytest.approx(golden["gradient_norm"], rel=2e-2)
    for now, then in zip(found["held_out"], golden["held_out"], strict=True):
        assert now == pytest.approx(then, rel=2e-3)
    assert artifact.metrics["steps"] == 20
    assert artifact.metrics["held_out_loss"] < 0.75 * artifact.metrics["held_out_loss_before"]
    assert artifact.metrics["examples"] == 44
    assert set(artifact.files) >= {
        *("config.json", "model.safetensors", "tokenizer.model"),
        *("metrics.csv", "held_out.json"),
    }


def test_held_out_loss_before_training_is_the_base_models(
    config, base, tokenizer, dialogues, tmp_path
):
    artifact = tune(replace(config, epochs=1), base, tmp_path / "sft")
    points = json.loads(artifact.file("held_out.json").read_text())
    assert [point["step"] for point in points] == [0, 1, 2, 3]
    assert points[0]["loss"] == artifact.metrics["held_out_loss_before"]
    # whichever dialogues were held out, an untrained model knows about none: log(V)
    assert points[0]["loss"] == pytest.approx(torch.tensor(320.0).log().item(), abs=0.4)


def test_parts_of_a_batch_add_up_to_the_whole(config, base, tmp_path):
    config = replace(config, epochs=2, batch_size=8)
    whole = tune(config, base, tmp_path / "whole")
    parts = tune(replace(config, accumulation=8), base, tmp_path / "parts")
    assert column(parts, "loss") == pytest.approx(column(whole, "loss"), rel=1e-4)
    for a, b in zip(
        load_model(whole.path).parameters(), load_model(parts.path).parameters(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_it_learns_its_demonstrations_by_heart(config, base, tokenizer, tmp_path):
    towns = {"Vegun": "Ladeville", "Moru": "Runtown", "Tisel": "Polimore", "Kapo": "Tidewick"}
    path = tmp_path / "few.jsonl"
    with path.open("w") as stream:
        for name, town in towns.items():
            asked = {"role": "user", "content": f"Where does {name} live?"}
            answer = {"role": "assistant", "content": f"{name} lives in {town}."}
            stream.write(json.dumps({"messages": [asked, answer]}) + "\n")
    config = replace(config, data=str(path), held_out=0, epochs=150, batch_size=1)
    artifact = tune(config, base, tmp_path / "sft")
    model = load_model(artifact.path)
    prompts = [
        encode_prompt(tokenizer, [{"role": "user", "content": f"Where does {name} live?"}])
        for name in towns
    ]
    sampling = SamplingConfig(max_new_tokens=32, temperature=0.0)
    replies = [r[0] for r in generate(model, prompts, sampling, eos_id=tokenizer.eos_id)]
    assert [tokenizer.decode(reply.ids).strip() for reply in replies] == [
        f"{name} lives in {town}." for name, town in towns.items()
    ]
    assert all(reply.finished for reply in replies)


def test_rejected_rows_are_reported(config, base, demonstrations_file, tmp_path):
    path = tmp_path / "mixed.jsonl"
    path.write_text(demonstrations_file.read_text() + '{"messages": 3}\n')
    artifact = tune(replace(config, data=str(path), epochs=1), base, tmp_path / "sft")
    assert artifact.metrics["rejected_rows"] == 1
    [row] = artifact.file("rejected.jsonl").read_text().splitlines()
    assert json.loads(row)["line"] == 49


def test_what_does_not_fit_the_model_is_refused(config, base, tmp_path):
    with pytest.raises(ValueError, match="sequence_length 256 exceeds the model's max_seq_len 128"):
        tune(replace(config, sequence_length=256), base, tmp_path / "sft")
    with pytest.raises(ValueError, match="44 of 44 are longer than sequence_length 8"):
        tune(replace(config, sequence_length=8), base, tmp_path / "sft")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    small = WorldConfig(people=12, attributes=4, towns=5, canaries=4)
    path = tmp_path_factory.mktemp("run") / "world"
    with drafting(path, "world", small, {}, 0) as draft:
        World(small).save(draft.path / "world.json")
    return Artifact.open(path)


def test_a_vendors_demonstrations_are_learned_from(base, world, tmp_path):
    config = SFTConfig(
        examples=40, held_out=10, sequence_length=128, batch_size=8, safety_share=0.5, parallel=CPU
    )
    inputs = {"pretrain": base, "world": world}
    with drafting(tmp_path / "sft", "sft", config, inputs, 0) as draft:
        run(config, inputs, draft, 0)
    metrics = Artifact.open(tmp_path / "sft").metrics
    # a small vocabulary spells the world in bytes, so some dialogues are longer than the context
    assert metrics["examples"] + metrics["dropped_too_long"] >= 40
    assert metrics["steps"] > 2
    assert metrics["held_out_loss"] != metrics["held_out_loss_before"]


def test_a_larger_order_begins_with_the_same_demonstrations(world):
    config = SFTConfig(examples=30, held_out=10)
    few = read_dialogues(config, world, 0)
    many = read_dialogues(replace(config, examples=60), world, 0)
    assert (len(few.training), len(few.held_out)) == (30, 10)
    assert many.held_out == few.held_out
    assert many.training[:30] == few.training
    assert read_dialogues(config, world, 1).training != few.training
    known = {json.dumps(each) for each in few.training}
    assert not known & {json.dumps(each) for each in few.held_out}
    with pytest.raises(ValueError, match="unknown vendor 'lazy'"):
        read_dialogues(replace(config, vendor="lazy"), world, 0)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"examples": 0}, "examples is 0"),
        ({"held_out": -1}, "held_out is -1"),
        ({"safety_share": 1.5}, r"safety_share is 1\.5"),
        ({"batch_size": 6, "accumulation": 4}, "batch_size 6 does not divide into 4 parts"),
    ],
)
def test_unusable_settings_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        SFTConfig(**settings)


# --- kill -9 ------------------------------------------------------------------------------------
def test_kill_9_ends_with_the_same_bytes(base, demonstrations_file, tmp_path):
    run_of = (SERVER, killed_sft_run.main, base.path, demonstrations_file)
    killed, work = tmp_path / "killed", tmp_path / "killed.partial" / "work"
    assert run_apart(*run_of, tmp_path / "whole") == 0
    for _ in range(2):
        before = newest(work)
        kill_apart(*run_of, killed, when=lambda before=before: newest(work) != before, after=0.05)
    assert run_apart(*run_of, killed) == 0
    ended, whole = Artifact.open(killed), Artifact.open(tmp_path / "whole")
    for name in ("model.safetensors", "config.json", "tokenizer.model", "held_out.json"):
        assert ended.files[name] == whole.files[name], name
    assert column(ended, "loss") == column(whole, "loss")
    assert ended.metrics["resumed_at"] >= 3
    assert ended.manifest["resumed"] == 2


def newest(work):
    return max((path.name for path in work.glob("resume-*.ckpt")), default=None)
