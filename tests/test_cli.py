"""The command line: what it prints, how it refuses, and that settings survive a round trip."""

import subprocess
import sys

import pytest
import yaml

from llamalite.cli import build_parser, main
from llamalite.pipeline import STAGES
from llamalite.presets import RUNS


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
    places = [out.index(f"\n    {stage.name} ") for stage in STAGES]
    assert places == sorted(places)


def test_every_setting_of_a_stage_is_explained(capsys):
    _, out, _ = ask(capsys, "pretrain", "--help")
    assert "--pretrain.model.n_kv_heads" in out
    assert "key and value heads" in " ".join(out.split())


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
    (["run", "--until", "sleep"], "unknown stage 'sleep'; choose among world"),
    (["run", "--world.people", "1"], "world.people is 1; choose 8 to 400"),
    (["run", "--config", "/nowhere.yaml"], "/nowhere.yaml"),
    (["fly"], "invalid choice: 'fly'"),
    (["chat", "--model", "/nowhere"], "/nowhere"),
    (["claims", "--ids", "Z9"], "Z9"),
    (["plan", "--preset", "99b"], "99b"),
    (["plan", "--gpus", "many"], "--gpus takes int, not many"),
    (["chat", "--style", "loud"], "--style is 'loud'; choose among 'auto', 'chat', 'plain'"),
    (["run", "--preset"], "expected one argument"),
    (["run", "--seed", "-1"], "seed is -1; it must be 0 or more"),
    (["run", "--force", "sft,dream"], "unknown stage 'dream'; choose among world"),
    (["ledger", "--preset", "tiny"], "unknown preset 'tiny'; choose among ci, laptop"),
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


def test_a_read_only_folder_is_named(capsys, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    code, _, err = ask(capsys, "run", "--preset", "ci", "--out", str(blocked))
    assert code == 2
    assert str(blocked) in err
    assert err.count("\n") == 1
