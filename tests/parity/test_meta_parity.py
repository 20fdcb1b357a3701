"""Meta's format, written here from its description, gives the logits of the model it holds."""

import json

import pytest
import torch

from llamalite.model.config import ModelConfig
from llamalite.model.meta import ffn_width, import_meta
from llamalite.model.transformer import Transformer

COLUMNS = ("tok_embeddings", "wo", "w2")


def sharp_model(n_kv_heads: int) -> Transformer:
    torch.manual_seed(0)
    # 2/3 of 4 x 32 is 85, which multiples of 16 round up to 96
    model = Transformer(ModelConfig(40, 32, 2, 4, n_kv_heads, 8, 96, 24))
    for parameter in model.parameters():
        parameter.data = parameter.data * 10 if parameter.ndim > 1 else parameter.data + 0.2
    return model


def write_meta(folder, model: Transformer, shards: int) -> None:
    """As the released files are laid out; row by row, so as not to mirror the import."""
    config = model.config
    state = {}
    for name, tensor in model.state_dict().items():
        tensor = tensor.clone()
        if name.endswith(("wq.weight", "wk.weight")):
            half = config.head_dim // 2
            for row in range(len(tensor)):
                head, place = divmod(row, config.head_dim)
                pair, which = divmod(place, 2)
                source = head * config.head_dim + pair + which * half
                tensor[row] = model.state_dict()[name][source]
        state[name] = tensor
    state["rope.freqs"] = torch.ones(config.head_dim // 2)
    for i in range(shards):
        shard = {}
        for name, tensor in state.items():
            if tensor.ndim == 1:
                shard[name] = tensor
            elif any(f"{word}." in name for word in COLUMNS):
                width = tensor.shape[1] // shards
                shard[name] = tensor[:, i * width : (i + 1) * width].clone()
            else:
                height = tensor.shape[0] // shards
                shard[name] = tensor[i * height : (i + 1) * height].clone()
        torch.save(shard, folder / f"consolidated.{i:02d}.pth")
    params = {
        "dim": 32, "n_layers": 2, "n_heads": 4, "multiple_of": 16, "norm_eps": 1e-5,
        "vocab_size": -1,
    }  # fmt: skip
    if config.n_kv_heads != 4:
        params["n_kv_heads"] = config.n_kv_heads
    (folder / "params.json").write_text(json.dumps(params))


def interleaved_scores(model: Transformer, folder, ids: torch.Tensor) -> torch.Tensor:
    """First layer's scores of the stored weights, rotating neighbours as complex numbers."""
    stored = torch.load(folder / "consolidated.00.pth", weights_only=True)
    x = model.layers[0].attention_norm(stored["tok_embeddings.weight"][ids])
    steps = torch.arange(0, 8, 2) / 8
    angles = torch.arange(len(ids))[:, None] * 10_000.0**-steps
    turn = torch.polar(torch.ones_like(angles), angles)[:, None]

    def turned(name: str) -> torch.Tensor:
        heads = (x @ stored[f"layers.0.attention.{name}.weight"].T).view(len(ids), -1, 8)
        return torch.view_as_real(torch.view_as_complex(heads.view(*heads.shape[:2], 4, 2)) * turn)

    return torch.einsum("qhec,khec->hqk", turned("wq"), turned("wk"))


@pytest.mark.parametrize("n_kv_heads", [4, 2])
@pytest.mark.parametrize("shards", [1, 2])
def test_import_gives_the_models_logits(n_kv_heads, shards, tmp_path):
    model = sharp_model(n_kv_heads)
    write_meta(tmp_path, model, shards)
    back = import_meta(tmp_path, max_seq_len=24)
    assert back.config == model.config
    ids = torch.randint(0, 40, (2, 24))
    torch.testing.assert_close(back(ids), model(ids), atol=1e-5, rtol=0)


def test_stored_weights_rotate_neighbours(tmp_path):
    """The layout written above is the released one: its complex rotation gives our scores."""
    model = sharp_model(4)
    write_meta(tmp_path, model, 1)
    ids = torch.arange(12)
    expected = interleaved_scores(model, tmp_path, ids)
    from llamalite.model.layers import rotate

    attention = model.layers[0].attention
    x = model.layers[0].attention_norm(model.tok_embeddings(ids))[None]
    rope = model.rotary(None, 12)
    q = rotate(attention.wq(x).view(1, 12, 4, 8), *rope)[0]
    k = rotate(attention.wk(x).view(1, 12, 4, 8), *rope)[0]
    torch.testing.assert_close(torch.einsum("qhe,khe->hqk", q, k), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("dim", "multiple_of", "multiplier", "width"), [
    (4096, 256, None, 11_008), (5120, 256, None, 13_824), (8192, 256, None, 22_016),
    (8192, 4096, 1.3, 28_672),
])  # fmt: skip
def test_released_feed_forward_widths(dim, multiple_of, multiplier, width):
    assert ffn_width(dim, multiple_of, multiplier) == width


class Payload:
    def __reduce__(self):
        return print, ("this must never run",)


def break_it(folder, how: str) -> None:
    first, second = folder / "consolidated.00.pth", folder / "consolidated.01.pth"
    params = folder / "params.json"
    if how == "truncated":
        first.write_bytes(first.read_bytes()[:2000])
    elif how == "code":
        torch.save({"norm.weight": Payload()}, first)
    elif how == "not tensors":
        torch.save({"norm.weight": 3}, first)
    elif how == "gap":
        second.rename(folder / "consolidated.02.pth")
    elif how == "no shards":
        first.unlink(), second.unlink()
    elif how == "uneven":
        shard = torch.load(second)
        torch.save(shard | {"output.weight": torch.zeros(3, 32)}, second)
    elif how == "different":
        torch.save(torch.load(second) | {"extra.weight": torch.zeros(3)}, second)
    elif how == "params":
        params.write_text("{}")
    elif how == "no json":
        params.write_bytes(b"\xff\xfe")
    elif how == "multiple":
        params.write_text(params.read_text().replace("16", "256"))


@pytest.mark.parametrize(("how", "message"), [
    ("truncated", "consolidated.00.pth: damaged"),
    ("code", "consolidated.00.pth: damaged, truncated or more than tensors"),
    ("not tensors", "not a dictionary of tensors"),
    ("gap", "consolidated.01.pth is missing"),
    ("no shards", "holds no consolidated.00.pth"),
    ("uneven", "split output.weight unevenly"),
    ("different", "different tensors"),
    ("params", "params.json: not Meta's"),
    ("no json", "params.json: not JSON"),
    ("multiple", "belong to another configuration"),
])  # fmt: skip
def test_broken_checkpoints_are_refused_in_one_line(how, message, tmp_path, capfd):
    write_meta(tmp_path, sharp_model(2), 2)
    break_it(tmp_path, how)
    with pytest.raises(ValueError, match=message) as caught:
        import_meta(tmp_path)
    assert "\n" not in str(caught.value)
    assert "never run" not in capfd.readouterr().out
