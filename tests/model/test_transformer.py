"""The decoder's parts against definitions, and what must not change its output."""

import math
import subprocess
import sys

import pytest
import torch
from small_models import HEADS, make_model, small_config

from llamalite.model.config import ModelConfig
from llamalite.model.kv_cache import KVCache
from llamalite.model.layers import RMSNorm, RotaryTable, rotate
from llamalite.model.transformer import Transformer


def tokens(*shape: int, vocabulary: int = 61) -> torch.Tensor:
    return torch.randint(0, vocabulary, shape, generator=torch.Generator().manual_seed(7))


def test_rms_norm_matches_a_hand_worked_vector():
    norm = RMSNorm(2, eps=0.0)
    norm.weight.data = torch.tensor([1.0, 10.0])
    # (3, 4) has mean square 12.5, so it becomes (3, 4) / 3.5355
    expected = torch.tensor([3 / math.sqrt(12.5), 40 / math.sqrt(12.5)])
    torch.testing.assert_close(norm(torch.tensor([3.0, 4.0])), expected)


def test_rms_norm_computes_in_float32():
    x = torch.full((8,), 300.0, dtype=torch.float16)  # its square overflows float16
    assert RMSNorm(8, 1e-5).half()(x).tolist() == [1.0] * 8


def test_rotation_turns_a_pair_by_its_angle():
    """At position 2 the first pair (0, 2 of width 4) turns by 2 radians, the second by 2/100."""
    table = RotaryTable(3, 4, theta=10_000.0)
    x = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 4)
    turned = rotate(x, *table(torch.tensor([[2]]), 1)).flatten()
    expected = torch.tensor([math.cos(2), math.cos(0.02), math.sin(2), math.sin(0.02)])
    torch.testing.assert_close(turned, expected)


def test_scores_depend_on_distance_only():
    table = RotaryTable(64, 10, theta=10_000.0)
    q, k = torch.randn(2, 1, 1, 1, 10, generator=torch.Generator().manual_seed(0))

    def score(i: int, j: int) -> float:
        turned_q = rotate(q, *table(torch.tensor([[i]]), 1))
        turned_k = rotate(k, *table(torch.tensor([[j]]), 1))
        return float((turned_q * turned_k).sum())

    assert score(9, 4) == pytest.approx(score(60, 55), abs=1e-5)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-2)


def test_rotary_tables_survive_casts_and_missing_storage():
    model = make_model(small_config())
    expected = model.rotary.cos.clone()
    with torch.device("meta"):
        bare = Transformer(model.config)
    for other in (model.bfloat16(), bare.to_empty(device="cpu")):
        assert other.rotary.cos.dtype == torch.float32
        torch.testing.assert_close(other.rotary.cos, expected, rtol=0, atol=0)
    assert not any("rotary" in name for name in model.state_dict())


def test_a_token_sees_no_later_one(model):
    ids = tokens(2, 20)
    changed = ids.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % 61
    torch.testing.assert_close(model(ids)[:, :12], model(changed)[:, :12])
    assert not torch.allclose(model(ids)[:, 12:], model(changed)[:, 12:], atol=1e-2)


def test_packed_documents_do_not_see_one_another(model):
    """A packed row gives what its documents give alone: forward and gradient."""
    lengths = (7, 1, 12)
    ids = tokens(1, sum(lengths))
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    documents = torch.cat([torch.full((n,), i) for i, n in enumerate(lengths)])[None]
    packed = model(ids, positions, documents)
    alone = torch.cat([model(part) for part in ids.split(lengths, dim=1)], dim=1)
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(o.square().sum(), model.layers[0].attention.wk.weight)[0]
                 for o in (packed, alone)]  # fmt: skip
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-4)
    unmasked = model(ids, positions)
    assert not torch.allclose(packed[:, 8:], unmasked[:, 8:], atol=1e-2)


