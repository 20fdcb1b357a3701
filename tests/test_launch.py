"""The launch files: what they hand to sbatch, srun and torchrun is what the command line takes."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import yaml

from llamalite.cli import main
from llamalite.presets import get_preset
from llamalite.stages import STAGES

LAUNCH = Path(__file__).resolve().parents[1] / "launch"
FILES = sorted(LAUNCH.glob("*.s*"))


def print_settings(file: Path, name: str, *options: str) -> Path:
    """A file of settings of a preset, made as the launch files say."""
    with file.open("w") as stream, redirect_stdout(stream), pytest.raises(SystemExit):
        main(["run", "--preset", name, *options, "--print_config"])
    return file


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Settings of the 70B preset."""
    return print_settings(tmp_path_factory.mktemp("settings") / "mine.yaml", "70b")


@pytest.fixture
def said():
    """What the launch files have said beside their work, one after another."""
    return []


@pytest.fixture
def launch(tmp_path, said):
    """Run a launch file where the launchers only note what they are asked to do."""
    tools = tmp_path / "bin"
    tools.mkdir()
    record = tmp_path / "record"
    python = shutil.which("python3")
    note = (
        "import json,os,sys; open(os.environ['RECORD'],'a').write(json.dumps(sys.argv[1:])+'\\n')"
    )
    for name in ("srun", "torchrun", "sbatch"):
        (tools / name).write_text(
            f'#!/usr/bin/env bash\n{python} -c "{note}" {name} "$@"\n'
            'echo $(($(wc -l < "$RECORD") + 100))\n'  # as the number of a job
        )
    (tools / "llamalite").write_text(
        f'#!/usr/bin/env bash\nexec {sys.executable} -m llamalite "$@"\n'
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)

    def run(file: str, *arguments: str, **variables: str) -> list[list[str]]:
        done = subprocess.run(
            ["bash", str(LAUNCH / file), *arguments],
            env={
                **os.environ,
                "PATH": f"{tools}:{os.environ['PATH']}",
                "RECORD": str(record),
                "PYTHONPATH": os.pathsep.join(sys.path),
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stderr)
        return [json.loads(line) for line in record.read_text().splitlines()]

    return run


def parsed(command: list[str], capsys) -> dict:
    """What the command line makes of `llamalite ...` in a launcher's arguments."""
    start = command.index("llamalite") + 1
    with pytest.raises(SystemExit) as ended:
        main([*command[start:], "--print_config"])
    assert ended.value.code in (0, None)
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_bash_reads_every_launch_file(file):
    assert len(FILES) == 3
    done = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.access(file, os.X_OK)
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", str(file)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("last", ["pretrain", "versions"])
def test_srun_gets_a_command_that_parses(launch, settings, last, capsys):
    [command] = launch("run.sbatch", str(settings), last, "--pretrain.tokens", "4194304000000")
    assert command[0] == "srun"
    assert command[command.index("--cpus-per-task") + 1] == "8"
    found = parsed(command, capsys)
    assert (found["preset"], found["until"]) == ("70b", last)
    assert found["pretrain"]["tokens"] == 4_194_304_000_000
    assert found["pretrain"]["parallel"]["tensor_parallel"] == 8


def test_torchrun_gets_a_command_that_parses(launch, settings, capsys):
    [command] = launch("torchrun.sh", str(settings), "red_team", HEAD="node1", NODES="8")
    assert command[command.index("--nnodes") + 1] == "8"
    assert command[command.index("--rdzv-endpoint") + 1] == "node1:29500"
    assert command[command.index("-m") : command.index("-m") + 3] == ["-m", "llamalite", "run"]
    assert parsed(command, capsys)["until"] == "red_team"
    # torchrun itself takes these options
    from torch.distributed.run import get_args_parser

    options = get_args_parser().parse_args(command[1:])
    assert (options.nnodes, options.nproc_per_node, options.max_restarts) == ("8", "8", 3)


@pytest.mark.parametrize("name", ["7b", "13b", "34b", "70b"])
def test_submit_asks_for_the_machines_the_preset_is_set_up_for(launch, tmp_path, name):
    settings = print_settings(tmp_path / "mine.yaml", name)
    jobs = launch("submit.sh", name, str(settings), "2")
    assert [job[0] for job in jobs] == ["sbatch"] * 4
    assert [job[-1] for job in jobs] == ["tokenizer", "pretrain", "pretrain", "red_team"]
    nodes = [int(asked) for asked in nodes_asked(jobs)]
    preset = get_preset(name)
    assert nodes[0] == 1
    assert nodes[1] == nodes[2] == preset.pretrain.parallel.nodes
    assert nodes[3] == preset.sft.parallel.nodes == preset.ppo.parallel.nodes
    assert preset.pretrain.parallel.processes == 8 * nodes[1]  # one a GPU, as run.sbatch asks
    assert preset.sft.parallel.processes == 8 * nodes[3]
    waits = [job[job.index("--dependency") + 1] for job in jobs[1:]]
    assert waits == ["afterok:101", "afterany:102", "afterok:103"]
    names = {stage.name for stage in STAGES}
    assert {job[-1] for job in jobs} <= names


def nodes_asked(jobs: list[list[str]]) -> list[str]:
    """The numbers of machines of jobs."""
    return [job[job.index("--nodes") + 1] for job in jobs]


def test_submit_reads_the_machines_from_the_settings_and_may_be_told_others(launch, tmp_path):
    options = ["--pretrain.parallel.nodes", "64", "--sft.parallel.nodes", "4"]
    settings = print_settings(tmp_path / "mine.yaml", "70b", *options)
    assert nodes_asked(launch("submit.sh", "70b", str(settings))) == ["1", "64", "4"]
    told = launch("submit.sh", "70b", str(settings), NODES="3", ALIGN_NODES="2")[3:]
    assert nodes_asked(told) == ["1", "3", "2"]


@pytest.mark.parametrize(
    ("where", "notes"), [("hub:a/b", "packs own: while all 32 machines"), ("stream:hub:a/b", "")]
)
def test_submit_says_what_the_machines_will_wait_for(launch, said, tmp_path, where, notes):
    options = ["--pretrain.corpus.own", where, "--pretrain.mixture.own", "1.0"]
    launch("submit.sh", "7b", str(print_settings(tmp_path / "mine.yaml", "7b", *options)))
    assert notes in said[0]
    assert bool(notes) == bool(said[0])


def test_submit_refuses_settings_of_another_preset(settings):
    call = ["bash", str(LAUNCH / "submit.sh"), "7b", str(settings)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"{settings} is not of preset 7b\n"


def test_every_directive_of_the_sbatch_file_is_a_long_option():
    lines = re.findall(r"^#SBATCH (.*)$", (LAUNCH / "run.sbatch").read_text(), re.MULTILINE)
    assert len(lines) >= 8
    assert all(re.fullmatch(r"--[a-z-]+(=\S+)?", line) for line in lines)
    # to the steps (a "B:" before it would tell the batch shell alone), before the time is up
    assert "--signal=TERM@300" in lines


@pytest.mark.parametrize("file", ["run.sbatch", "torchrun.sh", "submit.sh"])
def test_what_is_missing_is_asked_for(file):
    done = subprocess.run(["bash", str(LAUNCH / file)], capture_output=True, text=True)
    assert done.returncode != 0
    assert re.search(r"give a (file of settings|preset)", done.stderr)
