"""The stage as a whole: its artifact, kill -9, accumulation, compiled against eager, errors."""

from __future__ import annotations

import csv
import multiprocessing
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from deadly import kill_apart

from llamalite import parallel
from llamalite.artifacts import Artifact, sha256_of
from llamalite.model.checkpoint import load_model
from llamalite.model.config import ModelConfig
from llamalite.pipeline import run_stage
from llamalite.pretraining.config import PretrainConfig
from llamalite.pretraining.recipe import pretrain
from llamalite.stages import STAGES
from llamalite.text.tokenizer import Tokenizer
from llamalite.training import TrainingModule
from llamalite.training_config import OptimizerConfig, ParallelConfig
from llamalite.world import World, WorldConfig

# where other processes find these tests and what they share
FOLDERS = [str(folder) for folder in Path(__file__).parents[:2]]
CPU = ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=4)
SERVER = multiprocessing.get_context("forkserver")
CONFIG = PretrainConfig(
    model=ModelConfig(
        vocab_size=340, dim=32, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=8, ffn_dim=48
    ),
    tokens=24 * 8 * 64,
    sequence_length=64,
    batch_size=8,
    mixture={"facts": 2.0, "tales": 1.0},
    optimizer=OptimizerConfig(lr=0.01, warmup_fraction=0.1),
    parallel=CPU,
)


def weights_after(config, tokenizer, corpus, work, seed=0):
    module, report = pretrain(config, tokenizer, corpus, seed, work=work, progress=False)
    return parallel.full_weights(module.model), report


def test_a_run_learns_and_reports(tokenizer, corpus, tmp_path):
    _, report = weights_after(CONFIG, tokenizer, corpus, tmp_path)
    losses = [float(row["loss"]) for row in table(tmp_path / "metrics.csv")]
    assert losses[0] == pytest.approx(torch.tensor(340.0).log().item(), rel=0.02)
    assert losses[-1] < losses[0] - 1.5
    assert report["tokens"] == CONFIG.tokens
    rows = {row["source"]: row for row in report["mixture"]}
    assert rows["facts"]["tokens"] / rows["tales"]["tokens"] == pytest.approx(2, rel=0.02)


def test_seeds_differ_and_repeat(tokenizer, corpus, tmp_path):
    config = replace(CONFIG, tokens=4 * 8 * 64)
    runs = [
        weights_after(config, tokenizer, corpus, tmp_path / str(i), seed)[0]["output.weight"]
        for i, seed in enumerate((0, 0, 1))
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_one_batch_of_eight_equals_eight_parts_of_one(tokenizer, corpus, tmp_path):
    whole, a = weights_after(CONFIG, tokenizer, corpus, tmp_path / "whole")
    parts, b = weights_after(replace(CONFIG, accumulation=8), tokenizer, corpus, tmp_path / "parts")
    assert b["loss"] == pytest.approx(a["loss"], abs=1e-4)
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=1e-3, atol=1e-4)


COMPARE = """
import sys
sys.path += {folders!r}
from pathlib import Path
from test_recipe import *
from made_up import Corpus, train_tokenizer
corpus = Corpus()
tokenizer = train_tokenizer(corpus)
config = replace(CONFIG, model=replace(CONFIG.model, n_layers=1), tokens=10 * 8 * 64)
eager, a = weights_after(config, tokenizer, corpus, Path({work!r}) / "eager")
on = replace(config, parallel=replace(CPU, compile="on"))
compiled, b = weights_after(on, tokenizer, corpus, Path({work!r}) / "compiled")
assert abs(b["loss"] - a["loss"]) < 1e-4, (a, b)
for name, weight in eager.items():
    torch.testing.assert_close(compiled[name], weight, rtol=1e-2, atol=1e-3)
print("agreed")
"""


