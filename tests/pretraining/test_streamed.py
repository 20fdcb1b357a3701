"""A corpus read as it comes: every document once a lap, each process its own, and exact returns."""

import io
import json
from dataclasses import replace

import pytest
import torch
from test_recipe import CONFIG, weights_after

from llamalite.data_care.streams import documents
from llamalite.own_files import LostConnectionError, went_away
from llamalite.pretraining.mixture import Mixture
from llamalite.pretraining.recipe import open_streams
from llamalite.pretraining.streamed import (
    StreamedRows,
    StreamReader,
    first_documents,
    is_streamed,
    open_parts,
)
from llamalite.resume import own_part


@pytest.fixture
def files(corpus, tmp_path):
    """Two sources in two files each, with a line that is none in the first."""
    folder = tmp_path / "files"
    folder.mkdir()
    for source in corpus.sources:
        for part in range(2):
            texts = (corpus.document(source, 100 * part + n).text for n in range(40))
            lines = [json.dumps({"text": f"{source} {part}: {text}"}) for text in texts]
            (folder / f"{source}-{part}.jsonl").write_text("no json\n" + "\n".join(lines) + "\n")
    return {source: f"stream:{folder}/{source}-*.jsonl" for source in corpus.sources}


def rows_of(files, tokenizer, rank=0, world=1, shuffle=7):
    parts = open_parts(files, rank, world)
    reader = StreamReader(parts, tokenizer, CONFIG.sequence_length, shuffle=shuffle)
    mixture = Mixture(dict.fromkeys(files, 1.0), dict.fromkeys(files), 0)
    return StreamedRows(reader, mixture, CONFIG, rank, world)


def test_held_out_documents_are_never_drawn_and_the_others_once_a_lap(files, tokenizer):
    held = first_documents(open_parts(files, 0, 1), 3)
    assert [document.place for document in held["facts"]] == [
        f"facts-0.jsonl:{line}"
        for line in (2, 3, 4)  # the first line is none
    ]
    texts = {("facts", document.text) for document in held["facts"]}
    reader = StreamReader(open_parts(files, 0, 1), tokenizer, 64, texts)
    laps = [sorted(reader._next("facts", 0) for _ in range(77)) for _ in range(3)]
    assert laps[0] == laps[1] == laps[2]
    assert len(set(laps[0])) == 77
    assert not {document.text for document in held["facts"]} & set(laps[0])


