"""Resume states on the disk, and what SIGTERM leaves there."""

from __future__ import annotations

import multiprocessing
import signal

import killed_fit
import pytest
import torch
import torch.distributed.checkpoint
from deadly import run_apart
from killed_fit import deterministic_columns, happening, latest_name

from llamalite.processes import Terminated
from llamalite.resume_states import whole_checkpoint

SERVER = multiprocessing.get_context("forkserver")


def test_half_written_states_are_removed_and_the_newest_whole_one_is_taken(tmp_path):
    for step in (4, 10):
        torch.save({"step": step}, tmp_path / f"resume-{step:09d}.ckpt")
    (tmp_path / "resume-000000012.ckpt.partial").touch()
    told = []
    newest = whole_checkpoint(tmp_path, told.append)
    assert newest == tmp_path / "resume-000000010.ckpt"
    assert not list(tmp_path.glob("*.partial"))
    assert whole_checkpoint(tmp_path / "missing", told.append) is None
    assert told == []


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_resume_state_is_named_and_the_run_stays_as_it_is(tmp_path, damage):
    path = tmp_path / "resume-000000004.ckpt"
    torch.save({"weights": torch.arange(5000)}, path)
    told = []
    assert whole_checkpoint(tmp_path, told.append) == path
    whole = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        whole[len(whole) // 2] ^= 255
        path.write_bytes(whole)
    else:
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"resume-000000004\.ckpt is damaged; remove it"):
        whole_checkpoint(tmp_path, told.append)
    assert told == []


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
@pytest.mark.parametrize("damage", ["cut", "lost", "index", "no index", "rest"])
def test_a_state_in_shards_lacks_nothing(tmp_path, damage):
    folder = tmp_path / "resume-000000004.ckpt"
    torch.distributed.checkpoint.save(
        {"weights": torch.arange(5000)}, checkpoint_id=folder, no_dist=True
    )
    torch.save({"step": 4}, folder / "meta.pt")
    told = []
    assert whole_checkpoint(tmp_path, told.append) == folder
    (shard,) = folder.glob("*.distcp")
    file = {"index": folder / ".metadata", "no index": folder / ".metadata"}.get(damage, shard)
    file = folder / "meta.pt" if damage == "rest" else file
    if damage in ("lost", "no index"):
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"resume-000000004\.ckpt is damaged; remove it"):
        whole_checkpoint(tmp_path, told.append)
    assert told == []


def test_a_damaged_state_is_passed_over_for_the_one_before_it(tmp_path, capsys):
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    killed_fit.main(whole)

    def fail():
        raise RuntimeError("a fault of the test's")

    with pytest.raises(RuntimeError, match="a fault"), happening(10, fail):
        killed_fit.main(damaged, keep=2)
    names = [f"resume-00000000{step}.ckpt" for step in (6, 9)]
    assert sorted(path.name for path in damaged.glob("resume-*")) == names
    (damaged / names[1]).write_bytes(b"torn")
    capsys.readouterr()
    killed_fit.main(damaged, keep=2)
    said = " ".join(capsys.readouterr().out.split())
    assert f"{names[1]} is damaged; going on from the state before it, {names[0]}" in said
    hashes = [(folder / "weights.sha256").read_text() for folder in (damaged, whole)]
    assert hashes[0] == hashes[1]
    assert deterministic_columns(damaged) == deterministic_columns(whole)
    left = sorted(path.name for path in damaged.glob("resume-*"))
    assert left == ["resume-000000039.ckpt", "resume-000000040.ckpt"]


def test_where_all_states_are_damaged_they_are_named(tmp_path):
    told = []
    assert whole_checkpoint(tmp_path, told.append) is None
    for step in (4, 8):
        (tmp_path / f"resume-00000000{step}.ckpt").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"08\.ckpt and .*04\.ckpt are damaged; remove them, and"):
        whole_checkpoint(tmp_path, told.append)
    assert told == []


# --- SIGTERM ------------------------------------------------------------------------------------
def test_sigterm_keeps_the_step_at_work_and_the_next_start_goes_on(tmp_path):
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    assert run_apart(SERVER, killed_fit.main, whole) == 0
    # it comes within the eighth step; the regular states are those of the third, sixth, ninth
    assert run_apart(SERVER, killed_fit.told_to_end, ended, 7, 2) == 143  # as shells say: 128 + 15
    assert latest_name(ended) == "resume-000000008.ckpt"
    assert run_apart(SERVER, killed_fit.main, ended) == 0
    hashes = [(folder / "weights.sha256").read_text() for folder in (whole, ended)]
    assert hashes[0] == hashes[1]
    assert deterministic_columns(ended) == deterministic_columns(whole)


def test_sigterm_with_nothing_to_save_ends_at_once_and_its_handler_goes(tmp_path):
    heard = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        # within the tenth step; the state of the ninth has just been saved
        with pytest.raises(Terminated), happening(9, lambda: signal.raise_signal(signal.SIGTERM)):
            killed_fit.main(tmp_path)
        assert latest_name(tmp_path) == "resume-000000009.ckpt"
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, heard)
