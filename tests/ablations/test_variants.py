"""Variants of attention: equally large, as counted on real models."""

from dataclasses import replace

import pytest

from llamalite.ablations.variants import ATTENTION, attention_variants, with_kv_heads
from llamalite.model.transformer import Transformer
from llamalite.presets import MODELS, RUNS


def test_a_hand_worked_model():
    # keys and values of a head: 2 x 128 x 32 weights; a unit of the feed-forward width: 3 x 128
    variants = attention_variants(MODELS["mini"])
    assert list(variants) == list(ATTENTION)
    assert {name: (m.n_kv_heads, m.ffn_dim) for name, m in variants.items()} == {
        "MHA": (4, 352 - 43),
        "GQA": (2, 352),
        "MQA": (1, 352 + 21),
    }
    assert variants["GQA"] == MODELS["mini"]


def test_the_papers_factors_come_out_at_its_size():
    # section A.2.1: 1.3 for GQA and 1.33 for MQA, at the 34B's width with a layer of 2 D
    full = replace(MODELS["34b"], n_kv_heads=64, ffn_dim=16_384)
    assert round(with_kv_heads(full, 8).ffn_dim / 16_384, 1) == 1.3
    assert round(with_kv_heads(full, 1).ffn_dim / 16_384, 2) == 1.33


@pytest.mark.parametrize("name", ["ci", "laptop", "colab"])
def test_sizes_differ_by_less_than_a_percent(name):
    counts = [
        sum(weight.numel() for weight in Transformer(model).parameters())
        for model in attention_variants(RUNS[name].pretrain.model).values()
    ]
    assert max(counts) / min(counts) < 1.01


def test_what_cannot_be_varied_is_refused():
    with pytest.raises(ValueError, match="4 query and 1 key/value heads form no groups"):
        attention_variants(replace(MODELS["mini"], n_kv_heads=1))
    with pytest.raises(ValueError, match="feed-forward layer of 8"):
        with_kv_heads(replace(MODELS["mini"], ffn_dim=8), 4)
