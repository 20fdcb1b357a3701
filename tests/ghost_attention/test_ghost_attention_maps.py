"""Attention weights against the fused kernel's own output, and what is read off them."""

import math

import pytest
import torch

from llamalite.ghost_attention.attention import (
    attention_by_turn,
    attention_map,
    binned,
    instruction_attention,
    layer_weights,
    spans,
    strongest_attention,
)
from llamalite.ghost_attention.writing import learned_dialogue

TURNS = (("Who is Ann?", "A baker."), ("And Bo?", "A smith."))
IDS = torch.arange(3, 40)


def inputs_and_outputs(model, ids):
    """What each attention layer read and gave."""
    seen = []
    hooks = [
        block.attention.register_forward_hook(lambda m, given, out: seen.append((m, given, out)))
        for block in model.layers
    ]
    model.hidden(ids[None])
    for hook in hooks:
        hook.remove()
    return seen


def test_the_weights_give_the_models_own_output(model):
    for attention, (x_BTD, (cos, sin), *_), out_BTD in inputs_and_outputs(model, IDS):
        weights = layer_weights(attention, x_BTD[0], cos, sin)
        assert torch.allclose(weights.sum(-1), torch.ones(4, len(IDS)), atol=1e-5)
        assert (weights.triu(1) == 0).all()
        values = attention.wv(x_BTD)[0].unflatten(-1, (-1, attention.head_dim))
        values = values.repeat_interleave(2, dim=1)  # two query heads read each
        mixed = torch.einsum("hqk,khe->qhe", weights, values).flatten(1)
        torch.testing.assert_close(attention.wo(mixed), out_BTD[0], atol=1e-5, rtol=1e-4)


def test_the_strongest_weight_is_that_of_all_layers_and_heads(model):
    strongest = strongest_attention(model, IDS)
    each = [
        layer_weights(attention, given[0][0], *given[1])[head]
        for attention, given, _ in inputs_and_outputs(model, IDS)
        for head in range(4)
    ]
    assert len(each) == 8
    for q, k in ((0, 0), (20, 3), (36, 36), (5, 30)):
        assert strongest[q, k] == max(weights[q, k].item() for weights in each)
    assert not any(block.attention._forward_pre_hooks for block in model.layers)
    with pytest.raises(ValueError, match="do not fit a context"):
        strongest_attention(model, torch.ones(161, dtype=torch.long))


def test_bins_take_the_largest_weight():
    grid = torch.tensor([[1.0, 0, 0], [0.5, 0.4, 0], [0.2, 0.3, 0.7]])
    assert binned(grid, 2).tolist() == [[1.0, 0.0], [pytest.approx(0.3), pytest.approx(0.7)]]
    assert binned(grid, 1).tolist() == grid.tolist()
    assert binned(grid, 5).tolist() == [[1.0]]


def test_spans_name_the_instructions_words_and_the_replies(tokenizer):
    found = spans(tokenizer, learned_dialogue("Act as Old Marrow.", TURNS))
    words = found.ids[found.instruction.start : found.instruction.stop]
    assert tokenizer.decode(words).strip() == "Act as Old Marrow."
    assert [found.ids[start] for start in found.turns] == [tokenizer.bos_id] * 2
    said = [tokenizer.decode(found.ids[r.start : r.stop]).strip() for r in found.replies]
    assert said == ["A baker.", "A smith."]
    with pytest.raises(ValueError, match="no system message"):
        spans(tokenizer, learned_dialogue("", TURNS))


def test_attention_to_the_instruction_is_that_of_the_predicting_tokens(tokenizer, model):
    found = spans(tokenizer, learned_dialogue("Act as Old Marrow.", TURNS))
    size = len(found.ids)
    grid = torch.zeros(size, size)
    start = found.replies[1].start
    grid[start - 1, found.instruction.start] = 0.8  # predicts the second reply's first token
    grid[start - 1, found.instruction.start + 1] = 0.5
    grid[start - 1, 0] = 1.0  # the beginning of the sequence is no word of the instruction
    grid[found.replies[1].stop - 1, found.instruction.start] = 1.0  # predicts nothing of it
    first, second = instruction_attention(grid, found)
    assert first == 0
    assert second == pytest.approx(0.8 / len(found.replies[1]))
    by_turn = attention_by_turn(model, [found, found], 20)
    assert [each["turn"] for each in by_turn] == [1, 2]
    assert all(0 < each["mean"] < 1 and each["n"] == 2 for each in by_turn)
    start = found.instruction.start
    rows = attention_map(model, found, 1)
    assert len(rows) == len(rows[0]) == size - start
    strongest = strongest_attention(model, torch.tensor(found.ids))
    assert rows[5][2] == pytest.approx(strongest[start + 5, start + 2].item(), abs=1e-4)
    assert len(attention_map(model, found, 10)) == math.ceil((size - start) / 10)
