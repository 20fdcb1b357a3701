"""The benchmarks run, on little work, and compare the same function."""

import json

import pytest
import torch
from small_models import make_model, small_config

from benchmarks import __main__ as benchmarks
from benchmarks import peers, ppo, real_weights, rejection_sampling, reward, sampling
from benchmarks.plain_ppo import PlainPPO
from benchmarks.reporting import show
from llamalite.model.checkpoint import save_model
from llamalite.ppo.config import PPOConfig
from llamalite.ppo.module import ActorCritic, Policy, PPOModule, ValueModel
from llamalite.ppo.rollout import MiniBatch
from llamalite.real_models.fetch import HOME, SOURCE
from llamalite.reward.model import RewardModel
from llamalite.text.tokenizer import Tokenizer


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
    assert len(result["runs"]) == 6
    assert result["compile_seconds"] > 0
    sampling.main([*options, "--threads", str(torch.get_num_threads())])
    assert "times as fast" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "options"),
    [
        (rejection_sampling, ["--prompts", "2", "--samples", "3", "--new-tokens", "3"]),
        (ppo, ["--replies", "8", "--new-tokens", "3"]),
        (reward, ["--pairs", "8"]),
    ],
    ids=["rejection sampling", "ppo", "reward"],
)
def test_benchmarks_of_alignment_report_both_programs(part, options, capsys):
    threads = ["--threads", str(torch.get_num_threads())]
    part.main([*options, *threads, "--sizes", "1.0M", "--repeats", "1", "--json"])
    [result] = json.loads(capsys.readouterr().out)["results"]
    assert "llamalite" in result["runs"]
    assert any(run["times_as_fast"] == 1 for run in result["runs"].values())
    assert all(run["seconds"][0] > 0 for run in result["runs"].values())


def test_real_weights_are_timed_part_by_part(tmp_path, capsys):
    tokenizer = Tokenizer.train(["the quick brown fox jumps over the lazy dog " * 9], 290)
    save_model(tmp_path, make_model(small_config(vocab_size=290, max_seq_len=256)))
    tokenizer.save(tmp_path / "tokenizer.model")
    work = {"model": tmp_path, "new-tokens": 3, "prompt-length": 7, "repeats": 2, "threads": 1}
    options = [word for name, value in work.items() for word in (f"--{name}", str(value))]
    real_weights.main([*options, "--json"])
    report = json.loads(capsys.readouterr().out)
    one, eight, prefill, training = report["results"]
    assert set(one["goal"]) <= set(one["runs"])
    assert one["fastest_peer"].startswith("transformers")
    assert one["runs"][one["fastest_peer"]]["times_as_fast"] == 1
    assert one["runs"]["llamalite"]["share_of_bandwidth"] > 0
    assert one["further_goals"] == {"llamalite": "70% of bandwidth at the median step"}
    assert "llamalite" in eight["runs"]
    for result in (prefill, training):
        low, high = result["runs"]["llamalite"]["quartiles"]
        assert 0 < low <= high
    real_weights.main([*options, "--parts", "prefill"])
    printed = capsys.readouterr().out
    assert "1.2" in printed
    assert "GB/s" in printed


def test_goals_in_numbers_and_in_words_stand_in_the_row_of_their_run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    runs = {"peer": {"times_as_fast": 1.0}, "llamalite": {"times_as_fast": 1.04}}
    result = {"size": "mini", "goal": {"llamalite": 1.5}, "runs": runs}
    show("speed", [result | {"further_goals": {"llamalite": "70% at the median"}}], {}, "llamalite")
    rows = [line for line in capsys.readouterr().out.splitlines() if "mini" in line]
    assert ["1.5; 70% at the median" in row for row in rows] == [False, True]
    show("speed", [result | {"goal": 1.2}], {}, "llamalite")
    rows = [line for line in capsys.readouterr().out.splitlines() if "mini" in line]
    assert ["1.2" in row for row in rows] == [False, True]


def test_without_real_weights_the_other_parts_are_all_that_is_run(tmp_path, monkeypatch, capsys):
    """As `make bench` does in a fresh clone, with sizes and without; named, the part says no."""
    ran = []
    monkeypatch.setattr(benchmarks, "_run", lambda name, options: ran.append((name, options)))
    monkeypatch.setenv(HOME, str(tmp_path))
    others = list(benchmarks.PARTS[:-1])
    for options, reason in (
        ([], "smollm2 is not on this machine yet; `llamalite fetch smollm2` brings it"),
        (["--sizes", "1.0M", "--repeats", "1"], "--sizes chooses among the other parts' models"),
    ):
        ran.clear()
        benchmarks.main(options)
        assert ran == [(name, options) for name in others]
        assert capsys.readouterr().err == f"real weights: skipped, {reason}\n"
    fetched = tmp_path / "models" / "smollm2"
    fetched.mkdir(parents=True)
    (fetched / SOURCE).write_text("{}")
    ran.clear()
    benchmarks.main(["--repeats", "1"])
    assert [name for name, _ in ran] == [*others, "real_weights"]
    (fetched / SOURCE).unlink()
    with pytest.raises(SystemExit, match="real weights: smollm2 is not on this machine"):
        real_weights.main(["--threads", str(torch.get_num_threads())])


def test_the_plain_ppo_computes_the_same_loss():
    """So that the two programs do the same work, and ours is right as far as the plain one is."""
    torch.manual_seed(0)
    chat = make_model(small_config("gqa"))
    judge = RewardModel.from_chat(chat)
    config = PPOConfig(
        max_new_tokens=5, batch_size=6, mini_batch_size=6, held_out=0, evaluate_every=0
    )
    plain = PlainPPO(**ppo.plain_models(chat, judge), config=config)
    prompts_BP = torch.randint(0, chat.config.vocab_size, (6, 4))
    batch = plain.rollout(prompts_BP)
    for name in ("old", "values", "advantages", "returns"):  # so that ratios differ, and clips bite
        batch[name] = batch[name] + 0.3 * torch.randn(batch[name].shape)
    policy, value = Policy(chat.config), ValueModel(chat.config)
    policy.transformer.load_state_dict(chat.state_dict())
    value.load_state_dict(judge.state_dict())
    critic = ActorCritic(policy, value, clip=0.2, value_clip=0.2, entropy_bonus=0.0)
    ours, _ = PPOModule.loss_and_metrics(
        critic,
        MiniBatch(
            batch["rows"],
            torch.full((6,), 4),
            batch["rows"][:, 4:],
            torch.ones(6, 5, dtype=torch.bool),
            batch["old"],
            batch["values"],
            batch["advantages"],
            batch["returns"],
        ),
    )
    theirs = plain.loss(batch)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
