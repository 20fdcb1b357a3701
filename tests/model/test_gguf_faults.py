"""GGUF files from strangers: whatever they declare, one clear line and little memory."""

import re
import struct
import subprocess
import sys
from contextlib import suppress

import pytest
from damage import damaged, memory_of, needs_linux
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalite.model.gguf import IN_BLOCK, import_gguf
from llamalite.model.gguf_header import read_header
from llamalite.model.gguf_tokenizer import gguf_tokenizer

EXTREME = (1 << 64) - 1


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def pair(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def number(value: int) -> bytes:
    return struct.pack("<I", value)


def tensor(name: bytes, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    axes = struct.pack(f"<{len(shape)}Q", *shape[::-1])
    return text(name) + number(len(shape)) + axes + struct.pack("<IQ", kind, offset)


def gguf_bytes(pairs=(), tensors=(), body=b"", n_pairs=None, n_tensors=None, version=3) -> bytes:
    """A file laid out by the specification, by hand."""
    counts = (n_tensors or len(tensors), n_pairs or len(pairs))
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join([*pairs, *tensors])
    return head + bytes(-len(head) % 32) + body


def small_llama(**changed: int) -> bytes:
    """One layer 8 wide, all zeros; `changed` replaces numbers of the metadata."""
    numbers = {
        "embedding_length": 8, "block_count": 1, "feed_forward_length": 8, "context_length": 16,
        "attention.head_count": 2, "attention.head_count_kv": 1,
    } | changed  # fmt: skip
    pairs = [pair(b"general.architecture", 8, text(b"llama"))]
    pairs += [pair(f"llama.{key}".encode(), 4, number(value)) for key, value in numbers.items()]
    pairs.append(pair(b"llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)))
    shapes = {
        "token_embd": (5, 8), "output_norm": (8,), "blk.0.attn_norm": (8,), "blk.0.attn_q": (8, 8),
        "blk.0.attn_k": (4, 8), "blk.0.attn_v": (4, 8), "blk.0.attn_output": (8, 8),
        "blk.0.ffn_norm": (8,), "blk.0.ffn_gate": (8, 8), "blk.0.ffn_up": (8, 8),
        "blk.0.ffn_down": (8, 8),
    }  # fmt: skip
    tensors, offset = [], 0
    for name, shape in shapes.items():
        tensors.append(tensor(f"{name}.weight".encode(), shape, 0, offset))
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        offset += -(-size // 32) * 32
    return gguf_bytes(pairs, tensors, bytes(offset))


def problem(content: bytes, path) -> str:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        import_gguf(path)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_the_hand_made_file_is_sound(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(small_llama())
    assert import_gguf(path).config.dim == 8


def test_it_ends_anywhere(tmp_path):
    content = small_llama()
    for end in range(0, len(content), 7):
        problem(content[:end], tmp_path / "m.gguf")


HUGE = {
    "pairs": (gguf_bytes(n_pairs=EXTREME), "metadata pairs; at most"),
    "tensors": (gguf_bytes(n_tensors=EXTREME), "tensors; at most"),
    "key": (gguf_bytes([struct.pack("<Q", EXTREME)]), "truncated or damaged"),
    "text": (gguf_bytes([pair(b"k", 8, struct.pack("<Q", EXTREME))]), "truncated or damaged"),
    "numbers": (gguf_bytes([pair(b"k", 9, struct.pack("<IQ", 4, EXTREME))]), "truncated"),
    "texts": (gguf_bytes([pair(b"k", 9, struct.pack("<IQ", 8, EXTREME))]), "truncated"),
    "axes": (gguf_bytes(tensors=[text(b"t") + number(1 << 31)]), "2147483648 axes"),
    "layers": (small_llama(block_count=1 << 31), "a Llama of 2,147,483,648 layers"),
    "context": (small_llama(context_length=1 << 31), "a context of 2,147,483,648 tokens"),
    "width": (small_llama(feed_forward_length=1 << 31), "another configuration"),
    "heads": (small_llama(**{"attention.head_count": 1 << 30}), "head_dim is 0"),
}
FOREIGN = {
    "empty": (b"", "is empty"),
    "noise": (bytes(range(256)), "is not a GGUF file"),
    "old version": (gguf_bytes(version=1), "version 1"),
    "other byte order": (b"GGUF" + struct.pack(">I", 3) + bytes(64), "version 50331648"),
    "unknown type": (gguf_bytes([pair(b"k", 77, b"")]), "unknown type 77"),
    "list of lists": (gguf_bytes([pair(b"k", 9, struct.pack("<IQ", 9, 1))]), "list of type 9"),
    "not UTF-8": (gguf_bytes([pair(b"\xff", 4, number(1))]), "not UTF-8"),
    "alignment": (gguf_bytes([pair(b"general.alignment", 4, number(0))]), "alignment 0"),
}


@pytest.mark.parametrize("case", [*HUGE, *FOREIGN])
def test_what_cannot_be_is_named(case, tmp_path):
    content, message = (HUGE | FOREIGN)[case]
    assert message in problem(content, tmp_path / "m.gguf")


def test_a_folder_or_nothing_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.gguf"):
        with pytest.raises(ValueError, match=r"give a \.gguf file"):
            import_gguf(path)


@pytest.mark.parametrize("rows", [2**58, 2**63 + 5])
def test_an_embedding_longer_than_torch_can_count_is_damage(tmp_path, rows):
    content = small_llama()
    name = b"token_embd.weight" + struct.pack("<I", 2)
    at = content.index(name) + len(name) + 8  # after the columns: how many rows
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content[:at] + struct.pack("<Q", rows) + content[at + 8 :])
    with pytest.raises(ValueError, match="wide, no model is wider"):
        import_gguf(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_a_value_error_or_harmless(tmp_path_factory, data):
    content = bytearray(small_llama())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(st.binary(min_size=1, max_size=8))
        content[place : place + len(new)] = new
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(content)
    with suppress(ValueError):  # anything else fails
        import_gguf(path)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic_are_a_value_error_or_a_header(noise):
    with suppress(ValueError):
        read_header(b"GGUF" + struct.pack("<I", 3) + noise)


@settings(max_examples=150, deadline=None)
@given(damaged(small_llama()))
def test_a_file_cut_shuffled_or_of_huge_lengths_is_a_value_error_or_read(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(content)
    with suppress(ValueError):
        import_gguf(path)


def listed(kind: int, *values: bytes) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


TEXTS, NUMBERS = listed(8, text(b"a"), text(b"b")), listed(4, number(1), number(1))
LISTS = {"tokens": TEXTS, "token_type": NUMBERS, "merges": TEXTS}


def vocabulary(path, **changed: bytes):
    pairs = [pair(b"tokenizer.ggml.model", 8, text(b"gpt2"))]
    pairs.append(pair(b"tokenizer.ggml.pre", 8, text(b"smollm")))
    lists = LISTS | changed
    pairs += [pair(f"tokenizer.ggml.{key}".encode(), 9, value) for key, value in lists.items()]
    path.write_bytes(gguf_bytes(pairs))
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        gguf_tokenizer(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_lists_of_a_vocabulary_that_hold_something_else_are_named(tmp_path):
    path = tmp_path / "m.gguf"
    assert "makes no token of two tokens" in vocabulary(path)  # as far as it is read otherwise
    for key, other in (("tokens", NUMBERS), ("merges", NUMBERS), ("token_type", TEXTS)):
        assert f"a list tokenizer.ggml.{key} of type" in vocabulary(path, **{key: other})
    assert "whole numbers" in vocabulary(path, token_type=listed(6, number(0), number(0)))
    huge = struct.pack("<IQ", 0, 1_000_001) + bytes(1_000_001)
    assert "token_type of 1,000,001; at most" in vocabulary(path, token_type=huge)


def wide_llama(rows: int, kind: int = 0, size: int = 0, said: int = 8) -> bytes:
    """One layer 32 wide, which says it is `said` wide; an embedding of so many rows."""
    shapes = {"token_embd": (rows, 32), "output_norm": (32,)} | {
        f"blk.0.{part}": (32,) if "norm" in part else (32, 32) for part in IN_BLOCK
    }
    numbers = {
        "embedding_length": said, "block_count": 1, "feed_forward_length": 32, "context_length": 16,
        "attention.head_count": 2, "attention.head_count_kv": 2,
    }  # fmt: skip
    pairs = [pair(b"general.architecture", 8, text(b"llama"))]
    pairs += [pair(f"llama.{key}".encode(), 4, number(value)) for key, value in numbers.items()]
    pairs.append(pair(b"llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)))
    # all begin where the body does: they lie over each other
    tensors = [tensor(f"{n}.weight".encode(), shape, kind, 0) for n, shape in shapes.items()]
    return gguf_bytes(pairs, tensors, bytes(size))


def test_tensors_that_lie_over_each_other_are_refused(tmp_path):
    """Seventy bytes say that a tensor is as large as the file; thousands of them would fill memory
    with copies."""
    content = wide_llama(100, size=100 * 32 * 4, said=32)
    assert "has tensors of 41,856 bytes" in problem(content, tmp_path / "m.gguf")


@needs_linux
def test_no_file_takes_more_than_twice_its_size(tmp_path):
    """Float32 weights are the file once more, and the map of the file counts as well. A Q4_1 file
    (20 bytes for 32 weights) that belongs to no such model is refused before it is unpacked."""
    size, slack = 24_000_000, 8_000_000
    sound = wide_llama(size // 128, size=size + 41_000, said=32)
    files = {
        "small": small_llama(),
        "sound": sound,
        "unpacked": wide_llama(size // 20, kind=3, size=size, said=64),
        "cut": sound[: size // 2],
        "lists": gguf_bytes([pair(b"k", 9, struct.pack("<IQ", 8, size // 8) + bytes(size))]),
    }
    told = memory_of(
        tmp_path,
        ".gguf",
        files,
        "gguf, torch, llamalite.model.gguf",
        "llamalite.model.gguf.import_gguf(path)",
    )
    assert [line == "read" for _, line in told.values()] == [True, False, False, False]
    for name, (most, line) in told.items():
        assert most < 2 * len(files[name]) + slack, (name, line)
    assert told["unpacked"][0] < slack


MEMORY = """
import resource, sys
import gguf, torch
from llamalite.model.gguf import import_gguf
with open("/proc/self/statm") as statm:
    now = int(statm.read().split()[0]) * resource.getpagesize()
size = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (now + 2 * size, now + 2 * size))  # the map counts as one
try:
    import_gguf(sys.argv[1])
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by Linux's means")
@pytest.mark.parametrize("kind", ["texts", "numbers"])
def test_long_lists_take_no_memory(kind, tmp_path):
    """A file full of empty texts or of bytes: objects of them all would take fifty times it."""
    size = 24_000_000
    count, code = (size // 8, 8) if kind == "texts" else (size, 0)
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes([pair(b"k", 9, struct.pack("<IQ", code, count) + bytes(size))]))
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path), str(size)], capture_output=True, text=True
    )
    assert "architecture None" in run.stdout, run.stderr[-500:]
