"""The command line: what it prints, how it refuses, and that settings survive a round trip."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from llamalite.cli import build_parser, main
from llamalite.presets import RUNS
from llamalite.stages import kinds


def ask(capsys, *arguments):
    """Run the command line in this process: exit code, standard output, standard error."""
    try:
        code = main(arguments)
    except SystemExit as leave:
        code = leave.code or 0
    out, err = capsys.readouterr()
    return code, out, err


WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning", "numpy"):
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Absent())
from llamalite.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["pretrain", "--help"], ["plan", "--help"]]
)
def test_help_answers_without_torch(arguments):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "usage: llamalite" in done.stdout


def test_import_does_not_import_torch():
    code = (
        "import llamalite, llamalite.cli, llamalite.presets, sys; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_help_lists_the_stages_in_the_papers_order(capsys):
    code, out, _ = ask(capsys, "--help")
    assert code == 0
    places = [out.index(f"\n    {stage} ") for stage in kinds()]
    assert places == sorted(places)


def test_every_setting_of_a_stage_is_explained(capsys):
    _, out, _ = ask(capsys, "pretrain", "--help")
    assert "--pretrain.model.n_kv_heads" in out
    assert "key and value heads" in " ".join(out.split())


def test_help_of_a_stage_says_that_what_it_reads_is_made_first(capsys):
    said = "What it reads and the run folder lacks is made first."
    for verb, reads in (("rejection_sampling", True), ("world", False), ("run", False)):
        _, out, _ = ask(capsys, verb, "--help")
        assert (said in " ".join(out.split())) == reads


@pytest.mark.parametrize("option", ["clean --corpus", "pretrain --pretrain.corpus"])
def test_help_shows_how_a_source_is_named_and_so_it_is(capsys, option):
    verb, name = option.split()
    _, out, _ = ask(capsys, verb, "--help")
    assert f"{name}.NAME FILE" in " ".join(out.split())
    arguments = [verb, f"{name}.web", "w.txt"]
    parsed = build_parser(arguments).parse_args(arguments)[verb]
    assert parsed[name.removeprefix("--")] == {"web": "w.txt"}


@pytest.mark.parametrize("preset", RUNS)
def test_a_printed_configuration_gives_itself_back(capsys, tmp_path, preset):
    options = ["--preset", preset, "--seed", "3", "--pretrain.optimizer.lr", "0.00123"]
    _, first, _ = ask(capsys, "run", *options, "--print_config")
    settings = yaml.safe_load(first)
    assert settings["preset"] == preset
    assert settings["pretrain"]["optimizer"]["lr"] == 0.00123
    file = tmp_path / "settings.yaml"
    file.write_text(first)
    _, second, _ = ask(capsys, "run", "--config", str(file), "--print_config")
    assert yaml.safe_load(second) == settings


def test_a_config_file_names_its_preset_and_the_rest_follows(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("preset: ci\nsft:\n  examples: 7\n")
    arguments = ["run", "--config", str(file)]
    parsed = build_parser(arguments).parse_args(arguments).run
    assert parsed.sft.examples == 7
    assert parsed.pretrain.tokens == RUNS["ci"].pretrain.tokens


REFUSED = [
    (["run", "--preset", "tiny"], "unknown preset 'tiny'; choose among ci, laptop"),
    (["run", "--pretrain.tokns", "5"], "did you mean --pretrain.tokens?"),
    (["run", "--pretrain.tokens", "many"], "--pretrain.tokens takes int, not many"),
    (["run", "--pretrain.model.n_heads", "3"], "n_heads 3 is not divisible by n_kv_heads 2"),
    (["run", "--pretrain.tokens", "10"], "tokens 10 is less than one batch"),
    (
        ["pretrain", "--pretrain.corpus", '{"web": "w.txt"}', "--pretrain.mixture", '{"wb": 1}'],
        "mixture names wb, which the corpus has not; it has web: give these weights, or mixture",
    ),
    (
        ["run", "--tokenizer.corpus", '{"web": "w.txt"}'],
        "mixture names encyclopedia, lessons, stories",
    ),
    (
        ["clean", "--corpus", "b.jsonl"],
        "--corpus takes a name for each value: --corpus.NAME b.jsonl",
    ),
    (
        ["pretrain", "--pretrain.mixture", "0.5"],
        "--pretrain.mixture takes a name for each value: --pretrain.mixture.NAME 0.5",
    ),
    (["run", "--until", "sleep"], "unknown stage 'sleep'; choose among world"),
    (["run", "--world.people", "1"], "world.people is 1; choose 8 to 400"),
    (["run", "--config", "/nowhere.yaml"], "/nowhere.yaml"),
    (["fly"], "invalid choice: 'fly' (choose from 'world', 'tokenizer'"),
    (["chat", "--model", "/nowhere"], "/nowhere"),
    (["claims", "--ids", "Z9"], "Z9"),
    (["plan", "--preset", "99b"], "99b"),
    (["plan", "--gpus", "many"], "--gpus takes int, not many"),
    (["chat", "--style", "loud"], "--style is 'loud'; choose among 'auto', 'chat', 'plain'"),
    (["run", "--preset"], "expected one argument"),
    (["run", "--seed", "-1"], "seed is -1; it must be 0 or more"),
    (["run", "--force", "sft,dream"], "unknown stage 'dream'; choose among world"),
    (["ledger", "--preset", "tiny"], "unknown preset 'tiny'; choose among ci, laptop"),
    (["run", "--config", "nowhere.yaml"], "there is no nowhere.yaml, nor can it be made"),
    (["chat", "--stage", "dream"], "unknown stage 'dream'; choose among world"),
    (
        ["chat", "--stage", "evaluate"],
        "the stage evaluate makes no language model; choose among pretrain, sft, rejection_samp",
    ),
    (["export", "--to", "x", "--stage", "reward_1"], "reward_1 makes no language model; choose"),
    (["pretrian"], "did you mean pretrain?"),
    (["chat"], "no model in runs/laptop-seed0/sft; `llamalite run --preset laptop` makes one"),
    (
        ["chat", "--preset", "ci", "--seed", "2", "--out", "o"],
        "`llamalite run --preset ci --seed 2 --out o` makes one",
    ),
]


@pytest.mark.parametrize(("arguments", "says"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_a_mistake_gets_one_line_that_names_it(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = ask(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert list(tmp_path.rglob("*.safetensors")) == []


def test_a_preset_that_is_no_name_is_refused(capsys, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("preset: [ci]\n")
    code, _, err = ask(capsys, "run", "--config", str(file))
    assert code == 2
    assert "unknown preset ['ci']" in err


def test_a_file_where_the_folder_of_runs_should_be_is_named(capsys, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    code, _, err = ask(capsys, "run", "--preset", "ci", "--out", str(blocked))
    assert code == 2
    assert str(blocked) in err
    assert "a file stands where a folder should be; name another place" in err
    assert err.count("\n") == 1


def test_chat_names_the_runs_that_have_such_a_model(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/ci-seed0/sft").mkdir(parents=True)
    Path("runs/ci-seed1/ppo_5").mkdir(parents=True)
    code, _, err = ask(capsys, "chat")
    assert code == 2
    assert err.endswith("or name a run that has one with --preset and --seed: runs/ci-seed0\n")


def test_the_ledger_reads_what_a_reader_has_measured(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = ask(capsys, "claims", "--ids", "P8,E3", "--seeds", "1", "--preset", "ci")
    assert code == 0
    assert sorted(each.name for each in Path("runs/results/ci").iterdir()) == ["E3.json", "P8.json"]
    told = out.splitlines()[-1].removesuffix(" sets them side by side").split()
    assert told == ["llamalite", "ledger", "--preset", "ci", "--results", "runs/results"]
    _, out, _ = ask(capsys, *told[1:], "--json")
    assert json.loads(out)["holds"] == 2
    code, _, err = ask(capsys, "ledger", "--results", "nowhere")
    assert (code, "there is no folder nowhere" in err) == (2, True)


def test_a_wrong_stage_is_named_before_anything_is_made(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = ask(capsys, "run", "--until", "sleep")
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert "unknown stage 'sleep'" in err


def test_the_usage_of_a_verb_is_one_line(capsys):
    _, out, _ = ask(capsys, "run", "--help")
    assert out.splitlines()[:2] == ["usage: llamalite run [options]", ""]


def raising(monkeypatch, error):
    """The verb `report` fails with an error of the machine."""

    def write_report(folder):
        raise error

    monkeypatch.setattr("llamalite.report.write_report", write_report)


def test_a_full_disk_is_called_one(capsys, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr("llamalite.report.write_report", lambda folder: fill("/dev/full"))
    code, _, err = ask(capsys, "report", "--preset", "ci")
    assert code == 2
    assert err == (
        "llamalite: error: the disk is full (writing); free space and run again to go on\n"
    )


def fill(path):
    with open(path, "w") as stream:
        stream.write("x" * 100_000)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file_where_it_is_known(capsys, monkeypatch, number):
    raising(monkeypatch, OSError(number, os.strerror(number), "/far/model.safetensors"))
    code, _, err = ask(capsys, "report", "--preset", "ci")
    assert code == 2
    assert "the disk is full (/far/model.safetensors); free space" in err


def test_a_read_only_file_system_names_the_folder_and_another(capsys, monkeypatch, tmp_path):
    place = str(tmp_path / "report.html")  # not there, so there is nothing to read
    raising(monkeypatch, OSError(errno.EROFS, os.strerror(errno.EROFS), place))
    code, _, err = ask(capsys, "report", "--preset", "ci")
    assert code == 2
    assert f"cannot write {place}: Read-only file system; choose another folder with --out" in err


def without_privileges():
    """Before a child starts: the superuser's right to pass over permissions is given up (Linux)."""
    import ctypes

    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    for capability in (dac_override, dac_read_search):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


