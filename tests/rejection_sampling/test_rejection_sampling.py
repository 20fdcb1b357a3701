"""A whole round on tiny models: what is drawn, scored, kept, learned; and its end after kill -9."""

import json
import math
import signal
from dataclasses import replace

import pytest
import rejection_run
import torch
from rejection_run import CONFIG, letters, run_round

from llamalite.model.checkpoint import load_model
from llamalite.rejection_sampling.candidates import read_candidates
from llamalite.rejection_sampling.config import RejectionSamplingConfig
from llamalite.rejection_sampling.sample import sample_candidates, score_candidates
from llamalite.rejection_sampling.select import usable
from llamalite.scoring import Scoring, alone
from llamalite.text.chat import encode_dialogue

SETTINGS = {"n": 4, "temperatures": (0.5, 1.5), "max_new_tokens": 20}


@pytest.fixture(scope="module")
def whole(artifacts, prompts, tmp_path_factory):
    """One finished round."""
    return run_round(artifacts, prompts, tmp_path_factory.mktemp("round") / "rs", version="SFT")


# --- sampling and scoring ------------------------------------------------------------------------
def test_each_prompt_gets_n_replies_shared_out_among_temperatures(artifacts, tokenizer, prompts):
    model = load_model(artifacts["policy"].path)
    found = sample_candidates(model, tokenizer, prompts[:3], seed=5, **SETTINGS)
    assert [c.prompt_id for c in found] == [p.id for p in prompts[:3] for _ in range(4)]
    assert [(c.temperature, c.seed, c.index) for c in found[:4]] == [
        *((0.5, 5, 0), (0.5, 5, 1), (1.5, 6, 0), (1.5, 6, 1))
    ]
    assert len({c.text for c in found}) > 6
    assert sample_candidates(model, tokenizer, prompts[:3], seed=5, **SETTINGS) == found
    assert sample_candidates(model, tokenizer, prompts[:3], seed=9, **SETTINGS) != found
    with pytest.raises(ValueError, match="3 candidates do not divide among 2 temperatures"):
        sample_candidates(model, tokenizer, prompts, **SETTINGS | {"n": 3})


def test_scores_are_a_replys_own_whatever_the_batch(artifacts, tokenizer, prompts):
    model = load_model(artifacts["policy"].path)
    found = sample_candidates(model, tokenizer, prompts[:3], **SETTINGS)
    double = Scoring({"letters": letters, "ones": lambda d, r: [1.0] * len(r)},
                     lambda s, is_safety: 2 * s["letters"] + s["ones"])  # fmt: skip
    scored = score_candidates(double, found, at_once=5)
    assert scored == score_candidates(double, found, at_once=100)
    for candidate in scored:
        own = 0.5 * sum(c.isalpha() and c.isascii() for c in candidate.text)
        assert candidate.scores == {"letters": own, "ones": 1.0}
        assert candidate.score == 2 * own + 1


def test_a_score_that_is_not_finite_names_its_prompt(artifacts, tokenizer, prompts):
    model = load_model(artifacts["policy"].path)
    found = sample_candidates(model, tokenizer, prompts[:2], **SETTINGS)
    broken = alone(lambda d, replies: [math.nan] * len(replies))
    with pytest.raises(ValueError, match=r"'score' is not finite for 8 of 8 .* prompts p0 \("):
        score_candidates(broken, found)


# --- the round -----------------------------------------------------------------------------------
def test_a_round_keeps_each_prompts_best_and_learns_it(whole, artifacts):
    candidates = read_candidates(whole.file("candidates.parquet"))
    selected = read_candidates(whole.file("selected.parquet"))
    assert len(candidates) == 10 * 8
    assert {c.version for c in candidates} == {"SFT"}
    assert {c.model for c in candidates} == {artifacts["policy"].fingerprint}
    assert whole.metrics["selected"] == len(selected) > 3
    assert len(selected) + whole.metrics["prompts_without_usable_reply"] == 10
    for chosen in selected:
        mine = [c for c in candidates if c.prompt_id == chosen.prompt_id and usable(c)]
        assert (
            chosen.score == max(sum(x.isalpha() and x.isascii() for x in c.text) for c in mine) / 2
        )
    assert whole.metrics["selected_by_version"] == {"SFT": len(selected)}
    assert {"config.json", "model.safetensors", "tokenizer.model"} <= set(whole.files)
    records = json.loads(whole.file("curves.json").read_text())
    assert [(r["temperature"], r["n"]) for r in records] == [
        (t, n) for t in (0.9, 1.1) for n in (1, 2, 4)
    ]


def test_the_tuned_model_is_the_base_model_with_the_replies_learned(whole, artifacts, tokenizer):
    base, tuned = load_model(artifacts["pretrain"].path), load_model(whole.path)
    selected = read_candidates(whole.file("selected.parquet"))

    def surprise(model):
        total = 0.0
        for candidate in selected:
            ids, learned = encode_dialogue(tokenizer, candidate.dialogue)
            logprobs = model(torch.tensor([ids]))[0].log_softmax(-1)
            total -= sum(logprobs[i - 1, ids[i]].item() for i, on in enumerate(learned) if on)
        return total

    assert surprise(tuned) < 0.95 * surprise(base)


