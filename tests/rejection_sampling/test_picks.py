"""A smaller base model learns from a larger model's picks: for real at tiny size, and kill -9."""

import json
import shutil
import signal
from dataclasses import replace

import pytest
import rejection_run
import torch
from rejection_run import CONFIG, Asked, run_round

from llamalite.artifacts import Artifact, drafting
from llamalite.model.checkpoint import load_model, save_model
from llamalite.model.transformer import Transformer
from llamalite.pipeline import Events, run_one
from llamalite.presets import get_preset
from llamalite.rejection_sampling.candidates import read_candidates, write_candidates
from llamalite.rejection_sampling.picks import read_picks
from llamalite.sft.recipe import finetune
from llamalite.stages import get_stage
from llamalite.text.tokenizer import Tokenizer

PICKS = "selected.parquet"
NAMES = ("Vegun", "Moru", "Tisel", "Kapo", "Linu", "Selka")
QUESTIONS = [f"Where does {name} live?" + " Tell me." * n for n in range(5) for name in NAMES]


@pytest.fixture(scope="module")
def larger(artifacts, tokenizer, tmp_path_factory):
    """Round 1 of a larger model that has learned where everybody lives."""
    folder = tmp_path_factory.mktemp("runs") / "larger-seed0"
    taught = [
        [
            {"role": "user", "content": question},
            {"role": "assistant", "content": f"{question.split()[2]} lives in a town."},
        ]
        for question in QUESTIONS
    ]
    module, _ = finetune(
        replace(CONFIG.refit, epochs=30),
        load_model(artifacts["pretrain"].path),
        tokenizer,
        taught,
        [],
        0,
        work=folder / "work",
        progress=False,
    )
    with drafting(folder / "sft", "sft", None, {}, 0) as draft:
        save_model(draft.path, module.model)
        tokenizer.save(draft.path / "tokenizer.model")
    inputs = artifacts | {"policy": Artifact.open(folder / "sft")}
    prompts = [
        Asked(f"p{i}", ({"role": "user", "content": text},)) for i, text in enumerate(QUESTIONS)
    ]
    config = replace(CONFIG, candidates=4, temperatures=(0.5, 0.7), prompts_at_once=32)
    return run_round(inputs, prompts, folder / "rejection_sampling_1", config)


@pytest.fixture(scope="module")
def smaller(artifacts, tmp_path_factory):
    """A base model half as wide and deep, with a tokenizer of its own; and the same world."""
    path = tmp_path_factory.mktemp("smaller") / "pretrain"
    tokenizer = Tokenizer.train([*QUESTIONS, *(f"{name} is in a town." for name in NAMES)] * 3, 295)
    config = replace(
        load_model(artifacts["pretrain"].path).config,
        vocab_size=tokenizer.vocab_size,
        dim=16,
        n_layers=1,
        n_heads=2,
        n_kv_heads=1,
        ffn_dim=32,
    )
    torch.manual_seed(5)
    with drafting(path, "pretrain", config, {}, 0) as draft:
        save_model(draft.path, Transformer(config))
        tokenizer.save(draft.path / "tokenizer.model")
    # the larger model's round was run with its base in the place of a world, see run_round
    return {"pretrain": Artifact.open(path), "world": artifacts["pretrain"]}


def test_the_smaller_model_says_what_the_larger_one_picked(larger, smaller, tmp_path):
    picks = read_picks(larger.file(PICKS))
    assert sum("lives in a town" in pick.text for pick in picks) > len(picks) / 2
    config = replace(CONFIG, picks_from=str(larger.file(PICKS)))
    distilled = run_round(smaller, [], tmp_path / "rs", config, scoring=False)
    course = json.loads(distilled.file("held_out.json").read_text())
    assert course[0]["step"] == 0
    assert course[-1]["loss"] < 0.8 * course[0]["loss"]
    assert distilled.metrics["selected"] == len(picks)
    assert read_candidates(distilled.file(PICKS)) == picks
    assert not {"candidates.parquet", "curves.json"} & set(distilled.files)
    model = load_model(distilled.path)
    assert (model.config.dim, model.config.n_layers) == (16, 1)
    base = smaller["pretrain"]
    assert distilled.files["tokenizer.model"] == base.files["tokenizer.model"]
    assert distilled.files["tokenizer.model"] != larger.files["tokenizer.model"]


def test_kill_9_anywhere_ends_with_the_same_bytes(larger, smaller, tmp_path):
    folders = {name: artifact.path for name, artifact in smaller.items()}
    where = {"picks_from": str(larger.file(PICKS))}
    assert rejection_run.start(folders, [], tmp_path / "whole", **where) == 0
    killed = tmp_path / "killed"
    for station, call in (("write_candidates", 1), ("tuning", 4), ("save_model", 1)):
        assert rejection_run.start(folders, [], killed, station, call, **where) == -signal.SIGKILL
    assert rejection_run.start(folders, [], killed, **where) == 0
    ended, whole = Artifact.open(killed), Artifact.open(tmp_path / "whole")
    assert ended.manifest["resumed"] == 3
    assert ended.content_hash == whole.content_hash


class Recorder(Events):
    def __init__(self):
        self.ran = []

    def started(self, stage):
        self.ran.append(stage.name)


def test_a_stage_with_picks_runs_on_the_base_model_alone(larger, smaller, tmp_path):
    other = tmp_path / "larger-seed0"
    shutil.copytree(larger.path, other / "rejection_sampling_1")
    preset = replace(
        get_preset("ci"),
        rejection_sampling=replace(CONFIG, picks_from=str(other)),
    )
    stage = get_stage("rejection_sampling_1")
    assert set(stage.inputs_in(preset)) == {"world", "pretrain"}
    assert stage.inputs_in(get_preset("ci")) == stage.inputs
    for name, artifact in (*smaller.items(), ("tokenizer", smaller["pretrain"])):
        shutil.copytree(artifact.path, tmp_path / "ci-seed0" / name)

    def ran():
        events = Recorder()
        run_one(stage.name, preset, 0, tmp_path, events=events)
        return events.ran

    assert ran() == [stage.name]
    assert ran() == []
    picks = other / "rejection_sampling_1" / PICKS
    write_candidates(picks, read_candidates(picks)[:-1])
    assert ran() == [stage.name], "other picks, so another model"


def test_picks_that_cannot_be_learned_from_are_refused(larger, smaller, artifacts, tmp_path):
    world = smaller["world"]

    def complaint(path, world=world):
        with pytest.raises(ValueError, match=r"picks|candidates|replies|nothing") as caught:
            read_picks(path, world)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    nowhere = tmp_path / "large-seed0" / "rejection_sampling_4" / PICKS
    assert f"there are no picks in {nowhere}; " in complaint(nowhere)
    assert "has finished rejection_sampling_4" in complaint(nowhere)
    (tmp_path / "text.parquet").write_text("hello")
    assert "text.parquet holds no candidates" in complaint(tmp_path / "text.parquet")
    write_candidates(tmp_path / "none.parquet", [])
    assert "none.parquet is empty: nothing was picked" in complaint(tmp_path / "none.parquet")
    cut = replace(read_picks(larger.file(PICKS))[0], finished=False)
    write_candidates(tmp_path / "cut.parquet", [cut])
    assert "1 of 1 replies in" in complaint(tmp_path / "cut.parquet")
    assert "about another world than this run's" in complaint(
        larger.file(PICKS), artifacts["policy"]
    )
    # a file without a manifest does not say which world it is about
    shutil.copy(larger.file(PICKS), tmp_path / "alone.parquet")
    assert read_picks(tmp_path / "alone.parquet", artifacts["policy"])
