"""Every paper preset's own layout, shrunken, on CPU: FSDP2, tensor parallel, both; kill and resume.

Models begin on the meta device, recompute their blocks in the backward pass and accumulate, as the
presets say. Losses are those of one process.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from deadly import PATIENCE
from test_command_line import Processes, newest_step

from llamalite import rehearsal
from llamalite.artifacts import Artifact
from llamalite.presets import RUNS, get_preset
from llamalite.rehearsal import RehearsalConfig, losses, print_losses, shrunken

STEPS = 6
# name, processes -> data parallel, tensor parallel
LAYOUTS = {
    ("7b", 2): (2, 1),
    ("13b", 4): (2, 2),
    ("34b", 4): (2, 2),
    ("70b", 2): (1, 2),
}


def arguments(name: str, processes: int, out: Path) -> list[str]:
    return [
        *("rehearse", "--preset", name, "--processes", str(processes)),
        *("--steps", str(STEPS), "--out", str(out)),
    ]


def run(name: str, processes: int, out: Path) -> RehearsalConfig:
    """The rehearsal's part of one process, or of all of several; what it was."""
    ends = Processes(processes, arguments(name, processes, out)).ends()
    assert [code for code, *_ in ends] == [0] * processes, [err for *_, err in ends]
    return RehearsalConfig(name, processes, STEPS, out=str(out))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Each preset's run of one process; world and tokenizer, the same for all, are made once."""
    out = tmp_path_factory.mktemp("alone")

    def one(name: str) -> Path:
        mine = out / name
        if not mine.exists():
            made = next((other for other in out.iterdir()), None)
            if made:
                begin(made, mine / "one", name)
            run(name, 1, mine)
        return mine

    return one


def begin(made: Path, folder: Path, name: str) -> None:
    """A run folder with the first two stages done."""
    source = next((made / "one").iterdir())
    for stage in ("world", "tokenizer"):
        shutil.copytree(source / stage, folder / f"{name}-seed0" / stage)


@pytest.mark.parametrize(
    ("name", "processes"), list(LAYOUTS)[:3], ids=[f"{n}-{p}" for n, p in list(LAYOUTS)[:3]]
)
def test_a_presets_layout_trains_as_one_process_does(alone, tmp_path, name, processes):
    expected = losses(RehearsalConfig(name, 1, STEPS, out=str(alone(name))), "one")
    begin(alone(name), tmp_path / "shared", name)
    found = losses(run(name, processes, tmp_path), "shared")
    assert len(expected) == STEPS
    assert expected[-1] < expected[0] - 0.3  # it did train
    assert found == pytest.approx(expected, abs=1e-4)


def test_kill_9_of_one_rank_ends_the_launcher_and_the_next_run_has_the_same_bytes(alone, tmp_path):
    expected = losses(RehearsalConfig("70b", 1, STEPS, out=str(alone("70b"))), "one")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for out in (whole, cut):
        begin(alone("70b"), out / "shared", "70b")
    assert losses(run("70b", 2, whole), "shared") == pytest.approx(expected, abs=1e-4)

    started = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(Path(__file__).with_name("killed_rank.py"))),
            *("9", *arguments("70b", 2, cut)),  # two micro-batches a step: in the fifth
        ],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert started.returncode != 0
    assert "Signal 9 (SIGKILL)" in started.stderr
    folder = cut / "shared" / "70b-seed0"
    assert newest_step(folder / "pretrain.partial" / "work") == 4
    assert not (folder / "pretrain").exists()
    shutil.copytree(cut, tmp_path / "four")

    assert losses(run("70b", 2, cut), "shared") == losses(
        RehearsalConfig("70b", 2, STEPS, out=str(whole)), "shared"
    )
    made, again = (Artifact.open(out / "shared" / "70b-seed0" / "pretrain") for out in (whole, cut))
    assert again.metrics["resumed_at"] == 4
    for file in ("model.safetensors", "held_out.json", "config.json"):
        assert made.files[file] == again.files[file], file

    # on four processes, by both axes, where two were split by one
    assert losses(run("70b", 4, tmp_path / "four"), "shared") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("name", "processes"), LAYOUTS, ids=[f"{n}-{p}" for n, p in LAYOUTS])
def test_a_shrunken_preset_keeps_the_kind_of_model_and_the_axes(name, processes):
    full = get_preset(name)
    small = shrunken(full, processes, STEPS).pretrain
    assert (small.parallel.data_parallel, small.parallel.tensor_parallel) == LAYOUTS[
        name, processes
    ]
    assert small.parallel.activation_checkpointing
    assert small.accumulation == 2
    assert small.steps == STEPS
    assert small.model.n_heads // small.model.n_kv_heads == {"34b": 8, "70b": 8}.get(name, 1)
    assert small.model.n_layers == {"7b": 2, "13b": 2, "34b": 3, "70b": 5}[name]
    assert small.model.n_parameters < 1_000_000
    assert small.optimizer == replace(full.pretrain.optimizer, lr=1e-2, warmup_steps=2)


@pytest.mark.parametrize("name", ["7b", "13b", "34b", "70b"])
def test_a_process_of_a_paper_preset_holds_one_row_and_has_prompts_of_its_own(name):
    preset = RUNS[name]
    for stage, rows in (
        (preset.pretrain, preset.pretrain.batch_size),
        (preset.sft, preset.sft.batch_size),
        (preset.reward, preset.reward.batch_size),
        (preset.ppo, preset.ppo.mini_batch_size),
    ):
        assert rows == stage.accumulation * stage.parallel.data_parallel
    sampling, ghosts, safety = preset.rejection_sampling, preset.ghost_attention, preset.safety
    asked = preset.preferences
    for pieces, at_once, stage in (
        (asked.helpfulness, asked.prompts_at_once, preset.sft),
        (asked.safety, asked.prompts_at_once, preset.sft),
        (sampling.prompts, sampling.prompts_at_once, sampling.refit),
        (ghosts.dialogues, ghosts.dialogues_at_once, ghosts.tuning),
        (safety.prompts, safety.prompts_at_once, safety.tuning),
    ):
        assert -(-pieces // at_once) >= stage.parallel.processes


def test_losses_that_part_are_said(monkeypatch, capsys):
    courses = {"one": [6.0, 5.0], "shared": [6.0, 5.01]}
    monkeypatch.setattr(rehearsal, "losses", lambda config, name: courses[name])
    with pytest.raises(ValueError, match=r"differ by 1\.0e-02 from those of one"):
        print_losses(RehearsalConfig("70b", 2))
    assert "5.01000" in capsys.readouterr().out
    print_losses(RehearsalConfig("70b", 2, precision="bf16"))  # where rounding is coarser


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"processes": 3}, "processes is 3"),
        ({"processes": 0}, "processes is 0"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_bad_numbers_are_named(settings, named):
    with pytest.raises(ValueError, match=named):
        RehearsalConfig(**settings)
