"""Who of several processes makes which file, and works on which GPU."""

import threading

import pytest
import torch

from llamalite import processes
from llamalite.processes import Share


def test_shares_leave_nothing_out_and_nothing_to_two():
    pieces = range(0, 110, 10)
    shares = [list(Share(rank, 4).own(pieces)) for rank in range(4)]
    assert shares[0] == [0, 40, 80]
    assert [len(share) for share in shares] == [3, 3, 3, 2]
    assert sorted(piece for share in shares for piece in share) == list(pieces)
    assert list(Share(3, 4).own(range(2))) == []  # fewer files than processes


def test_a_stage_of_one_process_is_not_shared_whoever_else_was_started(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "tests")
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert Share.among(4) == (2, 4)
    assert not Share.among(4).leads
    assert Share.among(1) == (0, 1)


def test_waiting_ends_with_the_last_file(tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]
    files[1].touch()
    waiting = threading.Thread(target=Share.wait_for, args=(files,), daemon=True)
    waiting.start()
    waiting.join(3 * processes._LOOK_EVERY)
    assert waiting.is_alive()
    files[0].touch()
    waiting.join(60)
    assert not waiting.is_alive()


@pytest.mark.parametrize(
    ("variables", "gpus", "taken"),
    [
        ({"LOCAL_RANK": "3", "SLURM_LOCALID": "0"}, 8, [3]),
        ({"SLURM_LOCALID": "2"}, 8, [2]),
        ({"LOCAL_RANK": "3"}, 1, []),  # it is shown its own alone
        ({"LOCAL_RANK": "0"}, 0, []),
    ],
)
def test_each_process_takes_its_own_gpu(monkeypatch, variables, gpus, taken):
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", found.append)
    processes._take_own_gpu()
    assert found == taken
