"""From documents to batches: order, resume, processes, own corpora."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from llamalite.model.config import ModelConfig
from llamalite.pretraining.config import PretrainConfig
from llamalite.pretraining.corpus import tokenised_blocks, unpack_block
from llamalite.pretraining.data import RowStream, encode_document
from llamalite.pretraining.mixture import Mixture
from llamalite.pretraining.recipe import open_corpus
from llamalite.text.packing import pack
from llamalite.training_config import ParallelConfig

CONFIG = PretrainConfig(
    model=ModelConfig(vocab_size=340, max_seq_len=64),
    tokens=64 * 8 * 12,
    sequence_length=64,
    batch_size=8,
    mixture={"facts": 3.0, "tales": 1.0},
)


def stream(config, tokenizer, corpus, work, rank=0, world=1):
    reader, sizes, _ = open_corpus(config, tokenizer, corpus, work)
    return RowStream(reader(), Mixture(config.mixture, sizes, 0), config, rank, world)


def flat(batches):
    return [torch.cat(fields) for fields in zip(*batches, strict=True)]


def equal(one, two):
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def write_files(corpus, folder):
    """The corpus as one JSONL and one Parquet file, 30 documents each."""
    datasets = pytest.importorskip("datasets")
    rows = {s: [{"text": corpus.document(s, i).text} for i in range(30)] for s in corpus.sources}
    (folder / "facts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows["facts"]))
    datasets.Dataset.from_list(rows["tales"]).to_parquet(str(folder / "tales.parquet"))
    return {"facts": str(folder / "*.jsonl"), "tales": str(folder / "tales.parquet")}


@pytest.fixture(params=["generated", "files"])
def config(request, corpus, tmp_path):
    if request.param == "generated":
        return CONFIG
    return replace(CONFIG, corpus=write_files(corpus, tmp_path))


def test_rows_hold_the_documents_the_mixture_drew(tokenizer, corpus, tmp_path):
    batches = [b for step in stream(CONFIG, tokenizer, corpus, tmp_path) for b in step]
    assert [b.tokens_BT.shape for b in batches] == [(8, 64)] * 12
    tokens, _, _, _, ids = flat(batches)
    tally = {"facts": 0, "tales": 0}
    for row, numbers in zip(tokens, ids, strict=True):
        for number in numbers.unique():
            piece = row[numbers == number].tolist()
            if piece[0] == tokenizer.bos_id:
                assert piece[-1] == tokenizer.eos_id  # whole, not cut at the row's end
                tally[tokenizer.decode(piece).split(":")[0].strip()] += len(piece)
    # weights 3 and 1; what waits in open rows at the end is not seen here
    assert tally["facts"] / tally["tales"] == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("cut", [1, 5, 11])
def test_a_resumed_stream_gives_the_exact_next_batch(config, tokenizer, corpus, tmp_path, cut):
    whole = list(stream(config, tokenizer, corpus, tmp_path))
    first = stream(config, tokenizer, corpus, tmp_path)
    for _, _batches in zip(range(cut), first, strict=False):
        state = first.state_dict()
    torch.save(state, tmp_path / "state")
    second = stream(config, tokenizer, corpus, tmp_path)
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    rest = list(second)
    assert len(rest) == 12 - cut
    assert all(equal(flat(a), flat(b)) for a, b in zip(rest, whole[cut:], strict=True))


def test_processes_share_out_the_rows_of_one_process(config, tokenizer, corpus, tmp_path):
    for alone, zero, one in zip(
        stream(config, tokenizer, corpus, tmp_path),
        stream(config, tokenizer, corpus, tmp_path, 0, 2),
        stream(config, tokenizer, corpus, tmp_path, 1, 2),
        strict=True,
    ):
        for field, even, odd in zip(*map(flat, (alone, zero, one)), strict=True):
            assert torch.equal(field[0::2], even)
            assert torch.equal(field[1::2], odd)


def test_accumulation_divides_a_batch_and_nothing_else(tokenizer, corpus, tmp_path):
    whole = stream(CONFIG, tokenizer, corpus, tmp_path)
    parts = stream(replace(CONFIG, accumulation=4), tokenizer, corpus, tmp_path)
    for one, four in zip(whole, parts, strict=True):
        assert len(four) == 4
        assert equal(flat(one), flat(four))


def test_a_document_is_learned_from_bos_to_eos(tokenizer):
    example = encode_document(tokenizer, "the mill")
    assert (example.ids[0], example.ids[-1]) == (tokenizer.bos_id, tokenizer.eos_id)
    row = next(pack([example], 16))
    assert row.loss_mask_T.sum() == len(example.ids) - 1
    assert tokenizer.eos_id in row.targets_T[row.loss_mask_T]


# --- own corpora --------------------------------------------------------------------------------
def test_blocks_on_disk_unpack_to_what_packing_makes(tokenizer, corpus, tmp_path):
    # documents longer than a row are among them
    where = write_files(corpus, tmp_path)
    for length in (16, 64):
        blocks = tokenised_blocks(where, tokenizer, length, tmp_path / f"blocks{length}")
        for source in corpus.sources:
            texts = [corpus.document(source, i).text for i in range(30)]
            expected = list(pack([encode_document(tokenizer, t) for t in texts], length))
            found = [unpack_block(block, length) for block in blocks[source]]
            assert len(found) == len(expected)
            assert all(equal(a, b) for a, b in zip(found, expected, strict=True))


def test_blocks_are_made_once(tokenizer, corpus, tmp_path, monkeypatch):
    where = write_files(corpus, tmp_path)
    (tmp_path / "blocks" / "facts.partial").mkdir(parents=True)  # left by a kill
    tokenised_blocks(where, tokenizer, 64, tmp_path / "blocks")
    monkeypatch.setattr("llamalite.pretraining.corpus.open_source", None)
    blocks = tokenised_blocks(where, tokenizer, 64, tmp_path / "blocks")
    assert len(blocks["facts"]) > 5


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", "", r"'facts', has no usable document: 1 set aside, .* a\.jsonl, for: empty"),
        ("a.jsonl", '{"text": "  "}\n', r"a\.jsonl:1, for: blank"),
        ("a.jsonl", '{"body": "x"}\n', "no text: only body"),
        ("a.jsonl", '{"text": "x"', "for: not JSON"),
        ("a.pdf", "x", r"a\.pdf cannot be read; give files ending in \.jsonl"),
        (None, "", "no file fits"),
    ],
)
def test_unusable_corpora_are_refused_in_one_line(tokenizer, tmp_path, name, content, says):
    if name:
        (tmp_path / name).write_text(content)
    where = {"facts": str(tmp_path / "a.*")}
    with pytest.raises(ValueError, match=says) as error:
        tokenised_blocks(where, tokenizer, 64, tmp_path / "blocks")
    assert "\n" not in str(error.value)


# --- settings -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"sequence_length": 65}, "65 exceeds the model's max_seq_len 64"),
        ({"mixture": {"facts": 0.0}}, "are all 0"),
        ({"mixture": {"facts": -1.0}}, "weight of facts is -1.0"),
        ({"batch_size": 8, "accumulation": 3}, "does not divide into 3 parts"),
        ({"parallel": ParallelConfig(data_parallel=3)}, "choose a multiple of 3"),
        ({"tokens": 100}, "less than one batch of 512"),
    ],
)
def test_impossible_runs_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        replace(CONFIG, **wrong)
