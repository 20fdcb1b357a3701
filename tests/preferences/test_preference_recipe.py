"""The stage end to end, on two tiny models of random weights and a small world."""

import json

import preference_run
import pyarrow.parquet as pq
import pytest
import torch
from preference_run import CONFIG, run_batch

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.prompts import choose_prompts
from llamalite.preferences.reading import read_comparisons
from llamalite.preferences.variants import model_variant
from llamalite.text.tokenizer import Tokenizer
from llamalite.world import World, WorldConfig

FILES = ("comparisons.jsonl", "comparisons.parquet", "test.jsonl", "test.parquet")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    world = World(WorldConfig(people=12, canaries=0))
    with drafting(folder / "world", "world", world.config, {}, 0) as draft:
        world.save(draft.path / "world.json")
    texts = [world.prompt("facts", i, "train").text for i in range(80)]
    tokenizer = Tokenizer.train([*texts, "I will not help you. Better go by the river."], 400)
    config = ModelConfig(
        vocab_size=400,
        dim=32,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        head_dim=8,
        ffn_dim=64,
        max_seq_len=512,
    )
    made = {"world": Artifact.open(folder / "world")}
    for seed, name in enumerate(("newest", "previous")):
        torch.manual_seed(seed)
        with drafting(folder / name, name, config, {}, seed) as draft:
            save_model(draft.path, Transformer(config))
            tokenizer.save(draft.path / "tokenizer.model")
        made[name] = Artifact.open(folder / name)
    return made


@pytest.fixture(scope="module")
def batch(artifacts, tmp_path_factory):
    path = tmp_path_factory.mktemp("batch") / "preferences"
    return run_batch(artifacts, path, versions={"newest": "V1", "previous": "SFT"})


def rows(artifact, name):
    return read_comparisons(artifact.file(name)).good


def test_every_pair_is_judged_kept_apart_or_accounted_for(batch):
    training, test = rows(batch, "comparisons.jsonl"), rows(batch, "test.jsonl")
    items = pq.read_table(batch.file("items.parquet")).to_pylist()
    aside = [json.loads(line) for line in batch.file("set_aside.jsonl").read_text().splitlines()]
    asked = len(items) + sum("prompt" in row for row in aside)
    assert asked == CONFIG.helpfulness + CONFIG.safety
    judged = [each.id for each in (*training, *test)]
    judged += [row["item"] for row in aside if "item" in row]
    assert sorted(judged) == sorted(row["id"] for row in items)
    assert {each.guideline for each in training} == {"helpfulness", "safety"}
    assert batch.metrics["comparisons"] == len(training)
    assert len(test) == sum(
        round(0.25 * sum(each.guideline == guideline for each in (*training, *test)))
        for guideline in ("helpfulness", "safety")
    )


def test_both_forms_of_a_file_hold_the_same(batch):
    for name in ("comparisons", "test"):
        assert rows(batch, f"{name}.jsonl") == rows(batch, f"{name}.parquet")


def test_statistics_are_of_all_that_was_collected(batch):
    found = json.loads(batch.file("statistics.json").read_text())
    every = [*rows(batch, "comparisons.jsonl"), *rows(batch, "test.jsonl")]
    assert found["all"]["comparisons"] == len(every)
    assert found["batches"].keys() == {"1"}
    assert sum(found["all"]["ratings"]["all"].values()) == pytest.approx(1)
    [helpful] = [row for row in found["all"]["versions"] if row["guideline"] == "helpfulness"]
    assert helpful["won"] + helpful["lost"] == found["all"]["by_guideline"]["helpfulness"]


def test_a_reply_can_be_drawn_again_from_what_is_noted_of_it(batch, artifacts):
    every = [*rows(batch, "comparisons.jsonl"), *rows(batch, "test.jsonl")]
    checked = 0
    for name, version in (("newest", "V1"), ("previous", "SFT")):
        variant = model_variant(artifacts[name], version, CONFIG)
        filler = [{"role": "user", "content": "x"}]
        for each in every[::5]:
            for reply in (each.a, each.b):
                if reply.version != version:
                    continue
                assert reply.model == artifacts[name].fingerprint
                asked = [filler] * reply.index + [each.messages]
                text, finished = variant.generate(asked, reply.temperature, reply.seed)[-1]
                assert (text, finished) == (reply.text, reply.finished)
                checked += 1
    assert checked >= 12


def test_batches_with_ranges_of_their_own_share_no_prompt():
    world = World(WorldConfig(people=12, canaries=0))
    seen = [
        {p.id for p in choose_prompts(world, config, guideline)}
        for config in (
            PreferencesConfig(helpfulness=50, safety=30),
            PreferencesConfig(batch=2, helpfulness=50, safety=30, first_prompt=50),
        )
        for guideline in ("helpfulness", "safety")
    ]
    ordinary = [{name for name in each if "borderline" not in name} for each in seen]
    assert not ordinary[0] & ordinary[2]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[3]


def test_the_first_chat_model_alone_is_enough(artifacts, tmp_path):
    inputs = {"world": artifacts["world"], "newest": artifacts["previous"]}
    made = run_batch(inputs, tmp_path / "preferences")
    every = [*rows(made, "comparisons.jsonl"), *rows(made, "test.jsonl")]
    assert every
    assert all(each.a.version == each.b.version == "previous" for each in every)
    assert all({each.a.temperature, each.b.temperature} == {0.9, 1.1} for each in every)


@pytest.mark.parametrize(
    ("kill_at", "at_call"),
    [("draw_pairs", 4), ("next_item", 15), ("submit", 22), ("write_items", 1)],
)
def test_killed_anywhere_the_next_run_ends_with_the_same_bytes(
    artifacts, tmp_path, tmp_path_factory, kill_at, at_call
):
    whole = run_batch(artifacts, tmp_path / "whole")
    folders = {name: artifact.path for name, artifact in artifacts.items()}
    path = tmp_path / "killed"
    assert preference_run.start(folders, path, kill_at, at_call) == -9
    assert not path.exists()
    assert preference_run.start(folders, path, "", 0) == 0
    made = Artifact.open(path)
    assert made.manifest["resumed"] == 1
    for name in (*FILES, "items.parquet", "set_aside.jsonl", "statistics.json"):
        assert made.file(name).read_bytes() == whole.file(name).read_bytes(), name
