"""Any text survives, training is exact, and unusable files are refused in one line."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from llamalite.text.tokenizer import TAGS, Tokenizer

AWKWARD = [
    "",
    " ",
    "   ",
    " leading",
    "trailing ",
    "two  spaces",
    "a\nb\r\n\n\tc",
    "\x00",
    "nul\x00inside",
    "\u2581",
    "\u2581\u2581 x \u2581",
    "a\u2581b",
    "\ue000\u2581\ue001",
    "\U0001f600 e\u0301 \u00e9 \ufb01 \u2460 \u4e2d\u6587",
    "<s> </s> <unk> <0x41>",
    "[INST] x [/INST]<<SYS>>",
    "\U0010ffff\ufffd\ufeff",
]

any_text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(" \u2581\u2582\ue000\n\ta[INST]<SYS>/0\x00"),
)


@given(any_text)
def test_every_string_comes_back(tokenizer, plain_tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert plain_tokenizer.decode(plain_tokenizer.encode(text, bos=True, eos=True)) == text


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_strings_come_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert 0 not in ids, "nothing is unknown"


@given(st.lists(any_text, max_size=5), st.booleans(), st.booleans())
def test_a_batch_is_encoded_as_one_by_one(tokenizer, texts, bos, eos):
    one_by_one = [tokenizer.encode(text, bos, eos) for text in texts]
    assert tokenizer.encode_batch(texts, bos, eos) == one_by_one


def test_ids_and_pieces_have_their_documented_places(tokenizer, plain_tokenizer):
    assert tokenizer.vocab_size == plain_tokenizer.vocab_size == 400
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)
    assert tokenizer.encode("", bos=True, eos=True) == [1, 2]
    # sentencepiece counts unknown, bos, eos, then our tags, then the bytes
    assert tokenizer.pieces(range(8)) == ["<unk>", "<s>", "</s>", *TAGS, "<0x00>"]
    assert plain_tokenizer.pieces([3, 258]) == ["<0x00>", "<0xFF>"]
    assert tokenizer.has_tags
    assert not plain_tokenizer.has_tags


def test_digits_are_split_and_newline_is_one_piece(tokenizer):
    ids = tokenizer.encode("1987\n12")
    assert tokenizer.pieces(ids) == ["▁", "1", "9", "8", "7", "<0x0A>", "1", "2"]


def test_u2581_is_spelled_by_its_bytes_and_is_no_space(tokenizer):
    assert tokenizer.pieces(tokenizer.encode("\u2581")) == ["▁", "<0xE2>", "<0x96>", "<0x81>"]


def test_same_text_gives_the_same_file_in_another_process(tokenizer, small_corpus):
    code = (
        "import sys; from llamalite.text.tokenizer import Tokenizer\n"
        "lines = sys.stdin.read().split('\\0')\n"
        "print(Tokenizer.train(lines, 400).fingerprint)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        input="\0".join(small_corpus()),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == tokenizer.fingerprint
    assert found.stderr == "", "training is silent"
    assert Tokenizer.train(small_corpus(seed=1), 400).fingerprint != tokenizer.fingerprint


def test_long_lines_are_learned_from():
    line = " ".join(["abracadabra"] * 3000)  # sentencepiece's default leaves out lines over 4192 B
    trained = Tokenizer.train([line], 290)
    assert trained.pieces(trained.encode("abracadabra")) == ["▁abracadabra"]


def test_saved_loaded_and_pickled_alike(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.model")
    loaded = Tokenizer.load(tmp_path / "tokenizer.model")
    assert loaded.fingerprint == tokenizer.fingerprint
    assert pickle.loads(pickle.dumps(loaded)).encode("Vegun") == tokenizer.encode("Vegun")
    assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.model"]


def test_text_with_a_lone_surrogate_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"lone surrogate '\\ud800' at position 2"):
        tokenizer.encode("ab\ud800")
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.encode_batch(["a", "\udfff"])
    with pytest.raises(ValueError, match="lone surrogate"):
        Tokenizer.train(["ab\ud800"], 300)


@pytest.mark.parametrize("i", [-1, 400])
def test_ids_outside_the_vocabulary_are_refused(tokenizer, i):
    with pytest.raises(ValueError, match=f"token id {i} is outside the vocabulary of 400"):
        tokenizer.decode([5, i])


@pytest.mark.parametrize("texts", [[], [""], ["\n \n", "\t"]])
def test_an_empty_corpus_is_refused(texts):
    with pytest.raises(ValueError, match="the corpus is empty"):
        Tokenizer.train(texts, 300)


def test_a_vocabulary_that_does_not_fit_the_corpus_is_refused(capfd):
    with pytest.raises(ValueError, match=r"vocab_size 5000 is too large .* choose at most \d+"):
        Tokenizer.train(["a few words only"], 5000)
    with pytest.raises(ValueError, match=r"vocab_size 100 is too small .* at least 27\d") as found:
        Tokenizer.train(["a few words only"], 100)
    with pytest.raises(ValueError, match="vocab_size is 0"):
        Tokenizer.train(["a"], 0)
    assert capfd.readouterr().err == ""
    smallest = int(str(found.value).split()[-1])
    assert Tokenizer.train(["a few words only"], smallest).vocab_size == smallest


def test_every_truncated_file_is_refused(tokenizer, tmp_path, capfd):
    path = tmp_path / "tokenizer.model"
    whole = tokenizer.model
    for end in [*range(0, len(whole), 97), *range(len(whole) - 60, len(whole))]:
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"tokenizer\.model cannot be used") as found:
            Tokenizer.load(path)
        assert "\n" not in str(found.value)
    assert capfd.readouterr().err == ""


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "tokenizer.model"
    for content in (b"hello", b"\x80\x04\x95 a pickle", b"\x00" * 64, b'{"model": {}}'):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a SentencePiece model"):
            Tokenizer.load(path)
    with pytest.raises(ValueError, match="there is no tokenizer at"):
        Tokenizer.load(tmp_path / "nowhere.model")


@pytest.mark.parametrize(
    "settings",
    [
        {"byte_fallback": False},
        {"normalization_rule_name": "nmt_nfkc"},
        {"remove_extra_whitespaces": True},
        {"bos_id": -1},
    ],
)
def test_sentencepiece_models_that_change_text_are_refused(tmp_path, small_corpus, settings):
    usable = {
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=small_corpus(),
        model_prefix=str(tmp_path / "t5"),
        model_type="bpe",
        vocab_size=350,
        minloglevel=2,
        **(usable | settings),
    )
    with pytest.raises(ValueError, match=r"bos or eos|every text back unchanged"):
        Tokenizer.load(tmp_path / "t5.model")
