"""Files written and read back, and files that must be refused in one clear line."""

import contextlib
import json
import pickle
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import make_model, small_config

from llamalite.model.checkpoint import load_model, save_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [False, True])
def test_round_trip(tmp_path, tied, dtype):
    model = make_model(small_config(tie_embeddings=tied)).to(dtype)
    save_model(tmp_path / "new" / "folder", model)
    back = load_model(tmp_path / "new" / "folder")
    assert back.config == model.config
    ids = torch.randint(0, 61, (2, 48))
    assert torch.equal(back(ids), model(ids))
    assert all(p.requires_grad and p.dtype == dtype for p in back.parameters())
    assert {p.name for p in (tmp_path / "new" / "folder").iterdir()} == {
        "config.json",
        "model.safetensors",
    }


def test_equal_weights_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        save_model(tmp_path / name, make_model(small_config()))
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_saving_again_replaces(tmp_path):
    save_model(tmp_path, make_model(small_config(), seed=0))
    save_model(tmp_path, make_model(small_config("mqa"), seed=1))
    assert load_model(tmp_path).config.n_kv_heads == 1


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def weights(folder):
    return folder / "model.safetensors"


DAMAGE = {
    "no folder": (lambda f: [p.unlink() for p in f.iterdir()], "config.json: No such file"),
    "no weights": (lambda f: weights(f).unlink(), "model.safetensors: No such file"),
    "truncated": (lambda f: weights(f).write_bytes(weights(f).read_bytes()[:-9]), "damaged"),
    "header only": (lambda f: weights(f).write_bytes(weights(f).read_bytes()[:50]), "damaged"),
    "empty": (lambda f: weights(f).write_bytes(b""), "damaged"),
    "noise": (lambda f: weights(f).write_bytes(bytes(range(1, 256)) * 9), "damaged"),
    "pickle": (lambda f: weights(f).write_bytes(pickle.dumps({})), "a pickle"),
    "torch pickle": (lambda f: torch.save({}, weights(f)), "a pickle"),
    "config not json": (lambda f: (f / "config.json").write_text("{"), "config.json: not JSON"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), "not a JSON object"),
    "foreign": (lambda f: (f / "config.json").write_text("{}"), "not a llamalite configuration"),
    "hugging face": (
        lambda f: (f / "config.json").write_text('{"model_type": "llama"}'),
        "read it with import_hf",
    ),
    "unknown key": (lambda f: edit(f, dropout=0.1), "missing or unknown: dropout"),
    "wrong type": (lambda f: edit(f, dim="24"), "dim is '24'; it must be int"),
    "bool for int": (lambda f: edit(f, dim=True), "dim is True; it must be int"),
    "impossible": (lambda f: edit(f, n_kv_heads=3), "n_heads 4 is not divisible by n_kv_heads 3"),
    "other width": (lambda f: edit(f, ffn_dim=41), r"w1.weight is \[40, 24\].* \[41, 24\]"),
    "more layers": (lambda f: edit(f, n_layers=4), "lacks tensor layers.3.* and 8 more"),
    "fewer layers": (lambda f: edit(f, n_layers=2), "unknown tensor layers.2"),
    "tied": (lambda f: edit(f, tie_embeddings=True), "unknown tensor output.weight"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_in_one_line(tmp_path, damage):
    save_model(tmp_path, make_model(small_config()))
    harm, message = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert ";" in str(caught.value)  # what is wrong; what to do


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 2000), byte=st.integers(0, 255))
def test_any_damaged_header_is_a_value_error_or_harmless(tmp_path_factory, place, byte):
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, make_model(small_config()))
    content = bytearray(weights(folder).read_bytes())
    content[place] = byte
    weights(folder).write_bytes(content)
    with contextlib.suppress(ValueError):
        load_model(folder)


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    """A limit on file size stands in for the disk's end, in a process of its own."""
    resource = pytest.importorskip("resource")
    model = make_model(small_config())

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    program = (
        "import sys; from llamalite.model.checkpoint import load_model, save_model\n"
        "model = load_model(sys.argv[1])\n"
        "try: save_model(sys.argv[2], model)\n"
        "except OSError as error: print(error)\n"
    )
    save_model(tmp_path / "old", model)
    result = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "old", tmp_path / "new"],
        capture_output=True, text=True, preexec_fn=limit,
    )  # fmt: skip
    assert "cannot be written" in result.stdout, result.stderr
    assert list((tmp_path / "new").iterdir()) == []
