"""Vocabularies from strangers, of both kinds: one clear line, no crash, bounded memory.

Vocabularies become maps, which take many times the bytes of their file; so files above a stated
size are refused before more than that is read, and below it the factor is measured here.
"""

import json
from contextlib import suppress

import pytest
from damage import damaged, memory_of, needs_linux
from hypothesis import given, settings

from llamalite.text import bpe, tokenizer
from llamalite.text.bpe import ByteTokenizer
from llamalite.text.tokenizer import Tokenizer

TOKENIZERS = pytest.importorskip("tokenizers")
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SENTENCEPIECE = Tokenizer.train(["the quick brown fox jumps over the lazy dog 12"] * 9, 300).model
BYTE_LEVEL = ByteTokenizer.of_merges(
    [*CONTROL, *sorted(TOKENIZERS.pre_tokenizers.ByteLevel.alphabet()), "ab"], ["a b"], [0, 1, 2]
).model


@settings(max_examples=400, deadline=None)
@given(damaged(SENTENCEPIECE))
def test_a_damaged_sentencepiece_model_is_a_value_error_or_read(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "damaged.model"
    path.write_bytes(content)
    with suppress(ValueError):
        Tokenizer.load(path)


@settings(max_examples=400, deadline=None)
@given(damaged(BYTE_LEVEL))
def test_a_damaged_byte_level_vocabulary_is_a_value_error_or_read(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(content)
    with suppress(ValueError):
        ByteTokenizer.load(path)


def with_pieces(size: int) -> bytes:
    """A tokenizer.json of so many bytes, full of short pieces."""
    made = json.loads(BYTE_LEVEL)
    vocabulary, length = made["model"]["vocab"], len(BYTE_LEVEL)
    number = 1 << 20
    while length < size:
        vocabulary[f"{number:x}"] = number
        length += len(f"{number:x}{number}") + 4
        number += 1
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()


def with_objects(count: int) -> bytes:
    """A tokenizer.json with so many steps that do nothing."""
    made = json.loads(BYTE_LEVEL)
    made["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}] * count}
    return json.dumps(made).encode()


@needs_linux
def test_memory_for_a_byte_level_vocabulary_is_bounded(tmp_path):
    """Twenty times the file for short pieces, a kilobyte for an object; what is refused takes its
    size, or the most that is read of it."""
    files = {
        "small": BYTE_LEVEL,
        "large": with_pieces(3_000_000),
        "objects": with_objects(bpe.MOST_OBJECTS // 2),
        "too many objects": with_objects(200_000),
        "too long": BYTE_LEVEL + b" " * 3 * bpe.MOST_BYTES,
    }
    bounds = {
        "large": 30 * 3_000_000,
        "objects": 2_000 * bpe.MOST_OBJECTS // 2,
        "too many objects": 2 * len(files["too many objects"]),
        "too long": 2 * bpe.MOST_BYTES,
    }
    told = memory_of(
        tmp_path,
        ".json",
        files,
        "llamalite.text.bpe",
        "llamalite.text.bpe.ByteTokenizer.load(path)",
    )
    assert [line == "read" for _, line in told.values()] == [True, True, False, False]
    assert "braces; at most 50,000" in told["too many objects"][1]
    assert "more than 16,000,000 bytes" in told["too long"][1]
    assert {name for name, (most, _) in told.items() if most > bounds[name] + 4_000_000} == set()


@needs_linux
def test_memory_for_a_sentencepiece_model_is_bounded(tmp_path):
    """Forty times the file where all pieces are empty: two bytes each, which become an object."""
    size = 2_000_000
    files = {
        "small": SENTENCEPIECE,
        "empty pieces": b"\x0a\x00" * (size // 2),
        "one piece": b"\x0a\xff\xff\xff\x7f" + bytes(size),  # it says 256 MB
        "too long": SENTENCEPIECE + bytes(3 * tokenizer.MOST_BYTES),
    }
    bounds = {
        "empty pieces": 45 * size,
        "one piece": 3 * size,
        "too long": 2 * tokenizer.MOST_BYTES,
    }
    told = memory_of(
        tmp_path,
        ".model",
        files,
        "llamalite.text.tokenizer",
        "llamalite.text.tokenizer.Tokenizer.load(path)",
    )
    assert all("cannot be used as a tokenizer" in line for _, line in told.values())
    assert "more than 8,000,000 bytes" in told["too long"][1]
    assert {name for name, (most, _) in told.items() if most > bounds[name] + 4_000_000} == set()
