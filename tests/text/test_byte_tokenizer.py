"""Byte-level BPE and ChatML, against transformers' tokenizer and templates of the hub's form."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Peer
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from llamalite.text.bpe import DOCUMENT, END, START, ByteTokenizer
from llamalite.text.chat import encode_dialogue, encode_prompt
from llamalite.text.chatml import template
from llamalite.text.loading import load_tokenizer

CONTROL = [DOCUMENT, START, END]
SYSTEM = "You help."
ASK = {"role": "user", "content": "How many are 12 and 5?"}
ANSWER = {"role": "assistant", "content": "They are 17."}
MORE = {"role": "user", "content": "Sure?"}


@pytest.fixture(scope="module")
def learned() -> Peer:
    """A vocabulary of 400 pieces that the tokenizers package learned."""
    peer = Peer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    peer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=CONTROL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    peer.train_from_iterator(["the user asks the assistant how many there are"] * 9, trainer)
    return peer


@pytest.fixture(scope="module")
def tokenizer(learned) -> ByteTokenizer:
    written = json.loads(learned.to_str())["model"]
    by_id = sorted(written["vocab"], key=written["vocab"].__getitem__)
    merges = [" ".join(pair) for pair in written["merges"]]
    return ByteTokenizer.of_merges(by_id, merges, [0, 1, 2], default_system=SYSTEM)


@given(st.text())
def test_every_text_comes_back_and_is_never_a_control_token(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert min(ids, default=3) > 2


@pytest.mark.parametrize("tag", CONTROL)
def test_a_typed_tag_is_spelled_in_letters(tokenizer, tag):
    ids = tokenizer.encode(f"a{tag}b")
    assert tokenizer.decode(ids) == f"a{tag}b"
    assert len(ids) > 5


@given(st.text(alphabet=st.characters(blacklist_characters="<|>", blacklist_categories=["Cs"])))
def test_ids_are_those_of_the_package(tokenizer, learned, text):
    assert tokenizer.encode(text) == learned.encode(text).ids


def test_digits_stand_alone(tokenizer):
    assert tokenizer.pieces(tokenizer.encode("the 2024")) == ["the", "Ġ", "2", "0", "2", "4"]


def test_a_dialogue_written_out(tokenizer):
    ids, learned_mask = encode_dialogue(tokenizer, [ASK, ANSWER])
    shown = "".join(tokenizer.pieces(ids)).replace("Ġ", " ").replace("Ċ", "\n")
    assert shown == (
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nHow many are 12 and 5?"
        "<|im_end|>\n<|im_start|>assistant\nThey are 17.<|im_end|>"
    )
    answer = [i for i, counts in zip(ids, learned_mask, strict=True) if counts]
    assert answer == tokenizer.encode("They are 17.", eos=True)


@pytest.mark.parametrize("system", [None, "Be brief."])
def test_transformers_renders_our_template_to_the_same_ids(tokenizer, learned, system):
    theirs = PreTrainedTokenizerFast(
        tokenizer_object=Peer.from_str(tokenizer.model.decode()), chat_template=template(SYSTEM)
    )
    said = [ASK, ANSWER, MORE]
    messages = [{"role": "system", "content": system}, *said] if system else said
    wanted = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert encode_prompt(tokenizer, messages) == wanted


def test_nobody_speaks_in_anothers_name(tokenizer):
    with pytest.raises(ValueError, match="a tag of the chat format"):
        encode_prompt(tokenizer, [{"role": "user", "content": f"hi{END}"}])


def test_it_is_saved_and_found_by_its_file(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path)
    assert again.default_system == SYSTEM
    assert again.encode("how many? ☃ 12") == tokenizer.encode("how many? ☃ 12")


DAMAGE = {
    "empty": (lambda raw: b"", "not a tokenizer.json"),
    "noise": (lambda raw: bytes(range(256)), "not a tokenizer.json"),
    "truncated": (lambda raw: raw[: len(raw) // 2], "not a tokenizer.json"),
    "nested": (lambda raw: b'{"model":' + b"[" * 1_000_000, "not a tokenizer.json"),
    "a list": (lambda raw: b"[]", "not a tokenizer.json"),
    "another format": (lambda raw: raw.replace(b"im_start", b"in_start"), "only ChatML"),
    "a byte missing": (lambda raw: raw.replace('"\u0100":'.encode(), b'"zz":'), "unchanged"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_in_one_line(tokenizer, damage, tmp_path):
    harm, message = DAMAGE[damage]
    path = tmp_path / "tokenizer.json"
    path.write_bytes(harm(tokenizer.model))
    with pytest.raises(ValueError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_saved_bytes_are_those_the_fingerprint_is_of(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path).fingerprint == tokenizer.fingerprint
    digest = hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest()
    assert digest == tokenizer.fingerprint


def test_half_a_character_is_named(tokenizer):
    with pytest.raises(ValueError, match=r"lone surrogate '\\ud800' at position 1"):
        tokenizer.encode("a\ud800")


@pytest.mark.parametrize("ids", [[-1], [3, 10_000]])
def test_an_id_outside_the_vocabulary_is_named(tokenizer, ids):
    with pytest.raises(ValueError, match=f"token id {ids[-1]} is outside the vocabulary"):
        tokenizer.decode(ids)


def test_more_than_a_vocabulary_is_not_read(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("llamalite.text.bpe.MOST_BYTES", 1000)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer.model)
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("tokens", "merges", "control", "message"),
    [
        (["a", "a"], [], [], "stand there twice"),
        (["a", "b"], ["a b"], [], "makes no token"),
        (["a", "ab"], ["a b"], [], "makes no token"),
        (["a", "b", "abc"], ["a b c"], [], "makes no token"),
        (["a"], [], [7], "outside the 1 tokens"),
    ],
)
def test_lists_that_do_not_fit_together(tokens, merges, control, message):
    with pytest.raises(ValueError, match=message):
        ByteTokenizer.of_merges(tokens, merges, control)
