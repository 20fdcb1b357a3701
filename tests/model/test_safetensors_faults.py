"""Safetensors files from strangers: one clear line, and no more memory than the file has bytes."""

import json
import struct
from contextlib import suppress

import pytest
import torch
from damage import damaged, memory_of, needs_linux
from hypothesis import given, settings
from safetensors.torch import save
from small_models import make_model, small_config

from llamalite.model.checkpoint import (
    MOST_HEADER,
    load_model,
    model_from_state,
    read_safetensors,
    save_model,
)
from llamalite.model.config import ModelConfig

SOUND = save({"a": torch.arange(600.0), "b": torch.ones(7, 9), "c": torch.zeros(3).half()})


def of_header(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """A file laid out by the format's description, by hand."""
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def listing(count: int) -> bytes:
    """A header of so many tensors that have no bytes."""
    nothing = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return json.dumps({f"{n}": nothing for n in range(count)}, separators=(",", ":")).encode()


@settings(max_examples=300, deadline=None)
@given(damaged(SOUND, within=400))
def test_a_file_cut_shuffled_or_of_huge_lengths_is_a_value_error_or_read(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content)
    with suppress(ValueError):
        read_safetensors(path)


@settings(max_examples=40, deadline=None)
@given(damaged(save(make_model(small_config()).state_dict()), within=3000))
def test_a_damaged_model_is_a_value_error_or_read(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "damaged-model"
    if not folder.exists():
        save_model(folder, make_model(small_config()))
    (folder / "model.safetensors").write_bytes(content)
    with suppress(ValueError):
        load_model(folder)


ENTRY = b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[%s]}}'
WRONG = {
    "a longer list than the file": of_header(b"{}", length=1000),
    "the longest list": of_header(b"{}", length=(1 << 64) - 1),
    "a list too long": of_header(b"{}" + b" " * MOST_HEADER),
    "too many bytes": of_header(ENTRY % (b"1000", b"0,4000"), bytes(8)),
    "other bytes than its shape": of_header(ENTRY % (b"3", b"0,8"), bytes(8)),
    "a huge shape": of_header(ENTRY % (b"9223372036854775807,4", b"0,8"), bytes(8)),
    "huge offsets": of_header(ENTRY % (b"2", b"18446744073709551608,18446744073709551615"), b"8"),
    "backwards": of_header(ENTRY % (b"2", b"8,0"), bytes(8)),
    "nested": of_header(b"[" * 100_000),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_sizes_are_named_in_one_line(case, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(WRONG[case])
    with pytest.raises(ValueError, match=r"m\.safetensors: damaged, truncated") as caught:
        read_safetensors(path)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_declares_a_giant_builds_none(tmp_path):
    """The shapes are compared before memory is asked for."""
    giant = ModelConfig(
        vocab_size=1 << 30, dim=1 << 20, n_layers=1, n_heads=4, n_kv_heads=4, head_dim=1 << 18,
        ffn_dim=1 << 24,
    )  # fmt: skip
    state = make_model(small_config()).state_dict()
    with pytest.raises(ValueError, match="another configuration"):
        model_from_state(giant, state, tmp_path / "m.safetensors")


@needs_linux
def test_no_file_takes_more_than_twice_its_size(tmp_path):
    size, slack = 24_000_000, 8_000_000
    sound = save({"a": torch.ones(size // 8), "b": torch.ones(size // 8)})
    files = {
        "small": SOUND,
        "sound": sound,
        "cut": sound[: size // 2],
        "shuffled": sound[: 1 << 10] + sound[size // 2 :] + sound[1 << 10 : size // 2],
        "turned": sound[size // 2 :] + sound[: size // 2],
        "many": of_header(listing(size // 60)),
        "as many as are read": of_header(listing(MOST_HEADER // 60)),
    }
    assert len(listing(MOST_HEADER // 60)) < MOST_HEADER < len(listing(size // 60))
    told = memory_of(
        tmp_path,
        ".safetensors",
        files,
        "torch, llamalite.model.checkpoint, pathlib",
        "[each.sum() for each in"
        " llamalite.model.checkpoint.read_safetensors(pathlib.Path(path)).values()]",
    )
    assert [line == "read" for _, line in told.values()] == [True, False, True, False, False, True]
    for name, (most, line) in told.items():
        assert most < 2 * len(files[name]) + slack, (name, line)