def test_files_of_one_name_in_two_folders_are_told_apart(tokenizer, tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.txt").write_text(f"one of {folder}\ntwo of {folder}\n")
    config = replace(
        CONFIG, corpus={"own": f"stream:{tmp_path}"}, mixture={}, held_out=1, shuffle=0
    )
    reader = open_streams(config, tokenizer, tmp_path)[0](0, 1)
    assert [reader._next("own", 0) for _ in range(3)] == ["two of a", "one of b", "two of b"]


def test_parts_are_apart_and_together_the_whole(files):
    def texts(rank, world):
        part = open_parts(files, rank, world)["tales"]
        return {document.text for document in documents(part) if not document.fault}

    both = [texts(rank, 2) for rank in range(2)]
    assert both[0] | both[1] == texts(0, 1)
    assert not both[0] & both[1]
    assert [len(each) for each in both] == [40, 40]  # a file each


@pytest.mark.parametrize("shuffle", [0, 7, 1000])
def test_a_stream_goes_on_where_it_stood(files, tokenizer, shuffle):
    expected = list(rows_of(files, tokenizer, shuffle=shuffle))
    for stop in (1, 17):
        first = rows_of(files, tokenizer, shuffle=shuffle)
        for _, batches in zip(range(stop), first, strict=False):
            last = batches
        assert torch.equal(last[0].tokens_BT, expected[stop - 1][0].tokens_BT)
        saved = io.BytesIO()
        torch.save(first.state_dict(), saved)
        again = rows_of(files, tokenizer, shuffle=shuffle)
        again.load_state_dict(torch.load(io.BytesIO(saved.getvalue()), weights_only=True))
        for (mine,), (theirs,) in zip(again, expected[stop:], strict=False):
            assert all(map(torch.equal, mine, theirs))
    assert again.reader.laps["facts"] >= 1, "it began anew between"
    with pytest.raises(ValueError, match="read by 1 processes and now by 2"):
        own_part({"parts": [first.state_dict()]}, 0, 2)


def test_a_buffer_gives_every_document_once_a_lap_and_each_lap_another_order(files, tokenizer):
    plain = StreamReader(open_parts(files, 0, 1), tokenizer, 64)
    there = [plain._next("facts", 0) for _ in range(80)]
    laps = {}
    for seed in (0, 1):
        reader = StreamReader(open_parts(files, 0, 1), tokenizer, 64, shuffle=10, seed=seed)
        laps[seed] = [[reader._next("facts", 0) for _ in range(80)] for _ in range(2)]
        for lap in laps[seed]:
            assert sorted(lap) == sorted(there)
            assert lap != there
            # a document moves no further than its buffer, which the unusable lines have part in
            assert max(abs(lap.index(text) - at) for at, text in enumerate(there)) < 12
    assert laps[0][0] != laps[0][1]
    assert laps[0][0] != laps[1][0]


@pytest.mark.parametrize("stop", range(0, 30, 3))
def test_a_buffer_is_found_again_wherever_it_was_left(files, tokenizer, stop):
    def reader():
        return StreamReader(open_parts(files, 0, 1), tokenizer, 64, shuffle=10)

    first = reader()
    for _ in range(stop):
        first._next("facts", 0)
    again = reader()
    again.load_state_dict(first.state_dict())
    rest = [first._next("facts", 0) for _ in range(100)]
    assert [again._next("facts", 0) for _ in range(100)] == rest


@pytest.fixture
def hub(files, tmp_path, monkeypatch):
    """The same sources as datasets in the hub's form: a card that names Parquet files."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)  # 5 s a stream left
    found = {}
    for source, where in files.items():
        folder = tmp_path / "hub" / source
        (folder / "data").mkdir(parents=True)
        texts = [d.text for d in documents(open_parts({source: where}, 0, 1)[source])]
        for part in range(2):
            rows = [{"text": text or None, "url": "https://a.example"} for text in texts[part::2]]
            file = folder / "data" / f"train-{part:05d}-of-00002.parquet"
            datasets.Dataset.from_list(rows).to_parquet(str(file))
        (folder / "README.md").write_text(
            "---\nconfigs:\n- config_name: default\n  data_files: data/train-*.parquet\n---\n"
        )
        found[source] = f"stream:hub:{folder}"
    return found


def test_a_stream_of_the_hub_trains_and_goes_on_where_it_stood(hub, tokenizer, tmp_path):
    config = replace(CONFIG, corpus=hub)
    _, report = weights_after(config, tokenizer, None, tmp_path / "work")
    assert report["held_out"][-1]["loss"] < report["held_out"][0]["loss"] - 1
    assert {row["source"] for row in report["mixture"]} == set(hub)
    assert not list((tmp_path / "work").rglob("*.arrow"))
    expected = list(rows_of(hub, tokenizer))
    first = rows_of(hub, tokenizer)
    for _ in zip(range(9), first, strict=False):
        pass
    again = rows_of(hub, tokenizer)
    again.load_state_dict(first.state_dict())
    for (mine,), (theirs,) in zip(again, expected[9:], strict=False):
        assert all(map(torch.equal, mine, theirs))


def test_a_run_whose_hub_goes_away_ends_as_if_it_had_not(hub, tokenizer, tmp_path, monkeypatch):
    config = replace(CONFIG, corpus=hub, shuffle=5)
    whole, _ = weights_after(config, tokenizer, None, tmp_path / "whole")
    read = 0

    def next_of(self, source, index):
        nonlocal read
        read += 1
        if read in (100, 260):
            raise went_away(ConnectionError("Server Disconnected"))
        return next_document(self, source, index)

    next_document = StreamReader._next
    monkeypatch.setattr(StreamReader, "_next", next_of)
    breaks = 0
    for _ in range(5):
        try:
            again, _ = weights_after(config, tokenizer, None, tmp_path / "cut")
            break
        except LostConnectionError:
            breaks += 1
    assert breaks == 2
    assert all(torch.equal(again[name], weight) for name, weight in whole.items())


def test_a_source_not_read_between_two_returns_keeps_its_place(files, tokenizer):
    def reader(state=None):
        made = StreamReader(open_parts(files, 0, 1), tokenizer, 64)
        if state:
            made.load_state_dict(state)
        return made

    first = reader()
    for source in files:
        for _ in range(5):
            first._next(source, 0)
    again = reader(first.state_dict())
    again._next("facts", 0)
    last = reader(again.state_dict())
    for source in files:
        assert last._next(source, 0) == (first if source != "facts" else again)._next(source, 0)


def test_training_on_streams_keeps_nothing_on_the_disk(files, tokenizer, tmp_path):
    config = replace(CONFIG, corpus=files)
    module_weights, report = weights_after(config, tokenizer, None, tmp_path / "work")
    assert not (tmp_path / "work" / "blocks").exists()
    tokens = {row["source"]: row["tokens"] for row in report["mixture"]}
    assert tokens["facts"] / tokens["tales"] == pytest.approx(2, rel=0.05)
    course = report["held_out"]
    assert course[-1]["loss"] < course[0]["loss"] - 1
    assert all(torch.isfinite(weight).all() for weight in module_weights.values())


def test_mistakes_are_told(files, tokenizer, tmp_path):
    with pytest.raises(ValueError, match="tales is read as a stream and facts not"):
        is_streamed({"facts": "a.jsonl", "tales": files["tales"]})
    with pytest.raises(ValueError, match="world:facts cannot be streamed; leave corpus empty"):
        open_parts({"facts": "stream:world:facts"}, 0, 1)
    (tmp_path / "bad.jsonl").write_text("none\n")
    reader = StreamReader(open_parts({"a": f"stream:{tmp_path}/bad.jsonl"}, 0, 1), tokenizer, 64)
    with pytest.raises(ValueError, match="'a' holds nothing to learn from"):
        reader._next("a", 0)
