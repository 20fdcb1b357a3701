"""The loss on documents kept from training, beside the training."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from test_recipe import CONFIG
from torch.nn.functional import cross_entropy

from llamalite import parallel
from llamalite.model.checkpoint import model_from_state
from llamalite.pretraining.recipe import open_corpus, pretrain
from llamalite.protocols import Corpus
from llamalite.text.packing import collate


class Noted:
    """A corpus that notes what is read of it."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus, self.sources, self.read = corpus, corpus.sources, []

    def document(self, source, index):
        self.read.append((source, index))
        return self.corpus.document(source, index)


def test_the_last_is_the_trained_models_on_documents_it_never_read(tokenizer, corpus, tmp_path):
    noted = Noted(corpus)
    config = replace(CONFIG, held_out=3)
    module, report = pretrain(config, tokenizer, noted, 0, work=tmp_path, progress=False)
    kept, learned = noted.read[:6], noted.read[6:]
    assert not set(kept) & set(learned)
    assert sorted({source for source, _ in kept}) == ["facts", "tales"]
    assert [point["step"] for point in report["held_out"]] == [0, 6, 12, 18, 24]
    assert report["held_out"][0]["loss"] == pytest.approx(5.83, abs=0.1)  # log 340: knows nothing
    assert report["held_out_loss"] < report["held_out"][0]["loss"] - 1.5
    # the same documents, each by itself, through the trained model
    model = model_from_state(config.model, parallel.full_weights(module.model), tmp_path)
    nats = tokens = 0.0
    for place in kept:
        ids = tokenizer.encode(corpus.document(*place).text, bos=True, eos=True)
        assert len(ids) <= config.sequence_length
        with torch.no_grad():
            logits = model(torch.tensor([ids[:-1]]))[0]
        nats += float(cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum"))
        tokens += len(ids) - 1
    assert report["held_out_loss"] == pytest.approx(nats / tokens, abs=1e-4)


def test_measuring_does_not_touch_the_training(tokenizer, corpus, tmp_path):
    config = replace(CONFIG, tokens=6 * 8 * 64)
    found = [
        parallel.full_weights(
            pretrain(
                replace(config, held_out=n),
                tokenizer,
                corpus,
                0,
                work=tmp_path / str(n),
                progress=False,
            )[0].model
        )
        for n in (0, 5)
    ]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_documents_of_ones_own_corpus_are_kept_back_whole(tokenizer, corpus, tmp_path):
    texts = [f"{i} {corpus.document('facts', i).text}" for i in range(100)]
    file = tmp_path / "facts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    config = replace(
        CONFIG,
        corpus={"facts": str(file)},
        mixture={},
        tokens=60 * 8 * 64,
        held_out=2,
    )
    _, report = pretrain(config, tokenizer, None, 0, work=tmp_path / "work", progress=False)
    assert report["held_out"][0]["loss"] > report["held_out_loss"] + 1
    reader, sizes, kept = open_corpus(config, tokenizer, None, tmp_path / "work")
    learned = [reader().row(("facts", i)) for i in range(sizes["facts"])]
    unread = documents_in(kept(["facts"]), tokenizer)
    assert len(unread) == 2
    assert sorted([*documents_in([collate(learned)], tokenizer), *unread]) == sorted(texts)


def documents_in(batches, tokenizer):
    """The texts in some rows; each is short enough to stand in one."""
    rows = [row for b in batches for row in zip(b.tokens_BT, b.document_ids_BT, strict=True)]
    parts = [tokens[ids == number].tolist() for tokens, ids in rows for number in ids.unique()]
    return [tokenizer.decode(part) for part in parts if part[0] == tokenizer.bos_id]


def test_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="held_out is -1"):
        replace(CONFIG, held_out=-1)
