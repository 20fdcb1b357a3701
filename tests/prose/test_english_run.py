"""The preset `english` from end to end on a few files, and what it says when something is wrong."""

import json
import math
import re
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import PackageNotFoundError
from io import StringIO
from types import SimpleNamespace

import pytest
import torch

from llamalite.cli import main
from llamalite.data_care import packaged
from llamalite.model.checkpoint import load_model
from llamalite.pipeline import finished_stages
from llamalite.text.tokenizer import Tokenizer

WORDS = ("mill", "river", "house", "stone", "lamp", "field", "winter", "bread")
HOSTILE = "</p><script>alert('x')</script>"
DOCUMENTS, KEPT = 60, 5


def document(kind: str, number: int) -> str:
    """A text that no other document holds, whatever is cut of it."""
    said = " ".join(f"{WORDS[(number * 7 + k * k) % 8]} {kind}{number}" for k in range(6))
    return f"The {said}. {HOSTILE if number % 9 == 0 else 'So it was.'}"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("english")
    for kind in ("old", "new"):
        rows = [json.dumps({"text": document(kind, number)}) for number in range(DOCUMENTS)]
        (folder / f"{kind}.jsonl").write_text("\n".join(rows))
    chats = [
        [
            {"role": "user", "content": f"Is it {WORDS[n % 8]} {n}?"},
            {"role": "assistant", "content": f"It is {WORDS[n % 8]}."},
        ]
        for n in range(DOCUMENTS)
    ]
    (folder / "chats.jsonl").write_text("\n".join(json.dumps({"messages": c}) for c in chats))
    corpus = json.dumps({kind: str(folder / f"{kind}.jsonl") for kind in ("old", "new")})
    model = dict(dim=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, ffn_dim=32)
    tiny = {
        "tokenizer.corpus": corpus,
        "tokenizer.vocab_size": 340,
        **{f"pretrain.model.{name}": value for name, value in model.items()},
        "pretrain.model.vocab_size": 340,
        "pretrain.model.max_seq_len": 64,
        "pretrain.corpus": corpus,
        "pretrain.mixture": '{"old": 1, "new": 1}',
        "pretrain.sequence_length": 64,
        "pretrain.tokens": 4096,
        "pretrain.batch_size": 4,
        "pretrain.held_out": KEPT,
        "pretrain.parallel.compile": "off",
        "sft.data": str(folder / "chats.jsonl"),
        "sft.held_out": KEPT,
        "sft.epochs": 1,
        "sft.sequence_length": 64,
        "sft.parallel.compile": "off",
        "prose.resamples": 100,
        "prose.order": 4,
        "prose.opening_tokens": 8,
        "prose.max_new_tokens": 8,
    }
    return folder, tiny


def command(settings, *more, out="runs", **changed):
    folder, tiny = settings
    chosen = {**tiny, **{name.replace("__", "."): value for name, value in changed.items()}}
    words = [word for name, value in chosen.items() for word in (f"--{name}", str(value))]
    return main(["run", "--preset", "english", "--out", str(folder / out), *words, *more])


@pytest.fixture(scope="module")
def said(settings):
    """What the whole run says where no terminal is."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(out):
        assert command(settings) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def stages(settings, said):
    return finished_stages(settings[0] / "runs" / "english-seed0")


def test_reading_is_a_line_for_each_source_and_shows_no_bars(said):
    read = [line for line in said.splitlines() if line.startswith("reading ")]
    for kind in ("old", "new"):
        mine = [line for line in read if line.startswith(f"reading {kind}: ")]
        assert len(mine) == 3  # for the vocabulary, for the rows of pretraining, to measure
        for stage, documents in zip(mine, (DOCUMENTS, DOCUMENTS - KEPT, DOCUMENTS), strict=True):
            assert re.match(rf"reading {kind}: {documents} documents\b.*, \d+\.\d s$", stage)
    for bar in ("Generating", "Saving the dataset"):
        assert bar not in said


def test_it_needs_no_world_and_no_grader(stages):
    assert list(stages) == ["tokenizer", "pretrain", "sft", "prose"]


def test_bits_per_byte_are_those_of_the_model_on_documents_it_never_read(stages):
    found = json.loads(stages["prose"].file("prose.json").read_text())["models"]
    assert set(found) == {"base", "chat", "4-gram of pieces", "4-gram of bytes"}
    model = load_model(stages["pretrain"].path).eval()
    tokenizer = Tokenizer.load(stages["pretrain"].file("tokenizer.model"))
    openings = json.loads(stages["prose"].file("samples.json").read_text())["continuations"]
    numbers = set()
    for kind in ("old", "new"):
        items = found["base"][kind]["items"]
        assert len(items) == KEPT
        for item in items:
            fits = {
                number
                for number in range(DOCUMENTS)
                if len(document(kind, number)) == item["bytes"]
                and abs(surprise(model, tokenizer, document(kind, number)) - item["nats"]) < 0.01
            }
            assert len(fits) == 1
            numbers |= {(kind, *fits)}
        total = sum(item["nats"] for item in items) / sum(item["bytes"] for item in items)
        mean = found["base"][kind]["bits_per_byte"]["mean"]
        assert mean == pytest.approx(total / math.log(2), abs=1e-4)
    assert len(numbers) == 2 * KEPT
    measured = {document(kind, number) for kind, number in numbers}
    for sample in openings:
        begins = sample["opening"].strip()
        assert any(text.startswith(begins) for text in measured)


def surprise(model, tokenizer, text):
    """Nats of a text and its end, a window of the context's length at a time."""
    ids = tokenizer.encode(text, bos=True, eos=True)
    nats = 0.0
    for start in range(0, len(ids) - 1, 64):
        part = torch.tensor([ids[start : start + 65]])
        with torch.no_grad():
            logits = model(part[:, :-1])
        nats += torch.nn.functional.cross_entropy(logits[0], part[0, 1:], reduction="sum").item()
    return nats


