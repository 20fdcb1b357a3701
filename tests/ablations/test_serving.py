"""Serving until memory runs out: real processes, real limits, real failures."""

import multiprocessing
import sys

import pytest
import torch

from llamalite.ablations import serving
from llamalite.ablations.config import ServingConfig
from llamalite.ablations.serving import Served, cache_bytes, plain, serve, tokens_per_second
from llamalite.model.config import ModelConfig

WIDE = ModelConfig(
    vocab_size=64, dim=32, n_layers=2, n_heads=8, n_kv_heads=8, head_dim=64, ffn_dim=32
)
SHARED = ModelConfig(
    vocab_size=64, dim=32, n_layers=2, n_heads=8, n_kv_heads=1, head_dim=64, ffn_dim=32
)


def test_bytes_of_a_hand_worked_cache():
    # keys and values, 2 layers, 3 sequences, 8 or 1 heads, 10 slots, 64 numbers of 4 bytes
    assert cache_bytes(WIDE, 3, 10) == 2 * 2 * 3 * 8 * 10 * 64 * 4 == 245_760
    assert cache_bytes(WIDE, 3, 10) == 8 * cache_bytes(SHARED, 3, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's data")
def test_the_larger_cache_runs_out_of_memory_first():
    config = ServingConfig(context=504, new_tokens=8, budget_mib=48, largest=32, repeats=1)
    tried = []
    found = serve({"own": WIDE, "shared": SHARED}, config, tried.append)
    own, shared = found["own"], found["shared"]
    # 4 MiB a sequence against half a MiB: 16 of the one cannot fit in 48 MiB, 32 of the other do
    assert 1 <= own.largest <= 8
    assert own.failed == 2 * own.largest
    assert shared.largest >= 4 * own.largest
    assert own.cache_bytes == 512 * 2 * 2 * 8 * 64 * 4
    assert all(len(each.seconds[1]) == config.repeats for each in found.values())
    assert all(rate > 0 for rate in tokens_per_second(own, config, own.largest))
    # turn and turn about, and what once failed is not tried again
    assert tried[:2] == ["own, 1 at once", "shared, 1 at once"]
    assert tried.count(f"own, {own.failed} at once") == 1
    assert not multiprocessing.active_children()


def test_elsewhere_it_says_that_it_needs_linux(monkeypatch, tmp_path):
    monkeypatch.setattr(serving, "STATUS", tmp_path / "none")
    with pytest.raises(ValueError, match="on Linux only"):
        serve({"own": WIDE}, ServingConfig())


def test_only_want_of_memory_counts_as_such(monkeypatch):
    def fails(error):
        def generate(batch):
            raise error

        monkeypatch.setattr(serving, "_generate", generate)
        return serving._answer(4)

    assert fails(MemoryError()) is None
    # what PyTorch really says, asked for more than any machine has
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert fails(caught.value) is None
    with pytest.raises(RuntimeError, match="a shape is wrong"):
        fails(RuntimeError("a shape is wrong"))


def test_figures_for_a_page():
    served = Served(10, 20, {1: [1.0, 2.0, 4.0], 2: [2.0, 2.0, 2.0]}, failed=4)
    assert plain({"x": served}, ServingConfig(new_tokens=8)) == {
        "x": {
            "parameters": 10,
            "cache_bytes": 20,
            "largest": 2,
            "failed": 4,
            "tokens_per_second": {1: 4.0, 2: 8.0},
        }
    }
    assert Served(1, 1).largest == 0


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="budget_mib is 0"):
        ServingConfig(budget_mib=0)