def ask_as_anyone(*arguments):
    """The command line in a process whom permissions bind: exit code and standard error."""
    root = os.geteuid() == 0
    if root and sys.platform != "linux":
        pytest.skip("nothing is denied to the superuser of this system")
    done = subprocess.run(
        [sys.executable, "-m", "llamalite.cli", *arguments],
        capture_output=True,
        text=True,
        preexec_fn=without_privileges if root else None,
    )
    return done.returncode, done.stderr


def test_what_may_not_be_read_and_what_may_not_be_written_are_told_apart(tmp_path):
    secret = tmp_path / "settings.yaml"
    secret.write_text("preset: ci\n")
    secret.chmod(0)
    code, err = ask_as_anyone("run", "--config", str(secret))
    assert (code, err.count("\n")) == (2, 1), err
    assert f"cannot read {secret}: Permission denied" in err
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    code, err = ask_as_anyone("run", "--config", str(closed / "settings.yaml"))
    assert (code, err.count("\n")) == (2, 1), err
    assert f"cannot read {closed / 'settings.yaml'}: Permission denied" in err
    still = tmp_path / "still"
    still.mkdir(mode=0o555)
    code, err = ask_as_anyone("run", "--preset", "ci", "--out", str(still / "runs"))
    assert (code, err.count("\n")) == (2, 1), err
    assert f"cannot write {still / 'runs'}: Permission denied; choose another folder" in err
