"""What a newcomer relies on before any code runs: make, pins, licences, small files."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from deadly import PATIENCE
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "llamalite").rglob("*.py"))
PRELOAD = ".set_forkserver_preload("
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# the text as the Apache Software Foundation publishes it
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    cleaned = (line.split("#")[0].strip() for line in lines)
    return [Requirement(line) for line in cleaned if line and not line.startswith("-")]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_pin_one_version_each(name):
    for requirement in requirements(name):
        assert [spec.operator for spec in requirement.specifier] == ["=="], str(requirement)


def test_pins_lie_inside_the_ranges_and_leave_nothing_out():
    pins = {
        r.name.lower(): next(iter(r.specifier)).version for r in requirements("requirements.txt")
    }
    for text in PROJECT["project"]["dependencies"]:
        asked = Requirement(text)
        assert asked.name.lower() in pins, f"{asked.name} is not pinned in requirements.txt"
        assert asked.specifier.contains(pins[asked.name.lower()]), text


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "VENV"))}
    return subprocess.run(
        ["make", "-C", str(ROOT), *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
def test_make_without_a_fitting_python_says_so_in_one_line(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "sh", "make", "touch"):
        (tools / tool).symlink_to(shutil.which(tool))
    (tools / "python3").write_text("#!/bin/bash\nexit 1\n")  # stands for a Python that is too old
    (tools / "python3").chmod(0o755)
    done = make("setup-run", f"VENV={tmp_path / 'venv'}", PATH=str(tools))
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("make: error")]
    assert "3.11" in line
    assert "PYTHON=" in line
    assert not (tmp_path / "venv").exists()


@needs_make
def test_a_second_make_installs_nothing(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    first = make("-n", "test", f"VENV={tmp_path}")
    assert "pip install" in first.stdout
    for stamp in (".run-stamp", ".dev-stamp"):
        (tmp_path / stamp).touch()
    second = make("-n", "test", f"VENV={tmp_path}")
    assert "pip install" not in second.stdout
    assert "pytest" in second.stdout


@needs_make
def test_make_run_passes_preset_seed_and_folder(tmp_path):
    done = make("-n", "run", "PRESET=ci", "SEED=7", "OUT=/elsewhere", "ARGS=--until sft")
    assert "llamalite run --preset ci --seed 7 --out /elsewhere --until sft" in done.stdout


def test_licences_and_citation_stand_and_agree():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
    assert "CC-BY-4.0" in (ROOT / "LICENSE-prose").read_text()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"] == "Apache-2.0"


def test_workflows_run_what_ci_runs_on_linux_and_macos():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    [job] = jobs.values()
    assert {system.split("-")[0] for system in job["strategy"]["matrix"]["os"]} == {
        "ubuntu",
        "macos",
    }
    assert any(step.get("run") == "bash .ci/run" for step in job["steps"])
    weekly = yaml.safe_load((ROOT / ".github/workflows/newest.yml").read_text())
    assert weekly[True]["schedule"]  # YAML reads the key "on" as a boolean
    script = (ROOT / ".ci/run").read_text()
    assert "set -euo pipefail" in script
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_no_two_test_files_have_one_name():
    # pytest imports them by their names alone, and a whole run would refuse the second
    names = sorted(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert names == sorted(set(names))


def test_one_file_of_the_tests_says_what_their_server_imports():
    # there is one server; a second list would replace the first, and every process import anew
    files = [file.name for file in (ROOT / "tests").rglob("*.py") if PRELOAD in file.read_text()]
    assert sorted(files) == ["conftest.py", "test_repository.py"]


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_source_files_stay_small_and_documented(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "a module says what it is for"


@pytest.mark.parametrize(
    "file",
    sorted((ROOT / "llamalite").glob("*/loss.py")),
    ids=lambda f: f.relative_to(ROOT).as_posix(),
)
def test_losses_name_their_source(file):
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            about = ast.get_docstring(node) or ""
            assert re.search(r"[Ll]lama 2, section|[Nn]ot in the paper", about), node.name


def test_nothing_is_unpickled():
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                if names == {"pickle", "UnpicklingError"}:
                    continue  # the name of an error, to catch it
                assert not {"pickle", "cloudpickle", "dill", "joblib"} & names, file
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert given.get("weights_only") == "True", f"{file}: {ast.unparse(node)}"


@pytest.mark.parametrize("module", ["torch.distributed", "lightning"])
def test_the_model_knows_no_processes_and_no_trainer(module):
    for file in sorted((ROOT / "llamalite" / "model").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Attribute):
                names = [ast.unparse(node)]
            assert not any(f"{name}.".startswith(f"{module}.") for name in names), file
