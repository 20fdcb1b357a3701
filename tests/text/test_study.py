"""The study of vocabularies: counts by hand, and a real vocabulary of 32,000 pieces."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalite.cli import main
from llamalite.text import study
from llamalite.text.tokenizer import Tokenizer

WORDS = "the quick brown fox jumps over a lazy dog while seven wizards brew tea in copper pots"

real = pytest.mark.skipif(
    study.real_tokenizer() is None,
    reason="mistral-common is not installed (--no-deps, see .ci/run)",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    draw = random.Random(0)
    syllables = [one + two for one in "bdfgklmnprstvz" for two in "aeiou"]
    names = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(400)]
    lines = [" ".join(draw.choices(names, k=12)) for _ in range(120)]
    file = tmp_path_factory.mktemp("study") / "corpus.jsonl"
    file.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    return file


def test_counts_of_a_text_spelled_by_hand():
    tokenizer = Tokenizer.train([WORDS] * 3, 300, tags=False)
    told = study.compression(tokenizer, ["€\n"])  # ▁ or nothing, three bytes, a byte
    assert told["bytes"] == 4
    assert told["tokens"] == 5
    assert told["byte_tokens"] == pytest.approx(4 / 5)
    assert told["tokens_per_byte"] == pytest.approx(5 / 4)
    assert told["bytes_per_token"] == pytest.approx(4 / 5)


def test_the_command_measures_what_was_not_learned_from(corpus, tmp_path, capsys):
    options = ["--corpus", str(corpus), "--sizes", "[300, 340]", "--ablation_size", "330"]
    assert main(["vocabulary", *options, "--out", str(tmp_path)]) == 0
    told = json.loads((tmp_path / "vocabulary.json").read_text())
    assert told["documents"] == {"learned": 108, "held_out": 12, "rejected": 0}
    small, large = told["sizes"]
    assert (small["pieces"], large["pieces"]) == (300, 340)
    assert small["bytes"] == large["bytes"]
    assert large["tokens"] < small["tokens"]
    assert (tmp_path / "vocabulary.svg").read_text().startswith("<svg")
    assert "bytes/token" in capsys.readouterr().out
    learned, held_out, _ = study.split(study.VocabularyConfig(corpus=str(corpus)))
    assert not set(learned) & set(held_out)


def test_each_rule_does_what_it_is_for(corpus):
    learned, held_out, _ = study.split(study.VocabularyConfig(corpus=str(corpus)))
    both, no_bytes, whole = study.ablations(learned, held_out, 400)
    assert (both["strange_unchanged"], no_bytes["strange_unchanged"]) == (1, 0)
    for row in (both, no_bytes):
        for number, pieces in row["numbers"].items():
            assert [piece for piece in pieces if piece] == list(number)
    assert any(len(piece) > 1 for piece in whole["numbers"]["1984"])
    assert "".join(whole["numbers"]["1984"]) == "1984"


def test_embeddings_as_share_of_the_released_sizes():
    # 6,738,415,616 and 68,976,648,192: parameters of the released 7B and 70B checkpoints
    assert study.embedding_share(32_000, 4096, 6_738_415_616) == pytest.approx(0.0389, abs=1e-4)
    assert study.embedding_share(32_000, 8192, 68_976_648_192) == pytest.approx(0.0076, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--sizes", "[0]"], "sizes is [0]"),
        (["--corpus", "packaged:koran"], "choose among plays, bible, chats"),
        (["--corpus", "nowhere.jsonl"], "no file fits"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options, line, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["vocabulary", *options])
    assert ended.value.code == 2
    assert line in capsys.readouterr().err


@real
def test_the_real_vocabulary_splits_digits_and_has_every_byte():
    tokenizer = study.real_tokenizer()
    assert tokenizer.vocab_size == 32_000
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)
    assert tokenizer.pieces(tokenizer.encode("1984")) == ["▁", "1", "9", "8", "4"]
    names = tokenizer.pieces(range(tokenizer.vocab_size))
    assert sum(name.startswith("<0x") for name in names) == 256


@real
@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_real_vocabulary_gives_any_text_back(text):
    tokenizer = _REAL
    assert tokenizer.decode(tokenizer.encode(text)) == text


_REAL = study.real_tokenizer()