@pytest.mark.skipif(not parallel.can_compile_on_cpu(), reason="no C++ compiler")
def test_compiled_training_follows_eager_training(tmp_path):
    # in a process of its own: the run-time checks of shapes under pytest cannot be compiled
    code = COMPARE.format(folders=FOLDERS, work=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "agreed\n", done.stderr


def test_attending_across_documents_is_another_model(tokenizer, corpus, tmp_path):
    config = replace(CONFIG, tokens=8 * 64)
    _, apart = weights_after(config, tokenizer, corpus, tmp_path / "apart")
    across_config = replace(config, attend_across_documents=True)
    _, across = weights_after(across_config, tokenizer, corpus, tmp_path / "across")
    assert across["loss"] != apart["loss"]
    assert across["loss"] == pytest.approx(apart["loss"], rel=0.01)  # untrained, both know nothing


def test_a_tokenizer_of_another_size_is_refused(tokenizer, corpus, tmp_path):
    config = replace(CONFIG, model=replace(CONFIG.model, vocab_size=512))
    with pytest.raises(ValueError, match=r"tokenizer has 340 pieces.*vocab_size is 512"):
        pretrain(config, tokenizer, corpus, 0, work=tmp_path)


def test_an_unknown_source_is_refused_before_anything_is_built(tokenizer, corpus, tmp_path):
    config = replace(CONFIG, mixture={"gossip": 1.0})
    with pytest.raises(ValueError, match=r"gossip.*choose among facts, tales"):
        pretrain(config, tokenizer, corpus, 0, work=tmp_path)


# --- the stage on the micro-world, killed -------------------------------------------------------
SOURCES = ("encyclopedia", "rumours", "stories")
STAGE = next(stage for stage in STAGES if stage.name == "pretrain")
WORLD_CONFIG = replace(CONFIG, mixture=dict.fromkeys(SOURCES, 1.0), tokens=40 * 8 * 64)


def make_inputs(folder: Path) -> dict[str, Artifact]:
    """Folders that hold what the earlier stages would have left."""
    world = World(WorldConfig(people=20, attributes=4, towns=4, canaries=4))
    for name in ("world", "tokenizer"):
        (folder / name).mkdir()
    world.save(folder / "world" / "world.json")
    texts = [world.document(source, i).text for source in SOURCES for i in range(100)]
    Tokenizer.train(texts, 340).save(folder / "tokenizer" / "tokenizer.model")
    return open_inputs(folder)


def open_inputs(folder: Path) -> dict[str, Artifact]:
    files = {"world": "world.json", "tokenizer": "tokenizer.model"}
    return {
        name: Artifact(folder / name, {"files": {file: {"sha256": file}}})
        for name, file in files.items()
    }


def run_in(inputs: Path, out: Path) -> Artifact:
    torch.set_num_threads(1)
    return run_stage(STAGE, WORLD_CONFIG, open_inputs(inputs), out, 0)


def run_slowly(inputs: Path, out: Path) -> None:
    whole = TrainingModule.training_step
    TrainingModule.training_step = lambda *args: time.sleep(0.05) or whole(*args)
    run_in(inputs, out)


def test_kill_9_leaves_the_same_artifact(tmp_path):
    make_inputs(tmp_path)
    whole = run_in(tmp_path, tmp_path / "whole")
    killed = tmp_path / "killed"
    work = killed / "pretrain.partial" / "work"
    for wanted in (4, 16):
        kill_apart(
            SERVER,
            run_slowly,
            tmp_path,
            killed,
            when=lambda wanted=wanted: newest_step(work) >= wanted,
        )
    assert newest_step(work) < 40
    resumed = run_in(tmp_path, killed)
    assert resumed.metrics["resumed_at"] >= 16
    for name in ("model.safetensors", "config.json", "tokenizer.model"):
        assert sha256_of(resumed.file(name)) == sha256_of(whole.file(name))
    numbers = [
        [
            [v for k, v in row.items() if k != "tokens_per_second"]
            for row in table(a.file("metrics.csv"))
        ]
        for a in (resumed, whole)
    ]
    assert numbers[0] == numbers[1]
    assert not (resumed.path / "work").exists()
    logits = load_model(resumed.path)(torch.tensor([[1, 5, 9]]))
    assert logits.shape == (1, 3, 340)


def newest_step(work: Path) -> int:
    steps = [int(p.stem.split("-")[1]) for p in work.glob("resume-*.ckpt")] if work.exists() else []
    return max(steps, default=-1)


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_an_unnormalised_empty_mixture_reads_every_source_alike(tokenizer, corpus, tmp_path):
    config = replace(CONFIG, mixture={}, tokens=6 * 8 * 64)
    _, report = weights_after(config, tokenizer, corpus, tmp_path)
    shares = SimpleNamespace(**{row["source"]: row["share"] for row in report["mixture"]})
    assert shares.facts == shares.tales == 0.5
