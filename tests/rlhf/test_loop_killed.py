"""kill -9 between and within the stages of two rounds: nothing is done twice, nothing differs."""

import multiprocessing
import shutil
import signal

import pytest
from deadly import run_apart
from loop_run import UNTIL, main, stand_before

from llamalite.artifacts import Artifact
from llamalite.pipeline import finished_stages
from llamalite.presets import get_preset
from llamalite.stages import chain

SERVER = multiprocessing.get_context("forkserver")
LOOP = [stage.name for stage in chain(get_preset("ci"), UNTIL) if stage.round]
DEATHS = (
    # after, within, at call; what began until then
    (("reward_1", "", 0), ["preferences_1", "reward_1"]),
    (("", "preferences_2", 3), ["rejection_sampling_1", "preferences_2"]),
    (("", "reward_2", 4), ["preferences_2", "reward_2"]),
    (("", "rejection_sampling_2", 4), ["reward_2", "rejection_sampling_2"]),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of the undisturbed run, and one in which only the stages before the loop stand."""
    folder = tmp_path_factory.mktemp("loop")
    stand_before(folder / "before")
    shutil.copytree(folder / "before", folder / "whole")
    assert run_apart(SERVER, main, folder / "whole", folder / "notes") == 0
    assert (folder / "notes").read_text().split() == LOOP
    return folder / "whole", folder / "before"


def files_of(folder):
    """When each file of the finished stages was written, and which it is."""
    return {
        file: (file.stat().st_mtime_ns, file.stat().st_ino)
        for artifact in finished_stages(folder).values()
        for file in artifact.path.rglob("*")
    }


def test_a_loop_killed_between_and_within_stages_ends_with_the_same_bytes(whole, tmp_path):
    undisturbed, before = whole
    folder, notes = tmp_path / "killed", tmp_path / "notes"
    shutil.copytree(before, folder)
    for death, begun in DEATHS:
        standing = files_of(folder)
        assert run_apart(SERVER, main, folder, notes, *death) == -signal.SIGKILL, death
        assert notes.read_text().split() == begun, death
        assert standing.items() <= files_of(folder).items()
        notes.unlink()
    standing = files_of(folder)
    assert run_apart(SERVER, main, folder, notes) == 0
    assert notes.read_text().split() == [UNTIL]
    assert standing.items() <= files_of(folder).items()
    for name in LOOP:
        ended, expected = (Artifact.open(each / name) for each in (folder, undisturbed))
        for file, entry in expected.files.items():
            if not file.endswith(".csv"):  # which say how fast the training was
                assert ended.files[file] == entry, f"{name}/{file}"
        assert ended.files.keys() == expected.files.keys()
        assert ended.fingerprint == expected.fingerprint, name
    resumed = {name: Artifact.open(folder / name).manifest["resumed"] for name in LOOP}
    assert resumed == dict.fromkeys(LOOP, 0) | dict.fromkeys(LOOP[-3:], 1)
