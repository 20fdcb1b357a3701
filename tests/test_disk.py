"""A disk that is full is called full, whatever a writer made of it; time spent adds up."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from llamalite import stopwatch
from llamalite.artifacts import Artifact, drafting
from llamalite.disk import writing
from llamalite.user_errors import explain

FULL = Path("/dev/full")  # every write to it fails as on a full disk
full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
Usage = namedtuple("Usage", "total used free")


@full
def test_a_full_disk_names_the_file(tmp_path):
    path = tmp_path / "state"
    path.symlink_to(FULL)
    with pytest.raises(OSError, match="No space left") as caught, writing(path):
        path.write_text("state")
    assert explain(caught.value) == (
        f"the disk is full ({path}); free space and run again to go on"
    )
    assert not path.is_symlink()
    assert FULL.exists()


@full
def test_torchs_own_word_for_a_full_disk_is_translated(tmp_path, monkeypatch):
    path = tmp_path / "state"
    path.symlink_to(FULL)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(2**30, 2**30, 0))
    with pytest.raises(OSError, match="No space left") as caught, writing(path):
        torch.save({"weight": torch.zeros(100_000)}, path)
    assert caught.value.errno == errno.ENOSPC


def test_another_error_stays_what_it_is_and_the_half_written_file_goes(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(RuntimeError, match="inline_container"), writing(path):
        path.write_text("half")
        raise RuntimeError("inline_container: no disk of this test is full")
    assert not path.exists()


def test_seconds_add_up_over_attempts(tmp_path, monkeypatch):
    clock = iter([100.0, 107.0, 500.0, 503.0, 503.0])  # 7 s, a pause, 3 s
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(stopwatch.threading.Thread, "start", lambda self: None)
    monkeypatch.setattr(stopwatch.threading.Thread, "join", lambda self: None)
    path = tmp_path / "demo"
    with pytest.raises(RuntimeError), drafting(path, "demo", {}, {}, 0):
        raise RuntimeError("stopped")
    with drafting(path, "demo", {}, {}, 0):
        pass
    assert Artifact.open(path).manifest["seconds"] == 10.0
