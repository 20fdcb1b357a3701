"""W1 on a tiny model: both programs agree, what is missing is named, the rule can fail."""

import importlib
from contextlib import nullcontext

import pytest
import torch
from gguf_files import make_llama, write_gguf
from tokenizers.pre_tokenizers import ByteLevel

from llamalite.claims import all_studies, studies_real_models
from llamalite.claims.studies_real_models import same_function, with_neighbours
from llamalite.claims.study import Finished
from llamalite.model.checkpoint import save_model
from llamalite.model.gguf import import_gguf
from llamalite.model.meta import pair_neighbours
from llamalite.model.transformer import Transformer
from llamalite.presets import get_preset
from llamalite.real_models import fetch as fetching
from llamalite.text.bpe import ByteTokenizer

FINISHED = Finished(get_preset("laptop"), 1, {})
MEASURED = {
    "texts with other ids": 0.0,
    "greedy replies that differ": 0.0,
    "largest difference of a logit": 4e-4,
    "largest difference of a logit, export": 4e-4,
    "relative difference of perplexity": 1e-6,
    "perplexity with the file's row order, times ours": 3.0,
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(fetching.HOME, str(tmp_path))
    monkeypatch.setattr(studies_real_models, "REPLY", 5)
    monkeypatch.setattr(studies_real_models, "documents", lambda name: ("In the beginning. ",) * 3)
    file = tmp_path / fetching.MODELS["smollm2"].file
    monkeypatch.setattr(studies_real_models, "gguf_file", lambda *_: nullcontext(file))
    return tmp_path


def put_model(home) -> Transformer:
    folder = home / "models" / "smollm2"
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = ByteTokenizer.of_merges([*control, *sorted(ByteLevel.alphabet())], [], [0, 1, 2])
    file = home / fetching.MODELS["smollm2"].file
    file.parent.mkdir()
    write_gguf(file, make_llama(259, True), "Q4_1")
    model = import_gguf(file)
    save_model(folder, model)
    tokenizer.save(folder / "tokenizer.json")
    (folder / fetching.SOURCE).write_text("{}")
    return model


def test_a_tiny_model_is_the_same_in_both_programs(home, capfd, monkeypatch):
    put_model(home)
    moved = []
    monkeypatch.setattr(Transformer, "cpu", lambda self: moved.append(self) or self)
    found = same_function(FINISHED)
    assert moved  # to where the ids and the other program's model are, wherever it was opened
    assert found["texts with other ids"] == found["greedy replies that differ"] == 0
    assert found["largest difference of a logit"] < 1e-5
    assert found["largest difference of a logit, export"] < 1e-5
    assert found["perplexity, ours"] == pytest.approx(found["perplexity, transformers"], rel=1e-6)
    assert found["tokens"] == 3 * 17
    assert not list((home / "models").glob(".export-*"))


def test_another_row_order_is_another_function_and_comes_back(home):
    model = put_model(home)
    turned = with_neighbours(model)
    ids = torch.arange(20)[None]
    assert not torch.allclose(turned(ids), model(ids), atol=1e-4)
    rows = torch.arange(12)[:, None].float()  # a head of 6: features 0 3 1 4 2 5 stood side by side
    assert pair_neighbours(rows, 6)[:, 0].tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def test_what_is_missing_is_named(home, monkeypatch):
    with pytest.raises(ValueError, match="`llamalite fetch smollm2` brings it"):
        same_function(FINISHED)
    put_model(home)
    real = importlib.import_module

    def without(name):
        if name == "transformers":
            raise ModuleNotFoundError(name)
        return real(name)

    monkeypatch.setattr(studies_real_models.importlib, "import_module", without)
    with pytest.raises(ValueError, match="pip install transformers"):
        same_function(FINISHED)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "holds"),
        ({"greedy replies that differ": 1.0}, "contradicted"),
        ({"texts with other ids": 1.0}, "contradicted"),
        ({"largest difference of a logit": 2e-3}, "contradicted"),
        ({"largest difference of a logit, export": 2e-3}, "contradicted"),
        ({"relative difference of perplexity": 2e-5}, "contradicted"),
        ({"perplexity with the file's row order, times ours": 1.9}, "contradicted"),
    ],
)
def test_every_part_of_the_rule_can_fail(changed, verdict):
    rule = all_studies()["W1"].rule
    assert rule.judge([MEASURED | changed])[0] == verdict
    assert not rule.seeds_matter
