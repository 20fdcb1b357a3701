"""GGUF files that the gguf package wrote: transformers' function, whatever the tensors' type."""

import gguf
import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from llamalite.model.gguf import import_gguf
from llamalite.model.gguf_header import map_file, read_header

THEIRS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
KINDS = {
    "F32": gguf.GGMLQuantizationType.F32,
    "F16": gguf.GGMLQuantizationType.F16,
    "Q8_0": gguf.GGMLQuantizationType.Q8_0,
    "Q4_1": gguf.GGMLQuantizationType.Q4_1,
}


def make_theirs(tied: bool) -> LlamaForCausalLM:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=48,
        rms_norm_eps=1e-5, tie_word_embeddings=tied, initializer_range=0.2,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def as_llama_cpp_keeps_it(name: str, weight: np.ndarray, heads: dict[str, int]) -> np.ndarray:
    """Rows of q and k as neighbours, the way llama.cpp's own converter words it."""
    if name not in heads:
        return weight
    n, rows = heads[name], weight.shape[0]
    return weight.reshape(n, 2, rows // n // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(path, model: LlamaForCausalLM, kind: str, metadata=(), drop=()) -> None:
    """Write `model`, its matrices as `kind`; and round the model's own weights in the same way."""
    config, writer = model.config, gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(500.0)
    for key, value in metadata:
        writer.add_key_value(key, value, gguf.GGUFValueType.get_type(value))
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for full, parameter in model.named_parameters():
        words = full.removesuffix(".weight").split(".")
        block = f"blk.{words[2]}." if "layers" in words else ""
        part = THEIRS[".".join(words[3:] if block else words)]
        if block + part in drop:
            continue
        stored = KINDS["F32" if "norm" in part else kind]
        plain = parameter.detach().numpy()
        weight = np.ascontiguousarray(as_llama_cpp_keeps_it(part, plain, heads))
        writer.add_tensor(
            f"{block}{part}.weight", gguf.quants.quantize(weight, stored), raw_dtype=stored
        )
        # blocks lie within rows, so the order of rows does not matter to the rounding
        rounded = gguf.quants.dequantize(gguf.quants.quantize(plain, stored), stored)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.array(rounded).reshape(plain.shape)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", KINDS)
def test_import_gives_transformers_logits(kind, tied, tmp_path):
    theirs, path = make_theirs(tied), tmp_path / "model.gguf"
    write_gguf(path, theirs, kind)
    ours = import_gguf(path)
    assert ours.config.tie_embeddings is tied
    assert (ours.config.rope_theta, ours.config.norm_eps) == (500.0, 1e-5)
    assert ours.tok_embeddings.weight.dtype == torch.float32
    ids = torch.randint(0, 96, (3, 48), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)


def test_header_is_what_the_gguf_package_reads(tmp_path):
    path = tmp_path / "model.gguf"
    lists = [("words", ["ab", "ç", ""]), ("numbers", [3, -4]), ("flag", True), ("name", "Ünï")]
    write_gguf(path, make_theirs(True), "Q8_0", metadata=lists)
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
    write_gguf(path, make_theirs(True), "F16", metadata=metadata, drop=drop)
    with pytest.raises(ValueError, match=message) as caught:
        import_gguf(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_quantisation_is_named(tmp_path):
    path, theirs = tmp_path / "model.gguf", make_theirs(True)
    KINDS["Q5_0"] = gguf.GGMLQuantizationType.Q5_0
    try:
        write_gguf(path, theirs, "Q5_0")
    finally:
        del KINDS["Q5_0"]
    with pytest.raises(ValueError, match="is of type Q5_0; F32, F16, Q8_0, Q4_1 are read"):
        import_gguf(path)
