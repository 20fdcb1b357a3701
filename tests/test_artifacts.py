"""A stage's folder is whole or absent, whatever killed its process."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from llamalite.artifacts import (
    Artifact,
    digest,
    drafting,
    fingerprint,
    recover,
    source_files,
    write_json,
)


@dataclass(frozen=True)
class Config:
    width: int = 3
    weights: tuple[float, ...] = (0.5, 1.0)


def make(path, text="hello", config=None, inputs=None, seed=0):
    with drafting(path, "demo", config or Config(), inputs or {}, seed) as draft:
        (draft.path / "out.txt").write_text(text)
        draft.metrics["score"] = 1.5
    return Artifact.open(path)


def test_a_finished_folder_describes_itself(tmp_path):
    artifact = make(tmp_path / "demo")
    assert artifact.metrics == {"score": 1.5}
    assert artifact.manifest["config"] == {"width": 3, "weights": [0.5, 1.0]}
    # sha256 of b"hello", a published constant
    assert artifact.files["out.txt"] == {
        "bytes": 5,
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    }
    assert sorted(p.name for p in artifact.path.iterdir()) == ["manifest.json", "out.txt"]


def test_an_exception_leaves_a_draft_that_the_same_run_takes_over(tmp_path):
    path = tmp_path / "demo"
    with pytest.raises(RuntimeError), drafting(path, "demo", Config(), {}, 0) as draft:
        (draft.work / "checkpoint").write_text("half")
        raise RuntimeError
    assert not path.exists()
    with drafting(path, "demo", Config(), {}, 0) as draft:
        assert (draft.work / "checkpoint").read_text() == "half"
    assert Artifact.open(path).manifest["resumed"] == 1


def test_a_whole_draft_that_is_made_again_is_not_whole_until_it_ends(tmp_path):
    path = tmp_path / "demo"
    with pytest.raises(RuntimeError), drafting(path, "demo", Config(), {}, 0):
        raise RuntimeError
    (tmp_path / "demo.partial" / "manifest.json").write_text("{}")  # killed just before the rename
    with pytest.raises(RuntimeError), drafting(path, "demo", Config(), {}, 0) as draft:
        (draft.path / "out.txt").write_text("half")
        raise RuntimeError
    recover(path)
    assert not path.exists()


def test_reading_leaves_a_running_stage_alone(tmp_path):
    path = make(tmp_path / "demo", "old").path
    (tmp_path / "demo.partial").mkdir()
    (tmp_path / "demo.partial" / "manifest.json").write_text("{}")  # about to be renamed by its run
    assert Artifact.open(path).file("out.txt").read_text() == "old"
    assert (tmp_path / "demo.partial").is_dir()


def test_a_draft_of_other_settings_is_discarded(tmp_path):
    path = tmp_path / "demo"
    with pytest.raises(RuntimeError), drafting(path, "demo", Config(), {}, 0) as draft:
        (draft.work / "checkpoint").write_text("half")
        raise RuntimeError
    with drafting(path, "demo", Config(width=4), {}, 0) as draft:
        assert not (draft.work / "checkpoint").exists()


KILLED = """
import os, signal, sys
import llamalite.artifacts as artifacts
from pathlib import Path
path, step = Path(sys.argv[1]), sys.argv[2]
real = getattr(Path, step) if step in ("rename", "unlink") else None
def die(*args, **kwargs):
    if step == "rename" and args[0].name != path.name + ".partial":
        return real(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
if real:
    setattr(Path, step, die)
else:
    artifacts.shutil.rmtree = die
with artifacts.drafting(path, "demo", {"a": 2}, {}, 0) as draft:
    (draft.path / "out.txt").write_text("new")
"""


@pytest.mark.parametrize("step", ["rmtree", "unlink", "rename"])
def test_killed_while_replacing_an_older_folder_the_new_one_still_arrives(tmp_path, step):
    path = tmp_path / "demo"
    make(path, "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), step], check=False)
    assert done.returncode == -9
    recover(path)
    assert (path / "out.txt").read_text() == "new"
    assert Artifact.open(path).manifest["config"] == {"a": 2}
    assert os.listdir(tmp_path) == ["demo"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda p: (p / "out.txt").write_text("hell"), "4 instead of 5 bytes"),
        (lambda p: (p / "out.txt").write_text("jello"), "differs from its hash"),
        (lambda p: (p / "out.txt").unlink(), "missing instead of 5 bytes"),
        (lambda p: (p / "manifest.json").write_text("{"), "damaged"),
        (lambda p: (p / "manifest.json").write_text("[]"), "damaged"),
        (lambda p: (p / "manifest.json").unlink(), "not the output of a stage"),
    ],
)
def test_damage_is_named(tmp_path, damage, says):
    path = make(tmp_path / "demo").path
    damage(path)
    with pytest.raises(ValueError, match=says):
        Artifact.open(path)


def test_fingerprint_changes_with_config_seed_and_input_content_only(tmp_path):
    one = make(tmp_path / "one", "same")
    two = make(tmp_path / "two", "same", Config(width=9))
    other = make(tmp_path / "three", "other")
    base = fingerprint("next", Config(), {"x": one}, 0)
    assert base == fingerprint("next", Config(), {"x": two}, 0)
    assert base != fingerprint("next", Config(), {"x": other}, 0)
    assert base != fingerprint("next", Config(width=4), {"x": one}, 0)
    assert base != fingerprint("next", Config(), {"x": one}, 1)


@pytest.mark.parametrize("log", ["metrics.csv", "safety.csv", "course/iterations.csv"])
def test_logs_do_not_count_as_content(tmp_path, log):
    for name, seconds in (("a", "1.0"), ("b", "2.0")):
        with drafting(tmp_path / name, "demo", Config(), {}, 0) as draft:
            (draft.path / log).parent.mkdir(exist_ok=True)
            (draft.path / log).write_text(seconds)
            (draft.path / "model").write_text("same")
    first, second = Artifact.open(tmp_path / "a"), Artifact.open(tmp_path / "b")
    assert first.content_hash == second.content_hash


def test_the_machine_decides_by_its_precision_alone_however_deep_it_stands():
    def mark(where, **machine):
        config = {"epochs": 2, where: {"lr": 1e-3, "parallel": {"data_parallel": 1} | machine}}
        return fingerprint("stage", config, {}, 0)

    for where in ("refit", "tuning"):
        assert mark(where) == mark(where, data_parallel=4, compile="off")
        assert mark(where) != mark(where, precision="bf16")
    assert mark("refit") != mark("tuning")
    paced = [fingerprint("s", {"pairs": 2, "compile": how}, {}, 0) for how in ("auto", "on")]
    assert paced[0] == paced[1] == fingerprint("s", {"pairs": 2}, {}, 0)


def test_digest_ignores_the_order_of_keys():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_json_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "x.json"
    write_json(file, {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(file, {"a": float("nan")})
    assert json.loads(file.read_text()) == {"a": 1}


def test_all_that_decides_a_number_counts_as_source(tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("model/b.py", "model/kernels.c", "a.py", "style.css", "notes.md"):
        (tmp_path / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for file in source_files(tmp_path)]
    assert found == ["a.py", "model/b.py", "model/kernels.c"]
