"""What Colab does, as far as a CPU can show: the install cell, fp16 with scaling, hub corpora."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from packaging.requirements import Requirement
from small import small_tokenizer, small_world

from llamalite import parallel
from llamalite.presets import get_preset
from llamalite.pretraining.recipe import pretrain
from llamalite.text.files import open_source
from llamalite.training_config import OptimizerConfig, ParallelConfig

ROOT = Path(__file__).resolve().parents[1]
# what stands in Colab's environment, as far as the cell looks at it
INSTALLED = {
    "torch": "2.9.0+cu126",
    "torchvision": "0.24.0+cu126",
    "torchaudio": "2.9.0+cu126",
    "numpy": "2.0.2",
    "pandas": "2.2.2",
}


# --- the install cell ---------------------------------------------------------------------------
def cell() -> str:
    chapter = nbformat.read(next((ROOT / "notebooks").glob("*.ipynb")), as_version=4)
    return next(cell.source for cell in chapter.cells if cell.cell_type == "code")


@pytest.fixture
def colab(tmp_path):
    """A bare Python with Colab's distributions and no llamalite; git and pip only note."""
    site, tools, content = (tmp_path / name for name in ("site", "bin", "content"))
    for name, version in INSTALLED.items():
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").touch()
    note = "import json, os, sys\n"
    note += "print(json.dumps(sys.argv[1:]), file=open(os.environ['NOTES'], 'a'))\n"
    (site / "pip").mkdir()
    (site / "pip" / "__init__.py").touch()
    (site / "pip" / "__main__.py").write_text(note)
    tools.mkdir()
    (tools / "git").write_text(f"#!{sys.executable}\n{note}os.makedirs('llamalite/notebooks')\n")
    (tools / "git").chmod(0o755)
    content.mkdir()

    def run(code: str) -> tuple[str, list[list[str]]]:
        python = getattr(sys, "_base_executable", sys.executable)
        done = subprocess.run(
            [python, "-S", "-c", code],
            cwd=content,
            env={
                "PATH": f"{tools}:{os.environ['PATH']}",
                "PYTHONPATH": str(site),
                "NOTES": str(tmp_path / "notes"),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        notes = tmp_path / "notes"
        lines = notes.read_text().splitlines() if notes.exists() else []
        return done.stdout, [json.loads(line) for line in lines]

    return run, content


def test_the_install_cell_keeps_colabs_torch_and_numpy(colab):
    run, content = colab
    out, (clone, install) = run(cell() + "\nprint(os.getcwd())")
    assert clone[:3] == ["clone", "--depth", "1"]
    assert install[0] == "install"
    assert install[-1] == "./llamalite"
    assert install[install.index("-c") + 1] == "keep.txt"
    kept = (content / "keep.txt").read_text().splitlines()
    assert kept == [f"{name}=={INSTALLED[name]}" for name in sorted(INSTALLED) if name != "pandas"]
    assert out.strip() == str(content / "llamalite" / "notebooks")


def test_the_install_cell_does_nothing_where_the_package_stands(colab, tmp_path):
    run, content = colab
    (tmp_path / "site" / "llamalite").mkdir()
    (tmp_path / "site" / "llamalite" / "__init__.py").touch()
    out, notes = run(cell())
    assert (out, notes, list(content.iterdir())) == ("", [], [])


def test_the_package_asks_for_no_other_torch_or_numpy_than_colabs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {r.name: r.specifier for r in map(Requirement, project["dependencies"])}
    for name in ("torch", "numpy"):
        assert asked[name].contains(INSTALLED[name].split("+")[0]), name
        assert {each.operator for each in asked[name]} == {">="}, f"{name} has an upper bound"


# --- fp16 with loss scaling ---------------------------------------------------------------------
def test_a_t4_is_trained_in_fp16_and_never_in_emulated_bf16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    found = parallel.trainer_arguments(get_preset("colab").pretrain.parallel)
    assert (found["accelerator"], found["precision"]) == ("gpu", "16-mixed")


def colab_config(**more):
    """The preset's pretraining, shrunken to seconds; its accumulation and schedule."""
    more = {"mixture": {}} | more
    config = get_preset("colab").pretrain
    model = replace(
        config.model, vocab_size=400, dim=32, n_layers=2, head_dim=8, n_heads=4, n_kv_heads=2
    )
    return replace(
        config,
        model=replace(model, ffn_dim=64, max_seq_len=64),
        sequence_length=64,
        batch_size=8,
        tokens=20 * 8 * 64,
        held_out=2,
        optimizer=OptimizerConfig(lr=1e-2, warmup_fraction=0.02),
        parallel=ParallelConfig(accelerator="cpu", compile="off"),
        **more,
    )


def course(folder):
    with (folder / "metrics.csv").open() as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def tokenizer(world):
    return small_tokenizer(world)


def test_with_the_gradient_scaler_it_learns_as_in_fp32(world, tokenizer, tmp_path, monkeypatch):
    config = colab_config()
    pretrain(config, tokenizer, world, 0, work=tmp_path / "fp32", progress=False)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)  # overflows: first steps are skipped

    def fp16(config):
        plugin = MixedPrecision("16-mixed", "cpu", scaler)
        return {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "plugins": [plugin]}

    monkeypatch.setattr(parallel, "trainer_arguments", fp16)
    module, report = pretrain(config, tokenizer, world, 0, work=tmp_path / "fp16", progress=False)
    assert report["steps"] == 20
    plain, scaled = course(tmp_path / "fp32"), course(tmp_path / "fp16")
    assert plain[-1] < plain[0] - 0.5
    assert scaled[0] == pytest.approx(plain[0], abs=0.01)
    assert scaled[-1] == pytest.approx(plain[-1], abs=0.4)  # the skipped steps are missing
    assert scaler.get_scale() < 2.0**20
    assert not module.trainer.optimizers[0].defaults["fused"]  # it would be clipped while scaled
    assert all(weight.isfinite().all() for weight in module.model.parameters())


# --- corpora of the hub -------------------------------------------------------------------------
@pytest.fixture
def dataset(world, tmp_path):
    """A dataset in the hub's form: a card that names configurations, Parquet files by split."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "tales"
    rows = [{"text": world.document("stories", i).text, "url": f"page/{i}"} for i in range(40)]
    for config, part in (("short", rows[:10]), ("long", rows)):
        (folder / config).mkdir(parents=True)
        file = folder / config / "train-00000-of-00001.parquet"
        datasets.Dataset.from_list(part).to_parquet(str(file))
    (folder / "README.md").write_text(
        "---\nconfigs:\n"
        "- config_name: short\n  data_files: short/train-*.parquet\n"
        "- config_name: long\n  data_files: long/train-*.parquet\n"
        "---\n# Tales\n"
    )
    return folder


@pytest.mark.parametrize(
    ("where", "documents"),
    [("short", 10), ("long", 40), ("long:train", 40), ("long:train[:25%]", 10)],
)
def test_a_hub_dataset_is_read_by_configuration_and_split(dataset, world, where, documents):
    found = open_source("tales", f"hub:{dataset}:{where}", dataset.parent / "cache")
    assert len(found) == documents
    assert found[3]["text"] == world.document("stories", 3).text


@pytest.mark.parametrize(
    ("where", "said"),
    [(":middling", "middling"), (":long:test", "test"), ("-nowhere", "tales-nowhere")],
)
def test_what_the_hub_lacks_is_one_line(dataset, where, said):
    with pytest.raises(ValueError, match="cannot read 'hub:") as refused:
        open_source("tales", f"hub:{dataset}{where}", dataset.parent / "cache")
    assert "\n" not in str(refused.value)
    assert said in str(refused.value).split("corpus of")[1]


def test_colabs_pretraining_reads_a_corpus_of_the_hub(dataset, world, tokenizer, tmp_path):
    config = colab_config(corpus={"tales": f"hub:{dataset}:long"}, mixture={"tales": 1.0})
    _, report = pretrain(config, tokenizer, world, 0, work=tmp_path / "work", progress=False)
    assert report["steps"] == 20
    assert [row["source"] for row in report["mixture"]] == ["tales"]
    assert course(tmp_path / "work")[-1] < course(tmp_path / "work")[0] - 0.5