def test_the_report_shows_them_and_runs_nothing_of_what_they_say(stages):
    page = (stages["prose"].path.parent / "report.html").read_text()
    for words in ("On unread text", "4-gram of bytes", "The base model on text it never read"):
        assert words in page
    assert "<script>alert" not in page
    data = json.loads((stages["prose"].path.parent / "report.json").read_text())
    assert set(data["prose"]["differences"]) == {"4-gram of pieces", "4-gram of bytes"}
    assert "items" not in data["prose"]["models"]["base"]["old"]


@pytest.mark.parametrize(
    ("changed", "words", "says"),
    [
        ({}, ("--until", "evaluate"), "the preset english has no stage evaluate; choose among"),
        ({}, ("--force", "world"), "the preset english has no stage world"),
        ({"tokenizer__corpus": "{}"}, (), "tokenizer would read the stage world"),
        ({"pretrain__corpus": "{}"}, (), "pretrain would read the stage world"),
        ({"pretrain__held_out": 0}, (), "pretraining kept nothing of old, new to measure on"),
        ({"prose__order": 9}, (), "9-grams of 340 symbols are more than 64 bits can number"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(settings, stages, capsys, changed, words, says):
    assert_refused(lambda: command(settings, *words, **changed), capsys, says)


def test_a_chat_model_tuned_on_what_is_measured_is_refused(stages, tmp_path):
    from llamalite.prose.config import ProseConfig
    from llamalite.prose.recipe import split

    made = stages["pretrain"].manifest["config"]
    tuned = {"data": made["corpus"]["new"], "held_out": 2}
    inputs = {
        "pretrain": stages["pretrain"],
        "sft": SimpleNamespace(manifest={"config": tuned}),
    }
    draft = SimpleNamespace(work=tmp_path / "work", path=tmp_path, metrics={})
    with pytest.raises(ValueError, match=r"sft.held_out is 2 and 5 documents .* lower prose.docum"):
        split(ProseConfig(), inputs, draft)
    assert len(split(ProseConfig(documents=2), inputs, draft)[1].texts["new"]) == 2


def test_missing_packages_are_said_before_anything_is_made(tmp_path, monkeypatch, capsys):
    def missing(package):
        raise PackageNotFoundError(package)

    out = ("--out", str(tmp_path / "runs"))
    with monkeypatch.context() as patched:
        patched.setattr(packaged, "files", missing)
        patched.setattr(packaged, "version", missing)
        run = ["run", "--preset", "english", *out]
        assert_refused(lambda: main(run), capsys, "pip install 'llamalite[data]'")
    assert not list(tmp_path.glob("runs/*/*/"))


def test_a_missing_baseline_library_is_said_before_anything_is_made(settings, monkeypatch, capsys):
    monkeypatch.setattr("llamalite.pipeline.find_spec", lambda package: None)
    says = "prose needs the package nltk, which is not installed; pip install 'llamalite[data]'"
    assert_refused(lambda: command(settings, out="none"), capsys, says)
    assert not list(settings[0].glob("none/*/*/"))


def assert_refused(run, capsys, says):
    """A user's error: exit code 2, one line, no traceback."""
    try:
        code = run()
    except SystemExit as left:
        code = left.code
    assert code == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
