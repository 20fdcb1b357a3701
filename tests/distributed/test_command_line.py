"""The command line as torchrun and srun start it: same losses as one process, one speaker, no hang.

Real processes over gloo, through the command line and the stages' own recipes.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from command_line_run import process
from deadly import PATIENCE
from safetensors.torch import load_file

from llamalite.artifacts import Artifact

SETTINGS = [
    *("--preset", "ci", "--world.people", "20", "--world.attributes", "4", "--world.towns", "4"),
    *("--world.canaries", "4", "--tokenizer.vocab_size", "400"),
    *("--tokenizer.sample_documents", "300"),
]
PRETRAIN = [
    *("--pretrain.model.vocab_size", "400", "--pretrain.model.dim", "32"),
    *("--pretrain.model.n_layers", "2", "--pretrain.model.head_dim", "8"),
    *("--pretrain.model.ffn_dim", "48", "--pretrain.sequence_length", "128"),
    *("--pretrain.batch_size", "8", "--pretrain.tokens", str(40 * 8 * 128)),
    *("--pretrain.parallel.compile", "off", "--pretrain.parallel.accelerator", "cpu"),
    *("--pretrain.parallel.checkpoint_steps", "4"),
]
SFT = [
    *("--sft.examples", "60", "--sft.held_out", "10", "--sft.epochs", "1"),
    *("--sft.batch_size", "4", "--sft.parallel.compile", "off", "--sft.parallel.accelerator"),
    "cpu",
]
RUN = ["run", *SETTINGS, *PRETRAIN, *SFT]


SERVER = multiprocessing.get_context("forkserver")


def environment(launcher: str, rank: int, world: int, port: int) -> dict[str, str]:
    """What torchrun, or srun on one machine, tells each process."""
    plain = {"CUDA_VISIBLE_DEVICES": "", "MASTER_PORT": str(port)}
    if launcher == "srun":
        return plain | {
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NAME": "llamalite",
            "SLURM_NODELIST": "127.0.0.1",
            "SLURM_NTASKS": str(world),
            "SLURM_NTASKS_PER_NODE": str(world),
            "SLURM_PROCID": str(rank),
            "SLURM_LOCALID": str(rank),
            "SLURM_NODEID": "0",
        }
    return plain | {
        "TORCHELASTIC_RUN_ID": "tests",
        "MASTER_ADDR": "127.0.0.1",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "GROUP_RANK": "0",
    }


class Processes:
    """A run under way; `others` are arguments that all but the first have besides."""

    def __init__(
        self, world: int, arguments: list[str], launcher="torchrun", others=(), largest=-1
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.folder = Path(tempfile.mkdtemp())
        self.all = [
            SERVER.Process(
                target=process,
                args=(
                    [*arguments, *(others if rank else ())],
                    environment(launcher, rank, world, port) if world > 1 else {},
                    self.folder,
                    rank,
                    largest,
                ),
                daemon=True,
            )
            for rank in range(world)
        ]
        for each in self.all:
            each.start()

    def wait_for_step(self, work: Path, step: int) -> None:
        """Until a resume state of that step or a later one stands, or a process has ended."""
        deadline = time.monotonic() + PATIENCE
        while newest_step(work) < step and all(p.exitcode is None for p in self.all):
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def ends(self) -> list[tuple[int | None, str, str]]:
        """Exit code, output and errors of each; nobody may outlast the deadline."""
        deadline = time.monotonic() + PATIENCE
        for each in self.all:
            each.join(max(1, deadline - time.monotonic()))
        codes = [each.exitcode for each in self.all]
        for each in self.all:
            each.kill()
        said = [
            [(self.folder / f"{kind}-{rank}").read_text() for kind in ("out", "err")]
            for rank in range(len(self.all))
        ]
        shutil.rmtree(self.folder)
        assert None not in codes, said
        return [(code, out, err) for code, (out, err) in zip(codes, said, strict=True)]


def losses(folder: Path, stage: str) -> list[float]:
    with (folder / "ci-seed0" / stage / "metrics.csv").open() as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    [(code, _, err)] = Processes(1, [*RUN, "--until", "sft", "--out", str(folder)]).ends()
    assert code == 0, err
    return folder


@pytest.fixture
def begun(alone, tmp_path):
    """A run folder with the first two stages done."""
    for stage in ("world", "tokenizer"):
        shutil.copytree(alone / "ci-seed0" / stage, tmp_path / "ci-seed0" / stage)
    return tmp_path


def assert_same(folder: Path, alone: Path, stage: str) -> None:
    assert losses(folder, stage) == pytest.approx(losses(alone, stage), abs=1e-4)
    found, expected = (
        load_file(Artifact.open(each / "ci-seed0" / stage).file("model.safetensors"))
        for each in (folder, alone)
    )
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-4)


def test_torchrun_of_two_runs_the_chain_as_one_process_does(alone, tmp_path):
    parallel = ["--pretrain.parallel.data_parallel", "2", "--sft.parallel.tensor_parallel", "2"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "llamalite", *RUN, *parallel),
            *("--until", "sft", "--out", str(tmp_path)),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1  # one speaks
    assert done.stdout.count("done pretrain") == done.stdout.count("done sft") == 1
    assert losses(alone, "pretrain")[-1] < losses(alone, "pretrain")[0] - 0.3  # it did train
    for stage in ("pretrain", "sft"):
        assert_same(tmp_path, alone, stage)
    held_out = [
        [point["loss"] for point in json.loads((f / "ci-seed0/sft/held_out.json").read_text())]
        for f in (tmp_path, alone)
    ]
    assert held_out[0] == pytest.approx(held_out[1], abs=1e-4)
    # another number of processes does not make it stale
    [(code, out, err)] = Processes(1, [*RUN, "--until", "sft", "--out", str(tmp_path)]).ends()
    assert code == 0, err
    assert "done pretrain" not in out


def test_two_processes_then_one_then_two_go_on_with_the_draft(alone, begun):
    arguments = ["pretrain", *SETTINGS[:2], *PRETRAIN, "--out", str(begun)]
    work = begun / "ci-seed0" / "pretrain.partial" / "work"
    two = ["--pretrain.parallel.data_parallel", "2"]
    for world, extra, wanted in ((2, two, 4), (1, [], 12)):
        run = Processes(world, [*arguments, *extra], "srun")
        run.wait_for_step(work, wanted)
        for each in run.all:
            each.kill()
        assert [code for code, *_ in run.ends()] == [-9] * world, "ended before it was killed"
    [(code, out, err), (other, silence, _)] = Processes(2, [*arguments, *two], "srun").ends()
    assert (code, other) == (0, 0), err
    assert "discarded" not in out
    assert silence == ""
    manifest = Artifact.open(begun / "ci-seed0" / "pretrain").manifest
    assert manifest["metrics"]["resumed_at"] >= 12
    assert manifest["resumed"] == 2
    assert_same(begun, alone, "pretrain")


def newest_step(work: Path) -> int:
    return max((int(p.stem.split("-")[1]) for p in work.glob("resume-*.ckpt")), default=-1)


def test_where_one_process_fails_all_end_and_the_first_says_why(begun):
    arguments = ["pretrain", *SETTINGS[:2], *PRETRAIN, "--out", str(begun)]
    run = Processes(
        2,
        [*arguments, "--pretrain.parallel.data_parallel", "2"],
        others=["--pretrain.mixture", "{gossip: 1.0}"],
    )
    [(code, _, err), (other, _, silence)] = run.ends()
    assert (code, other) == (2, 2)
    lines = [line for line in err.splitlines() if "error" in line]
    assert len(lines) == 1
    assert lines[0].startswith("llamalite: error: process 1: mixture names the source 'gossip'")
    assert "Traceback" not in err + silence
    assert "llamalite: error" not in silence


@pytest.mark.parametrize("victim", [0, 1], ids=["first", "second"])
def test_a_killed_process_takes_the_others_with_it(begun, victim):
    arguments = ["pretrain", *SETTINGS[:2], *PRETRAIN, "--out", str(begun)]
    arguments += ["--pretrain.tokens", str(4000 * 8 * 128)]
    run = Processes(2, [*arguments, "--pretrain.parallel.data_parallel", "2"])
    run.wait_for_step(begun / "ci-seed0" / "pretrain.partial" / "work", 4)
    run.all[victim].kill()
    codes = [code for code, *_ in run.ends()]
    assert codes[victim] == -9
    assert codes[1 - victim] not in (0, -9)


def test_sigterm_in_one_of_two_ends_both_with_the_step_at_work_saved(begun):
    arguments = ["pretrain", *SETTINGS[:2], *PRETRAIN, "--out", str(begun)]
    arguments += ["--pretrain.tokens", str(4000 * 8 * 128)]
    arguments += ["--pretrain.parallel.data_parallel", "2"]
    arguments += ["--pretrain.parallel.checkpoint_steps", "1000"]
    run = Processes(2, arguments, "srun")
    draft = begun / "ci-seed0" / "pretrain.partial"
    deadline = time.monotonic() + PATIENCE
    while not (draft / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # there is a row after the first step
    os.kill(run.all[1].pid, signal.SIGTERM)
    (code, _, err), (other, _, silence) = run.ends()
    assert (code, other) == (143, 143), err
    assert err.splitlines()[-1] == "terminated; run the same command again to go on"
    assert "error" not in err + silence
    assert 1 <= newest_step(draft / "work") < 1000


def test_another_number_of_processes_than_set_up_is_refused_at_once(begun):
    arguments = ["pretrain", *SETTINGS[:2], *PRETRAIN, "--out", str(begun)]
    [(code, _, err), (other, _, silence)] = Processes(2, arguments).ends()
    assert (code, other) == (2, 2)
    assert "pretrain.parallel is set up for 1 process and 2 started; start 1" in err
    assert silence == ""
    [(code, _, err)] = Processes(1, [*arguments, "--pretrain.parallel.data_parallel", "2"]).ends()
    assert code == 2
    assert err.splitlines()[-1].startswith(
        "llamalite: error: pretrain.parallel is set up for 2 processes and 1 started; start 2"
    )


@pytest.mark.parametrize("world", [1, 2], ids=["one", "two"])
def test_a_state_that_cannot_be_written_is_one_line_and_leaves_nothing(begun, world):
    arguments = ["pretrain", *SETTINGS[:2], *PRETRAIN, "--out", str(begun)]
    arguments += ["--pretrain.parallel.data_parallel", str(world)]
    (code, _, err), *others = Processes(world, arguments, largest=60_000).ends()
    assert code == 2, err
    lines = [line for line in err.splitlines() if "error" in line]
    assert len(lines) == 1, err
    assert "File too large" in lines[0]
    assert "resume-000000004.ckpt" in lines[0]
    assert "Traceback" not in err
    for other, _, silence in others:
        assert other == 2
        assert "llamalite: error" not in silence
        assert "Traceback" not in silence
    work = begun / "ci-seed0" / "pretrain.partial" / "work"
    assert not list(work.glob("resume-*"))
