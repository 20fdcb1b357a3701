"""GGUF files of transformers' Llamas, written by the gguf package as llama.cpp keeps them."""

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

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


def make_llama(vocab: int, tied: bool, seed: int = 3) -> LlamaForCausalLM:
    """A small model of random weights; its matrices are whole blocks wide."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256,
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
    writer.add_vocab_size(config.vocab_size)
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
