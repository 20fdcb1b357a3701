"""Every command that reads a corpus: bad lines are counted and set aside, the others are read."""

import json
from dataclasses import replace
from itertools import islice

import hostile
import pytest

from llamalite.artifacts import Draft
from llamalite.cli import main
from llamalite.model.config import ModelConfig
from llamalite.pretraining.config import PretrainConfig
from llamalite.pretraining.recipe import open_corpus, pretrain_into
from llamalite.text.config import TokenizerConfig
from llamalite.text.files import FileCorpus
from llamalite.text.recipe import run as tokenizer_stage
from llamalite.text.tokenizer import Tokenizer
from llamalite.training_config import ParallelConfig

DOCUMENTS = 60
TEXTS = [hostile.good(number) for number in range(DOCUMENTS)]
CONFIG = PretrainConfig(
    model=ModelConfig(
        vocab_size=320, dim=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, ffn_dim=32
    ),
    tokens=8 * 4 * 64,
    sequence_length=64,
    batch_size=4,
    held_out=5,
    parallel=ParallelConfig(accelerator="cpu", compile="off", checkpoint_steps=4),
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return hostile.write(tmp_path_factory.mktemp("hostile") / "corpus", DOCUMENTS)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS, vocab_size=320)


def draft(folder):
    (folder / "work").mkdir(parents=True)
    return Draft(folder, folder / "work")


def test_all_good_documents_can_be_had_by_number(corpus, tmp_path):
    found = FileCorpus({"web": str(corpus)}, tmp_path / "cache", tmp_path / "aside.jsonl")
    assert found.sizes == {"web": DOCUMENTS}
    assert {found.document("web", n).text for n in range(DOCUMENTS)} == set(TEXTS)
    assert found.rejects.count == hostile.REJECTED
    hostile.check(tmp_path / "aside.jsonl", "web")


def test_reading_is_one_line_with_the_count(corpus, capsys):
    FileCorpus({"web": str(corpus)})
    out, err = capsys.readouterr()
    assert out.startswith(f"reading web: {DOCUMENTS} documents, {hostile.REJECTED} set aside (")
    assert (out.count("\n"), err) == (1, "")


def test_the_tokenizer_learns_from_the_good_ones(corpus, tmp_path):
    made = draft(tmp_path / "stage")
    config = TokenizerConfig(vocab_size=320, corpus={"web": str(corpus)})
    tokenizer_stage(config, {}, made, seed=0)
    assert made.metrics["rejected"] == hostile.REJECTED
    hostile.check(made.path / "rejected.jsonl", "web")


def test_the_tokenizer_takes_no_more_of_a_stream_than_its_sample(corpus, tmp_path):
    made = draft(tmp_path / "stage")
    config = TokenizerConfig(
        vocab_size=320, corpus={"web": f"stream:{corpus}"}, sample_documents=18
    )
    tokenizer_stage(config, {}, made, seed=0)
    read = FileCorpus({"web": f"stream:{corpus}"}, tmp_path / "cache", first=20)
    assert {read.document("web", n).text for n in range(20)} == set(TEXTS[:20])
    assert made.metrics["rejected"] == read.rejects.count == len(hostile.BAD)
    assert made.metrics["tokens_per_byte"] > 0, "two of twenty were kept to measure on"
    with pytest.raises(ValueError, match="of which the first documents are taken; say how many"):
        FileCorpus({"web": f"stream:{corpus}"}, tmp_path / "cache")


@pytest.mark.parametrize("way", ["", "stream:"])
def test_pretraining_counts_and_sets_aside(corpus, tokenizer, tmp_path, way):
    made = draft(tmp_path / "stage")
    tokens = 40 * 4 * 64  # more than a lap
    config = replace(CONFIG, corpus={"web": f"{way}{corpus}"}, tokens=tokens)
    pretrain_into(made, config, tokenizer, None, seed=0)
    assert made.metrics["rejected"] == hostile.REJECTED
    hostile.check(made.path / "rejected.jsonl", "web")