def test_tuning_begins_at_the_base_with_exactly_the_selection(artifacts, prompts, tmp_path):
    seen = {}

    class Enough(Exception):  # noqa: N818
        pass

    def finetune(config, model, tokenizer, dialogues, held_out, seed, **_):
        seen.update(config=config, model=model, dialogues=dialogues, held_out=held_out)
        raise Enough

    with pytest.raises(Enough):
        run_round(artifacts, prompts, tmp_path / "rs", finetune=finetune)
    base = load_model(artifacts["pretrain"].path)
    for a, b in zip(seen["model"].parameters(), base.parameters(), strict=True):
        assert torch.equal(a, b)
    selected = read_candidates(tmp_path / "rs.partial" / "selected.parquet")
    learned = [*seen["dialogues"], *seen["held_out"]]
    assert sorted(map(str, learned)) == sorted(str(c.dialogue) for c in selected)


def test_earlier_rounds_compete_under_the_newest_scores(whole, artifacts, prompts, tmp_path):
    def finetune(*_, **__):
        raise KeyboardInterrupt

    inputs = artifacts | {"bag-1": whole, "policy": artifacts["pretrain"]}
    found = {}
    for selection in ("round", "all", "random"):
        with pytest.raises(KeyboardInterrupt):
            config = replace(CONFIG, selection=selection, candidates=32)
            run_round(
                inputs,
                prompts,
                tmp_path / selection,
                config,
                seed=1,
                finetune=finetune,
                version="V1",
            )
        path = tmp_path / f"{selection}.partial" / "selected.parquet"
        found[selection] = {c.prompt_id: c for c in read_candidates(path)}
    old = {c.prompt_id: c for c in read_candidates(whole.file("selected.parquet"))}
    assert {c.version for c in found["round"].values()} == {"V1"}
    assert {c.version for c in found["all"].values()} == {"SFT", "V1"}
    for prompt, best in found["all"].items():
        rivals = [bag[prompt].score for bag in (old, found["round"]) if prompt in bag]
        assert best.score == max(rivals)
    assert found["random"].keys() == found["round"].keys()
    assert sum(c.score for c in found["random"].values()) < sum(
        c.score for c in found["round"].values()
    )


def test_who_learns_from_the_picks_of_its_own_like_becomes_its_like(whole, artifacts, tmp_path):
    config = replace(CONFIG, picks_from=str(whole.file("selected.parquet")))
    inputs = {"pretrain": artifacts["pretrain"]}
    distilled = run_round(inputs, [], tmp_path / "rs", config, scoring=False)
    # same base, same replies, same seed: the same model as the other's own round made
    assert distilled.files["model.safetensors"] == whole.files["model.safetensors"]
    assert "candidates.parquet" not in distilled.files


def test_without_a_usable_reply_it_says_so(artifacts, prompts, tmp_path):
    config = replace(CONFIG, prompts=2, max_new_tokens=1, candidates=2)
    with pytest.raises(ValueError, match="none of 4 replies can be learned from"):
        run_round(artifacts, prompts[:2], tmp_path / "rs", config)
    with pytest.raises(ValueError, match="no reward model was given"):
        run_round(artifacts, prompts, tmp_path / "none", scoring=False)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"candidates": 0}, "candidates is 0"),
        ({"candidates": 3, "temperatures": (1.0, 1.2)}, "3 does not divide among 2"),
        ({"temperatures": ()}, "give numbers of 0 or more"),
        ({"temperatures": (1.0, 1.0)}, "give each once"),
        ({"selection": "worst"}, "choose round, all or random"),
        ({"safety_share": 0.9, "borderline_share": 0.2}, "more than 1"),
    ],
)
def test_unusable_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        RejectionSamplingConfig(**changes)


# --- kill -9 -------------------------------------------------------------------------------------
def test_kill_9_anywhere_ends_with_the_same_bytes(artifacts, prompts, tmp_path):
    folders = {name: artifact.path for name, artifact in artifacts.items()}
    assert rejection_run.start(folders, prompts, tmp_path / "whole") == 0
    killed = tmp_path / "killed"
    for station, call in (
        *(("sample_candidates", 2), ("score_candidates", 2), ("write_candidates", 3)),
        ("tuning", 4),
    ):
        assert rejection_run.start(folders, prompts, killed, station, call) == -signal.SIGKILL
    assert rejection_run.start(folders, prompts, killed) == 0
    ended = rejection_run.Artifact.open(killed)
    whole = rejection_run.Artifact.open(tmp_path / "whole")
    assert ended.manifest["resumed"] == 4
    assert ended.content_hash == whole.content_hash
    assert ended.metrics["resumed_at"] == 2
