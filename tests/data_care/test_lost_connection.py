"""A hub that goes away in the middle of a file: one line, and the same command goes on."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from random import Random

import pytest
from far_away import far_dataset
from huggingface_hub.errors import HFValidationError

from llamalite.cli import main
from llamalite.data_care import recipe
from llamalite.data_care.hub import hub_stream, part_of
from llamalite.data_care.personal import PersonalConfig
from llamalite.data_care.pipeline import Rules
from llamalite.data_care.recipe import CleanConfig, clean_into
from llamalite.data_care.streams import documents, open_stream
from llamalite.own_files import LostConnectionError, went_away

WORDS = (
    *("the", "mayor", "and", "her", "dog", "went", "to", "a"),
    *("small", "town", "that", "nobody", "had", "seen", "before", "winter"),
)


def page(number):
    return f"Page {number}. " + " ".join(Random(number).choices(WORDS, k=900)) + "."


TEXTS = [[page(n) for n in part] for part in (range(50), range(50, 130), range(130, 170))]


@pytest.fixture
def far(tmp_path, monkeypatch):
    with far_dataset(tmp_path / "far", TEXTS, monkeypatch) as made:
        yield made


def content(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("mixture", [{}, {"near": 1.0, "far": 3.0}])
def test_a_cleaning_goes_on_where_the_hub_left_it(far, tmp_path, monkeypatch, mixture):
    where, server = far
    rows = "".join(f'{{"text": "{page(n)}"}}\n' for n in range(1000, 1020))
    (tmp_path / "near.jsonl").write_text(rows)
    judged, leave = [], ()

    def noted(document, *rest):
        judged.append(document.place)
        if len(judged) in leave:
            server.left = 90_000  # and breaks off in the middle of a file
        return judge(document, *rest)

    judge = recipe.judge
    monkeypatch.setattr(recipe, "judge", noted)
    config = CleanConfig(
        {"near": str(tmp_path / "near.jsonl"), "far": where},
        mixture=mixture,
        rules=Rules(personal=PersonalConfig(survey=1)),
    )
    clean_into(tmp_path / "whole", replace(config, out="out"))
    whole, judged[:], leave = list(judged), [], (10, 85)
    breaks = []
    for _ in range(9):
        server.left = None
        try:
            clean_into(tmp_path / "cut", replace(config, out="out"))
            break
        except LostConnectionError:
            breaks.append(len(judged))
    assert len(breaks) == 2
    assert breaks[0] < breaks[1] < len(whole) - 30
    assert judged == whole, "every document once, in the same order"
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_what_was_done_is_committed_and_the_command_says_one_line(
    far, tmp_path, monkeypatch, capsys
):
    where, server = far
    words = ["clean", "--corpus.far", where, "--out", str(tmp_path / "out")]
    words += ["--rules.personal.survey", "1"]

    def leaving(document, *rest):
        if document.place.endswith(":80"):  # in the second file
            server.left = 0
        return judge(document, *rest)

    judge = recipe.judge
    monkeypatch.setattr(recipe, "judge", leaving)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("llamalite: error: the connection to the hub was lost (")
    assert error.endswith("which goes on from what it has saved, if it saves any")
    with closing(sqlite3.connect(tmp_path / "out" / "unfinished.sqlite")) as database:
        [state] = database.execute("SELECT state FROM place").fetchone()
    assert json.loads(state)["done"] > 80, "what was done is on the disk"
    monkeypatch.setattr(recipe, "judge", judge)
    server.left = None
    server.sent.clear()
    assert main(words) == 0
    assert json.loads((tmp_path / "out" / "clean.json").read_text())["documents"]["before"] == 170
    # of the first file, which was done, its footer is asked for again and what tells its columns
    assert server.sent["/0.parquet"] < len(server.files["/0.parquet"])


def test_other_errors_are_no_lost_connection():
    assert went_away(ValueError("no JSON")) is None
    assert went_away(FileNotFoundError("gone")) is None
    assert went_away(HFValidationError("a//b is no name of a repository")) is None
    outer = RuntimeError("outer")
    outer.__cause__ = TimeoutError("slow")
    assert "(slow)" in str(went_away(outer))


def test_a_part_of_a_split_is_taken_off_the_stream(far):
    where, _ = far
    texts = [text for part in TEXTS for text in part]
    for part, expected in {"[:7]": texts[:7], "[5:9]": texts[5:9], "[160:]": texts[160:]}.items():
        stream = open_stream("far", f"{where}::train{part}")
        assert [each.text for each in documents(stream)] == expected
    assert part_of("train") == ("train", 0, None)
    for share in ("train[:10%]", "train[-5:]", "train[:5]+test"):
        with pytest.raises(ValueError, match="cannot be read as a stream"):
            hub_stream("far", f"{where}::{share}", 10, None)
