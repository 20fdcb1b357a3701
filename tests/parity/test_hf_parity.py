"""The same function as transformers' Llama, whichever side wrote the checkpoint."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from llamalite.model.config import ModelConfig, SamplingConfig
from llamalite.model.generate import generate
from llamalite.model.hf import export_hf, import_hf
from llamalite.model.transformer import Transformer

HEADS = {"mha": (4, 4), "gqa": (4, 2), "gqa of three": (6, 2), "mqa": (4, 1)}


@pytest.fixture(params=[(h, t) for h in HEADS for t in (False, True)], ids=str)
def theirs(request) -> LlamaForCausalLM:
    (n_heads, n_kv_heads), tied = HEADS[request.param[0]], request.param[1]
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=83, hidden_size=48, intermediate_size=88, num_hidden_layers=3,
        num_attention_heads=n_heads, num_key_value_heads=n_kv_heads, head_dim=14,
        max_position_embeddings=64, rms_norm_eps=3e-6, tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0}, initializer_range=0.2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model


def random_ids(*shape: int) -> torch.Tensor:
    return torch.randint(0, 83, shape, generator=torch.Generator().manual_seed(2))


def their_logits(model, ids):
    with torch.no_grad():
        return model(ids).logits


def test_import_gives_their_logits(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    ours = import_hf(tmp_path)
    assert ours.config.head_dim == 14
    assert ours.config.rope_theta == 500.0
    ids = random_ids(3, 64)
    torch.testing.assert_close(ours(ids), their_logits(theirs, ids), atol=1e-4, rtol=0)


def test_sharded_import_gives_their_logits(theirs, tmp_path):
    theirs.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    ids = random_ids(2, 20)
    torch.testing.assert_close(
        import_hf(tmp_path)(ids), their_logits(theirs, ids), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("tied", [False, True])
def test_export_gives_our_logits(heads, tied, tmp_path):
    n_heads, n_kv_heads = HEADS[heads]
    torch.manual_seed(3)
    ours = Transformer(ModelConfig(83, 48, 3, n_heads, n_kv_heads, 14, 88, 64, 777.0, 2e-5, tied))
    for parameter in ours.parameters():
        parameter.data = parameter.data * 8 if parameter.ndim > 1 else parameter.data + 0.3
    export_hf(ours, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(theirs, LlamaForCausalLM)
    ids = random_ids(2, 64)
    torch.testing.assert_close(their_logits(theirs, ids), ours(ids), atol=1e-4, rtol=0)
    back = import_hf(tmp_path)
    assert back.config == ours.config
    assert all(torch.equal(a, b) for a, b in zip(back.parameters(), ours.parameters(), strict=True))


def test_gradients_are_theirs(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    ours, ids = import_hf(tmp_path), random_ids(2, 30)
    ours(ids).log_softmax(-1)[..., 5].sum().backward()
    theirs(ids).logits.log_softmax(-1)[..., 5].sum().backward()
    torch.testing.assert_close(
        ours.layers[0].attention.wk.weight.grad,
        theirs.model.layers[0].self_attn.k_proj.weight.grad, atol=1e-3, rtol=1e-4,
    )  # fmt: skip


def test_greedy_generation_is_theirs(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    prompts = random_ids(4, 9)
    expected = theirs.generate(
        prompts, max_new_tokens=25, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    greedy = SamplingConfig(25, temperature=0.0)
    replies = generate(import_hf(tmp_path), prompts.tolist(), greedy, eos_id=-1)
    assert [reply.ids for [reply] in replies] == expected[:, 9:].tolist()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays(dtype, tmp_path):
    ours = Transformer(ModelConfig(83, 48, 2, 4, 2, 14, 88, 64)).to(dtype)
    export_hf(ours, tmp_path)
    assert import_hf(tmp_path).tok_embeddings.weight.dtype == dtype
    assert AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto").dtype == dtype


def test_older_configurations_are_read(theirs, tmp_path):
    """Before transformers 5 the base stood alone, and head_dim and K could be left out."""
    theirs.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    raw = json.loads(path.read_text())
    del raw["rope_parameters"]
    path.write_text(json.dumps(raw | {"rope_theta": 500, "rope_scaling": None}))
    assert import_hf(tmp_path).config.rope_theta == 500.0


@pytest.mark.parametrize(("change", "message"), [
    ({"model_type": "mistral"}, "model_type is 'mistral'"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rotary scaling 'linear'"),
    ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "rotary scaling 'llama3'"),
    ({"attention_bias": True}, "attention_bias"),
    ({"mlp_bias": True}, "mlp_bias"),
    ({"hidden_act": "gelu"}, "activation 'gelu'"),
    ({"quantization_config": {}}, "quantised"),
    ({"hidden_size": None}, "gives no dim"),
    ({"num_key_value_heads": 3}, "n_heads 4 is not divisible by n_kv_heads 3"),
    ({"hidden_size": 50}, "the configuration says"),
    ({"num_hidden_layers": 2}, "unknown tensor"),
    ({"num_hidden_layers": 3}, "lacks tensor layers.2"),
    ({"vocab_size": "83"}, "vocab_size is '83'; it must be int"),
])  # fmt: skip
def test_what_llama_2_has_not_is_refused(change, message, tmp_path):
    layers = 3 if change.get("num_hidden_layers") == 2 else 2
    export_hf(Transformer(ModelConfig(83, 48, layers, 4, 2, 14, 88, 64)), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as caught:
        import_hf(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_index_cannot_lead_outside(tmp_path):
    export_hf(Transformer(ModelConfig(83, 48, 1, 4, 2, 14, 88, 64)), tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"norm.weight": "../secret.safetensors"}})
    )
    with pytest.raises(ValueError, match="outside the folder"):
        import_hf(tmp_path)


@pytest.mark.parametrize(("damage", "says"), [
    (lambda text: text[: len(text) // 2], "index.json: not JSON"),
    (lambda text: "", "index.json: not JSON"),
    (lambda text: "\0" * 40, "index.json: not JSON"),
    (lambda text: "[]", "index.json: not a JSON object"),
    (lambda text: "{}", "index.json: has no weight_map"),
    (lambda text: text.replace("00002-of", "00099-of"), r"00099-of-\d+.safetensors: No such file"),
])  # fmt: skip
def test_a_damaged_index_of_shards_is_one_line(damage, says, theirs, tmp_path):
    theirs.save_pretrained(tmp_path, max_shard_size="60KB")
    index = tmp_path / "model.safetensors.index.json"
    text = index.read_text()
    import_hf(tmp_path)  # it was whole
    index.write_text(damage(text))
    with pytest.raises(ValueError, match=says) as caught:
        import_hf(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shard_cut_short_is_one_line(theirs, tmp_path):
    theirs.save_pretrained(tmp_path, max_shard_size="60KB")
    last = max(tmp_path.glob("model-*.safetensors"))
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"{last.name}: damaged, truncated") as caught:
        import_hf(tmp_path)
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_refused(tmp_path):
    model = Transformer(ModelConfig(83, 48, 1, 4, 2, 14, 88, 64))
    export_hf(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="pickled weights"):
        import_hf(tmp_path)