def test_one_document_needs_no_mask(model):
    ids = tokens(2, 15)
    same = torch.zeros_like(ids)
    torch.testing.assert_close(model(ids, document_ids_BT=same), model(ids), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("starts", [None, [0, 4, 2]])
def test_a_cache_filled_in_pieces_gives_the_whole_forward(model, starts):
    starts_B = None if starts is None else torch.tensor(starts)
    ids = tokens(3, 18)
    cache = KVCache.allocate(model.config, 3, 18, starts_B)
    pieces = torch.cat([model(part, cache=cache) for part in ids.split((6, 1, 4, 7), 1)], 1)
    for row, start in enumerate(starts or [0, 0, 0]):
        alone = model(ids[row : row + 1, start:])[0]
        torch.testing.assert_close(pieces[row, start:], alone, atol=2e-5, rtol=1e-5)


def test_selected_rows_go_on_as_they_were(model):
    ids = tokens(3, 10)
    cache = KVCache.allocate(model.config, 3, 9, torch.tensor([0, 4, 2]))
    model(ids[:, :9], cache=cache)
    rows = torch.tensor([2, 0, 2])
    picked = model(ids[rows, 9:], cache=cache.select(rows, slots=10))
    for row, source, start in ((0, 2, 2), (1, 0, 0), (2, 2, 2)):
        expected = model(ids[source : source + 1, start:])[0, -1]
        torch.testing.assert_close(picked[row, 0], expected, atol=2e-5, rtol=1e-5)


def test_heads_are_read_off_the_projections(model):
    """Two halves of the heads, as two tensor-parallel processes hold them, add up to the whole."""
    attention = model.layers[1].attention
    if model.config.n_kv_heads % 2:
        pytest.skip("one key head cannot be split")
    x = torch.randn(2, 9, 24, generator=torch.Generator().manual_seed(1))
    rope = model.rotary(None, 9)
    whole = attention(x, rope)
    full = {name: p.data.clone() for name, p in attention.named_parameters()}
    total = torch.zeros_like(whole)
    for part in range(2):
        for name, parameter in attention.named_parameters():
            axis = 1 if name.startswith("wo") else 0
            parameter.data = full[name].chunk(2, dim=axis)[part]
        total += attention(x, rope)
    torch.testing.assert_close(total, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_reset_fills_a_model_made_without_storage(tied):
    config = small_config(tie_embeddings=tied, n_layers=4, dim=64, ffn_dim=160)
    with torch.device("meta"):
        model = Transformer(config)
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, float("nan"))
    model.reset_parameters()
    for name, parameter in model.named_parameters():
        spread = 0.02 / math.sqrt(8) if name.endswith(("wo.weight", "w2.weight")) else 0.02
        if parameter.ndim == 1:
            assert parameter.eq(1).all(), name
        else:
            assert float(parameter.detach().std()) == pytest.approx(spread, rel=0.1), name
    assert float(model(tokens(2, 30)).detach().std()) < 1


def test_every_module_with_weights_resets_itself():
    """Sharded training resets module by module, parents first; the spread comes out the same."""
    model = make_model(small_config())
    for module in model.modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if own:
            module.reset_parameters()
    assert float(model.layers[0].attention.wq.weight.detach().std()) == pytest.approx(0.02, rel=0.2)


def test_tied_embeddings_are_one_parameter():
    model = make_model(small_config(tie_embeddings=True))
    names = [name for name, _ in model.named_parameters()]
    assert "output.weight" not in names
    model(tokens(1, 4)).sum().backward()
    assert model.tok_embeddings.weight.grad[60].abs().sum() > 0  # never read, but predicted


def test_hidden_states_make_the_logits(model):
    ids = tokens(2, 6)
    expected = model.hidden(ids) @ model.output.weight.T
    torch.testing.assert_close(model(ids), expected, atol=1e-5, rtol=1e-5)


def test_too_long_an_input_is_refused():
    model = make_model(small_config())
    with pytest.raises(ValueError, match="49 tokens do not fit a context of 48"):
        model(tokens(1, 49))
    cache = KVCache.allocate(model.config, 1, 60)
    model(tokens(1, 40), cache=cache)
    with pytest.raises(ValueError, match="50 tokens do not fit a context of 48"):
        model(tokens(1, 10), cache=cache)
    with pytest.raises(ValueError, match="document_ids_BT"):
        model(tokens(1, 4), document_ids_BT=tokens(1, 4), cache=cache)


# The paper's sizes; the 34B is Code Llama's, for Llama 2's was never released.
PAPER = {
    "7b": (ModelConfig(32_000, 4096, 32, 32, 32, 128, 11_008, 4096), 6_738_415_616, 524_288),
    "13b": (ModelConfig(32_000, 5120, 40, 40, 40, 128, 13_824, 4096), 13_015_864_320, 819_200),
    "34b": (ModelConfig(32_000, 8192, 48, 64, 8, 128, 22_016, 4096), 33_743_970_304, 196_608),
    "70b": (ModelConfig(32_000, 8192, 80, 64, 8, 128, 28_672, 4096), 68_976_648_192, 327_680),
}


@pytest.mark.parametrize("size", PAPER)
def test_released_sizes_have_their_parameters(size):
    config, parameters, kv_bytes = PAPER[size]
    with torch.device("meta"):
        model = Transformer(config)
        cache = KVCache.allocate(config, 1, 1, dtype=torch.float16, device="meta")
    assert sum(p.numel() for p in model.parameters()) == parameters == config.n_parameters
    held = sum(t.numel() * t.element_size() for c in cache.layers for t in (c.keys, c.values))
    assert held == kv_bytes == config.kv_bytes_per_token()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("heads", HEADS)
def test_the_configuration_counts_its_parameters(heads, tied):
    model = Transformer(small_config(heads, tie_embeddings=tied))
    assert sum(p.numel() for p in model.parameters()) == model.config.n_parameters


def test_the_forward_compiles_into_one_graph():
    """In a process of its own: the shape checks of the test run are no part of the graph."""
    program = """
import torch
from llamalite.model.config import ModelConfig
from llamalite.model.loss import next_token_loss
from llamalite.model.transformer import Transformer

model = Transformer(ModelConfig(61, 24, 2, 4, 2, 10, 40, 48))
ids = torch.randint(0, 61, (2, 16))
documents = (torch.arange(16) > 6).long().expand(2, 16)
positions = (torch.arange(16) - 7 * documents)

def loss(ids, positions, documents):
    return next_token_loss(model(ids, positions, documents), ids, ids > 5)

compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
for packed in ((None, None), (positions, documents)):
    torch.testing.assert_close(compiled(ids, *packed), loss(ids, *packed))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
