"""GGUF files that the gguf package wrote: transformers' function, whatever the tensors' type."""

import gguf
import pytest
import torch
from gguf_files import KINDS, make_llama, write_gguf
from transformers import LlamaForCausalLM

from llamalite.model.gguf import import_gguf
from llamalite.model.gguf_header import map_file, read_header


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", KINDS)
def test_import_gives_transformers_logits(kind, tied, tmp_path):
    theirs, path = make_llama(96, tied), tmp_path / "model.gguf"
    write_gguf(path, theirs, kind)
    ours = import_gguf(path)
    assert ours.config.tie_embeddings is tied
    assert (ours.config.rope_theta, ours.config.norm_eps) == (500.0, 1e-5)
    assert ours.tok_embeddings.weight.dtype == torch.float32
    ids = torch.randint(0, 96, (3, 48), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_the_same_of_the_file_by_its_own_reader(kind, tmp_path):
    path = tmp_path / "model.gguf"
    write_gguf(path, make_llama(96, False), kind)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype="float32").eval()
    ids = torch.randint(0, 96, (3, 48), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        torch.testing.assert_close(import_gguf(path)(ids), theirs(ids).logits, atol=1e-4, rtol=0)


def test_header_is_what_the_gguf_package_reads(tmp_path):
    path = tmp_path / "model.gguf"
    lists = [("words", ["ab", "ç", ""]), ("numbers", [3, -4]), ("flag", True), ("name", "Ünï")]
    write_gguf(path, make_llama(96, True), "Q8_0", metadata=lists)
    theirs, ours = gguf.GGUFReader(path), read_header(map_file(path))
    assert {t.name: t.data_offset for t in theirs.tensors} == {
        name: record.start for name, record in ours.tensors.items()
    }
    for key, field in theirs.fields.items():
        if not key.startswith("GGUF."):
            value = ours.metadata[key]
            found = list(value.values()) if hasattr(value, "values") else value
            assert found == field.contents(), key


@pytest.mark.parametrize(
    ("metadata", "drop", "message"),
    [
        ([("llama.rope.scaling.type", "yarn")], (), "rotary scaling 'yarn'"),
        ([("llama.expert_count", 8)], (), "uses experts"),
        ([("llama.rope.dimension_count", 8)], (), "a part of each head"),
        ([("llama.attention.key_length", 10)], (), "another configuration"),
        ((), ("blk.1.ffn_up",), "18|19 tensors and a Llama of 2 layers has 20"),
        ((), ("token_embd",), "no embedding"),
    ],
)
def test_what_llama_2_does_not_have_is_refused(metadata, drop, message, tmp_path):
    path = tmp_path / "model.gguf"
    write_gguf(path, make_llama(96, True), "F16", metadata=metadata, drop=drop)
    with pytest.raises(ValueError, match=message) as caught:
        import_gguf(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_quantisation_is_named(tmp_path):
    path, theirs = tmp_path / "model.gguf", make_llama(96, True)
    KINDS["Q5_0"] = gguf.GGMLQuantizationType.Q5_0
    try:
        write_gguf(path, theirs, "Q5_0")
    finally:
        del KINDS["Q5_0"]
    with pytest.raises(ValueError, match="is of type Q5_0; F32, F16, Q8_0, Q4_1 are read"):
        import_gguf(path)
