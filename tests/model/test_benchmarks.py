"""The benchmarks run, on little work, and compare the same function."""

import json

import pytest
import torch
from small_models import make_model, small_config

from benchmarks import peers, sampling


@pytest.mark.parametrize("peer", ["transformers", "litgpt"])
@pytest.mark.parametrize("heads", ["mha", "gqa", "mqa"])
def test_peers_hold_the_same_function(heads, peer):
    pytest.importorskip(peer)
    model = make_model(small_config(heads))
    peers.check_same_function(model, {peer: peers.PEERS[peer](model)})


def test_another_function_is_noticed():
    with pytest.raises(ValueError, match="transformers's logits differ"):
        peers.check_same_function(
            make_model(small_config()),
            {"transformers": peers.transformers_peer(make_model(small_config(), seed=1))},
        )


def test_repeats_are_interleaved():
    order = []
    seconds = peers.interleaved({n: lambda n=n: order.append(n) for n in "ab"}, 2, warm_ups=1)
    assert order == list("ababab")
    assert [len(times) for times in seconds.values()] == [2, 2]
    assert peers.median_ratio([2.0, 9.0, 4.0], [1.0, 1.0, 1.0]) == 4.0


def test_sampling_benchmark_reports_every_run(capsys):
    work = {"sizes": "1.0M", "prompts": 4, "prompt-length": 9, "new-tokens": 3, "repeats": 1}
    options = [word for name, value in work.items() for word in (f"--{name}", str(value))]
    sampling.main([*options, "--threads", str(torch.get_num_threads()), "--json"])
    report = json.loads(capsys.readouterr().out)
    [result] = report["results"]
    assert result["shape"]["parameters"] == 1_000_576
    assert result["runs"]["transformers"]["times_as_fast"] == 1
    assert len(result["runs"]) == 5
    sampling.show(report["results"])
    assert "times as fast" in capsys.readouterr().out
