"""The command as a person calls it: files in, table and files out, one line about what is wrong."""

import json
from random import Random
from string import ascii_lowercase

import pytest

from llamalite.cli import main
from llamalite.text.bpe import ByteTokenizer
from llamalite.text.tokenizer import Tokenizer

WORDS = "the quick brown fox jumps over a lazy dog while seven wizards brew tea in old copper pots"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A benchmark of 60 samples, a third of them in the corpus and only these answered right."""
    folder = tmp_path_factory.mktemp("contamination")
    names = WORDS.split()
    texts = [
        " ".join(
            names[(k * (2 + n % 7) + n * n) % len(names)] + str(n * 37 % 101) for k in range(16)
        )
        for n in range(60)
    ]
    rows = [{"text": text, "score": int(n % 3 == 0)} for n, text in enumerate(texts)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "benchmark.jsonl").write_text(lines + "not json\n")
    corpus = [{"text": f"once upon a time {text} and so on"} for text in texts[::3]]
    corpus += [{"text": WORDS}] * 20
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    Tokenizer.train([WORDS, *texts], vocab_size=320).save(folder / "tokenizer.model")
    return folder


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALITE_HOME", str(tmp_path / "home"))


def byte_level(folder):
    """A byte-level vocabulary, ChatML's tokens and 256 bytes, in a model's folder."""
    from tokenizers.pre_tokenizers import ByteLevel

    folder.mkdir(parents=True)
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*control, *sorted(ByteLevel.alphabet())]
    ByteTokenizer.of_merges(tokens, [], [0, 1, 2]).save(folder / "tokenizer.json")


def call(files, *more, **changed):
    named = {
        "benchmark": files / "benchmark.jsonl",
        "corpus": files / "corpus.jsonl",
        "tokenizer": files / "tokenizer.model",
        "out": files / "out",
    } | changed
    options = [part for name, value in named.items() for part in (f"--{name}", str(value))]
    return main(["contamination", *options, *more])


def test_what_is_planted_is_found_and_only_it(files, capsys):
    assert call(files) == 0
    told = json.loads((files / "out" / "contamination.json").read_text())
    assert told["samples"] == 60
    assert told["rejected"] == 1
    clean, _, _, dirty = told["subsets"]["20"]
    assert (clean["samples"], dirty["samples"]) == (40, 20)
    assert (clean["score"], dirty["score"]) == (0, 1)
    assert told["affected"] in (10, 20, 30, 40, 50)
    rows = [json.loads(line) for line in (files / "out" / "samples.jsonl").open()]
    assert all((row["shares"]["20"] > 0.8) == (n % 3 == 0) for n, row in enumerate(rows))
    assert "line" in (files / "out" / "rejected.jsonl").read_text()
    assert (files / "out" / "contamination.svg").read_text().startswith("<svg")
    printed = " ".join(capsys.readouterr().out.split())
    assert f"contamination; the longest matches to show it: {told['affected']} tokens" in printed
    assert "differ" not in printed


def test_scores_off_otherwise_are_not_called_contamination(files, tmp_path, capsys):
    """A third stands in the corpus whole, a third by half, a third not. Those by half are answered
    wrong, then those that stand whole."""
    dice = Random(0)
    texts = [
        " ".join("".join(dice.choices(ascii_lowercase, k=6)) for _ in range(40)) for _ in range(60)
    ]
    corpus = [text[: len(text) // (n % 3 + 1)] for n, text in enumerate(texts) if n % 3 < 2]
    (tmp_path / "corpus.txt").write_text("\n".join(corpus))
    for wrong, told in (
        (1, "clean and dirty samples score above the mean, those between them below it"),
        (0, "clean samples score above the mean and dirty ones below it"),
    ):
        rows = ({"text": text, "score": int(n % 3 != wrong)} for n, text in enumerate(texts))
        benchmark = tmp_path / f"{wrong}.jsonl"
        benchmark.write_text("\n".join(map(json.dumps, rows)))
        out = tmp_path / f"out {wrong}"
        assert call(files, benchmark=benchmark, corpus=tmp_path / "corpus.txt", out=out) == 0
        found = json.loads((out / "contamination.json").read_text())
        four = found["subsets"]["10"]
        assert [each["samples"] for each in four] == [20, 40, 40, 20]
        assert all(abs(each["z"]) > 2 for each in four)
        assert found["affected"] is None
        printed = " ".join(capsys.readouterr().out.split())
        assert "not enough evidence that contamination raised the scores" in printed
        for least in ("more than 10 tokens", "50 tokens and more"):
            assert (
                f"matches of {least}: scores differ between the subsets, but not as "
                f"contamination that helps would have it: {told}"
            ) in printed


def test_tokens_are_those_of_a_model_in_a_folder_or_a_fetched_one(files, tmp_path):
    """With bytes for tokens fifty are some nine words: the same samples are found."""
    home = tmp_path / "home" / "models" / "smollm2"
    byte_level(home)
    (home / "SOURCE.json").write_text("{}")
    byte_level(tmp_path / "model")
    found = []
    for number, tokenizer in enumerate(
        ("smollm2", tmp_path / "model", tmp_path / "model" / "tokenizer.json")
    ):
        assert call(files, tokenizer=tokenizer, out=tmp_path / f"{number}") == 0
        found.append(json.loads((tmp_path / f"{number}" / "contamination.json").read_text()))
    assert found[0] == found[1] == found[2]
    corpus = [json.loads(line)["text"] for line in (files / "corpus.jsonl").open()]
    assert found[0]["corpus_tokens"] == sum(len(text.encode()) for text in corpus)
    assert found[0]["subsets"]["50"][-1]["samples"] == 20


def test_without_scores_only_shares_are_told(files, capsys):
    rows = [json.loads(line) for line in (files / "benchmark.jsonl").read_text().splitlines()[:9]]
    bare = files / "bare.jsonl"
    bare.write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows))
    assert call(files, benchmark=bare, out=files / "bare") == 0
    told = json.loads((files / "bare" / "contamination.json").read_text())
    assert told["subsets"] == {}
    assert told["shares"]["20"] == pytest.approx(1 / 3, abs=0.05)
    assert "Z" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"benchmark": ""}, "--benchmark is missing"),
        ({"benchmark": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"corpus": "nowhere.jsonl"}, "no file fits 'nowhere.jsonl'"),
        ({"tokenizer": "nowhere.model"}, "nowhere.model"),
        ({"tokenizer": "nowhere"}, "nowhere/tokenizer.model"),
        ({"tokenizer": "smollm2"}, "llamalite fetch smollm2"),
        ({"budget": "-1"}, "-1 mismatches"),
    ],
)
def test_one_line_about_what_is_wrong(files, changed, told, capsys):
    with pytest.raises(SystemExit) as stopped:
        call(files, **changed)
    assert stopped.value.code == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error


def test_scores_in_some_lines_only_are_refused(files, capsys):
    mixed = files / "mixed.jsonl"
    mixed.write_text('{"text": "a b", "score": 1}\n{"text": "c d"}\n')
    with pytest.raises(SystemExit):
        call(files, benchmark=mixed)
    assert "1 of 2 lines" in capsys.readouterr().err
