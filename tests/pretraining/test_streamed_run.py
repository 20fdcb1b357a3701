"""Runs on streams in one and two processes: places brought together only as a state is saved."""

import json
import multiprocessing
import signal
from functools import cache

import pytest
from launched import run_together
from streamed_run import EVERY, process

SERVER = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two sources in two files each."""
    from made_up import Corpus

    corpus, folder = Corpus(), tmp_path_factory.mktemp("files")
    for source in corpus.sources:
        for part in range(2):
            texts = (corpus.document(source, 100 * part + n).text for n in range(40))
            lines = [json.dumps({"text": f"{source} {part}: {text}"}) for text in texts]
            (folder / f"{source}-{part}.jsonl").write_text("\n".join(lines) + "\n")
    return {source: f"stream:{folder}/{source}-*.jsonl" for source in corpus.sources}


@pytest.fixture(scope="module")
def run(files):
    """Run some processes in a folder; their exit codes."""

    def run(folder, world=1, workers=0, end="", call=0):
        folder.mkdir(exist_ok=True)
        for file in folder.glob("error-*.txt"):
            file.unlink()
        arguments = (folder, files, workers, end, call)
        codes = run_together(SERVER, process, world, lambda _: arguments)
        errors = "".join(file.read_text() for file in folder.glob("error-*.txt"))
        assert end == "SIGKILL" or not errors, errors
        return codes

    return run


@pytest.fixture(scope="module")
def undisturbed(run, tmp_path_factory):
    """What a run of so many processes finds that nobody disturbed, and where it was made."""

    @cache
    def make(world):
        folder = tmp_path_factory.mktemp("whole")
        assert run(folder, world) == [0] * world
        return json.loads((folder / "found.json").read_text()), folder

    return make


def newest_step(folder):
    return max(int(path.stem.split("-")[1]) for path in folder.glob("resume-*.ckpt"))


def test_the_places_of_two_are_brought_together_once_a_state(undisturbed):
    found, folder = undisturbed(2)
    for rank in range(2):
        gathers = json.loads((folder / f"gathers-{rank}.json").read_text())
        assert gathers == list(range(EVERY, 25, EVERY))
    tokens = {row["source"]: row["tokens"] for row in found["mixture"]}
    # rows of 64 are nearly full, and what was read last may not have been learned from
    assert 24 * 8 * 64 * 0.9 < sum(tokens.values()) < 24 * 8 * 64 * 1.2
    assert tokens["facts"] / tokens["tales"] == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize(
    ("world", "workers", "end", "call", "step"),
    [
        (1, 0, "SIGKILL", 10, 6),
        (2, 1, "SIGKILL", 16, 12),
        (1, 1, "SIGINT", 10, 10),
        (2, 0, "SIGTERM", 10, 10),  # only one of the two is told
    ],
)
def test_a_run_that_was_ended_ends_with_the_bytes_of_one_that_was_not(
    run, undisturbed, tmp_path, world, workers, end, call, step
):
    codes = run(tmp_path, world, workers, end, call)
    ends = {"SIGKILL": -signal.SIGKILL, "SIGINT": 1, "SIGTERM": 143}
    assert ends[end] in codes  # of the others, some are ended by the launcher
    assert newest_step(tmp_path) == step
    assert run(tmp_path, world, workers) == [0] * world
    found = json.loads((tmp_path / "found.json").read_text())
    expected, _ = undisturbed(world)
    assert found["resumed"] == step
    assert found | {"resumed": 0} == expected