def test_what_is_kept_from_training_is_what_was_not_tokenised(corpus, tokenizer, tmp_path):
    config = replace(CONFIG, corpus={"web": str(corpus)})
    reader, sizes, kept = open_corpus(config, tokenizer, None, tmp_path)
    rows = [reader().row(("web", n)) for n in range(sizes["web"])]
    learned = " ".join(tokenizer.decode(row.tokens_T.tolist()) for row in rows)
    held = " ".join(
        tokenizer.decode(row.tolist()) for batch in kept(["web"]) for row in batch.tokens_BT
    )
    numbers = [f"<{n}>" for n in range(DOCUMENTS)]
    in_learned = {n for n in numbers if n in learned}
    in_held = {n for n in numbers if n in held}
    assert len(in_held) == 5
    assert not in_learned & in_held
    assert in_learned | in_held == set(numbers)


def test_the_vocabulary_study(corpus, tmp_path):
    options = {"corpus": corpus, "sizes": "[320]", "ablation_size": 320, "out": tmp_path / "out"}
    assert main(["vocabulary", *words(options)]) == 0
    told = json.loads((tmp_path / "out" / "vocabulary.json").read_text())["documents"]
    assert told == {"learned": 54, "held_out": 6, "rejected": hostile.REJECTED}
    hostile.check(tmp_path / "out" / "rejected.jsonl")


def words(options):
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def test_the_audit(corpus, tmp_path, capsys):
    assert main(["audit", *words({"corpus": corpus, "out": tmp_path / "out"})]) == 0
    told = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert told["documents"] == DOCUMENTS
    assert sum(told["rejected"].values()) == hostile.REJECTED
    hostile.check(tmp_path / "out" / "rejected.jsonl")
    assert f"{hostile.REJECTED} set aside" in capsys.readouterr().out


def test_the_search_for_contamination(corpus, tokenizer, tmp_path, capsys):
    tokenizer.save(tmp_path / "tokenizer.model")
    benchmark = tmp_path / "benchmark.jsonl"
    rows = [{"text": TEXTS[50]}, {"text": "Nothing of the kind stands anywhere else in here."}]
    benchmark.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {
        "corpus": corpus,
        "benchmark": benchmark,
        "tokenizer": tmp_path / "tokenizer.model",
        "out": tmp_path / "out",
    }
    assert main(["contamination", *words(options)]) == 0
    told = json.loads((tmp_path / "out" / "contamination.json").read_text())
    assert told["corpus_documents"] == DOCUMENTS
    assert sum(told["corpus_rejected"].values()) == hostile.REJECTED
    hostile.check(tmp_path / "out" / "corpus_rejected.jsonl")
    assert told["shares"]["10"] == pytest.approx(0.5, abs=0.1)
    assert f"of the corpus {hostile.REJECTED} set aside" in capsys.readouterr().out


def test_a_corpus_of_nothing_usable_is_one_line(tmp_path, capsys):
    (tmp_path / "bad.jsonl").write_text("none\nof\nit\n")
    for command in (["audit"], ["vocabulary"]):
        with pytest.raises(SystemExit):
            main([*command, *words({"corpus": tmp_path / "bad.jsonl", "out": tmp_path / "out"})])
        error = capsys.readouterr().err.strip()
        assert "no usable document: 3 set aside, the first, bad.jsonl:1, for: not JSON" in error
        assert "\n" not in error


def test_an_audit_of_some_reads_no_further(corpus, tmp_path, monkeypatch):
    from llamalite.audit import recipe

    taken = 0

    def counted(stream):
        nonlocal taken
        for document in raw(stream):
            taken += 1
            yield document

    raw = recipe.raw_documents
    monkeypatch.setattr(recipe, "raw_documents", counted)
    found = recipe.open_corpus(str(corpus), documents=4, every=3)
    assert [read.text for read in islice(found.documents, 9)] == TEXTS[0:12:3]
    assert taken == 10 + len(hostile.BAD)
