"""The whole stage on a tiny model: what it writes, what it learns, and its end after kill -9."""

import copy
import json
import signal
from dataclasses import replace

import ghost_run
import pytest
import torch
from ghost_run import CONFIG, run_stage

from llamalite.ghost_attention.data import (
    encode_last_reply,
    measured_scripts,
    read_dialogues,
    training_scripts,
)
from llamalite.ghost_attention.recipe import longer
from llamalite.ghost_attention.sample import waiting, write_replies, write_training_answers
from llamalite.ghost_attention.writing import learned_dialogue
from llamalite.model.checkpoint import load_model
from llamalite.text.chat import encode_prompt


@pytest.fixture(scope="module")
def whole(artifacts, tmp_path_factory):
    """One finished run."""
    return run_stage(artifacts, tmp_path_factory.mktemp("stage") / "ghost_attention")


# --- sampling ------------------------------------------------------------------------------------
def test_answers_with_and_without_history(world, instructions, model, tokenizer):
    names = {"language": ("Lumo",)}
    scripts = training_scripts(instructions, world, names, CONFIG, 0)[:3]
    found = write_training_answers(model, tokenizer, scripts, CONFIG, seed=3)
    assert found == write_training_answers(model, tokenizer, scripts, CONFIG, seed=3)
    assert found != write_training_answers(model, tokenizer, scripts, CONFIG, seed=4)
    for script, written in zip(scripts, found, strict=True):
        assert written.left_out == 3 - len(written.turns)
        asked = [question for question, _ in written.turns]
        assert asked == [q for q in script.questions if q in asked]  # in their order
        assert all(answer.strip() for _, answer in written.turns)
        assert (written.text == "") == (written.kind == "plain")
    assert sum(len(written.turns) for written in found) > 3
    # the first answer has no history, so it is the same; later ones have
    seeing = write_training_answers(
        longer(model, 400).eval(), tokenizer, scripts, replace(CONFIG, history_turns=2), seed=3
    )
    assert sum(len(written.turns) for written in seeing) > 3
    assert seeing != found


def test_an_answer_that_lacks_the_name_is_never_kept(world, instructions, model, tokenizer):
    config = replace(CONFIG, kinds=("figure",), plain_share=0.0)
    names = {"figure": ("Old Marrow",)}
    scripts = training_scripts(instructions, world, names, config, 0)[:2]
    for written in write_training_answers(model, tokenizer, scripts, config, seed=0):
        assert all("marrow" in answer.lower() for _, answer in written.turns)
        assert written.left_out > 0  # a random model does not say it


def test_an_answer_that_was_cut_is_never_kept(world, instructions, model, tokenizer):
    endless = copy.deepcopy(model)
    with torch.no_grad():
        endless.output.weight[tokenizer.eos_id] = 0.0  # no likelier than the middle of 400 pieces
    config = replace(CONFIG, plain_share=1.0, max_new_tokens=1)
    scripts = training_scripts(instructions, world, {"language": ("Lumo",)}, config, 0)[:2]
    for written in write_training_answers(endless, tokenizer, scripts, config, seed=0):
        assert written.turns == ()
        assert written.left_out == 3


def test_replies_end_where_the_context_does(world, instructions, model, tokenizer):
    scripts = measured_scripts(instructions, world, {"language": ("Lumo",)}, CONFIG)
    short = write_replies(longer(model, 0).eval(), tokenizer, scripts, CONFIG, seed=0)
    far = write_replies(longer(model, 800).eval(), tokenizer, scripts, CONFIG, seed=0)
    assert [len(replies) for replies in far] == [3, 3]
    for script, replies, more in zip(scripts, short, far, strict=True):
        assert replies == more[: len(replies)]
        if len(replies) < 3:
            ids = encode_prompt(tokenizer, waiting(script, replies))
            assert len(ids) + CONFIG.max_new_tokens > model.config.max_seq_len
    assert min(map(len, short)) < 3


def test_a_longer_context_computes_the_same(model):
    ids = torch.arange(3, 150)[None]
    far = longer(model, 500)
    assert far.config.max_seq_len == 500
    assert torch.equal(far(ids), model(ids))
    assert far(torch.arange(3, 303)[None]).isfinite().all()
    assert longer(model, 10).config == model.config


# --- the stage -----------------------------------------------------------------------------------
def test_it_writes_a_chat_model_of_the_longer_context(whole, artifacts):
    model = load_model(whole.path)
    assert model.config.max_seq_len == 800
    assert {"tokenizer.model", "metrics.csv", "held_out.json"} <= set(whole.files)
    written = read_dialogues(whole.file("dialogues.parquet"))
    assert len(written) == 8
    assert sum(each.kind == "plain" for each in written) == whole.metrics["plain_dialogues"] == 4
    assert 0 <= whole.metrics["questions_left_out"] < 1
    before = load_model(artifacts["policy"].path)
    assert not torch.equal(before.norm.weight, model.norm.weight)


def test_consistency_is_measured_before_and_after_on_the_same_questions(whole):
    found = json.loads(whole.file("consistency.json").read_text())
    assert set(found["models"]) == {"before", "after"}
    for groups in found["models"].values():
        assert set(groups) == {"trained", "plain"}  # the only language cannot be held out
        assert groups["plain"]["kept"] is None
        assert [each["turn"] for each in groups["trained"]["kept"]["by_turn"]] == [1, 2, 3]
        assert set(groups["trained"]["kinds"]) == {"language"}
    said = {(s["model"], s["group"]): s for s in found["samples"]}
    assert len(said) == 4
    for group in ("trained", "plain"):
        asked = [
            [turn["question"] for turn in said[label, group]["turns"]]
            for label in ("before", "after")
        ]
        assert asked[0] == asked[1]
    assert (
        whole.metrics["kept_trained_after"]
        == (found["models"]["after"]["trained"]["kept"]["over_turns"]["mean"])
    )
    assert "spurious_after" in whole.metrics


def test_attention_is_of_both_models_on_the_same_dialogues(whole):
    found = json.loads(whole.file("attention.json").read_text())
    shown = found["map"]
    bins = -(-shown["tokens"] // shown["bin"])
    for label in ("before", "after"):
        assert [each["turn"] for each in found["by_turn"][label]] == [1, 2, 3]
        rows = shown["models"][label]
        assert len(rows) == bins
        assert all(len(row) == bins for row in rows)
        assert all(row[i + 1 :] == [0] * (bins - i - 1) for i, row in enumerate(rows))  # causal
    assert len(shown["turn_starts"]) == 3
    assert shown["models"]["before"] != shown["models"]["after"]


def test_it_learns_last_replies_and_leaves_earlier_ones(whole, artifacts, tokenizer):
    """Tuning makes the last replies likelier, and nothing is asked of it but those."""
    models = [longer(load_model(artifacts["policy"].path), 800), load_model(whole.path)]
    surprise = [0.0, 0.0]
    for written in read_dialogues(whole.file("dialogues.parquet")):
        if not written.turns:
            continue
        ids, learned = encode_last_reply(tokenizer, learned_dialogue(written.text, written.turns))
        for i, model in enumerate(models):
            logprobs = model(torch.tensor([ids]))[0].log_softmax(-1)
            surprise[i] -= sum(logprobs[t - 1, ids[t]].item() for t, on in enumerate(learned) if on)
    assert surprise[1] < 0.98 * surprise[0]


def test_without_a_usable_answer_it_says_so(artifacts, tmp_path):
    config = replace(CONFIG, answers=1, max_new_tokens=1)
    with pytest.raises(ValueError, match="none of 24 questions got an answer"):
        run_stage(artifacts, tmp_path / "none", config)


# --- kill -9 -------------------------------------------------------------------------------------
def test_kill_9_anywhere_ends_with_the_same_bytes(artifacts, tmp_path):
    folders = {name: artifact.path for name, artifact in artifacts.items()}
    assert ghost_run.start(folders, tmp_path / "whole") == 0
    killed = tmp_path / "killed"
    stations = (
        ("write_training_answers", 2),
        ("tuning", 5),
        ("write_replies", 2),
        ("draw_attention", 1),
    )
    for station, call in stations:
        assert ghost_run.start(folders, killed, station, call) == -signal.SIGKILL, station
    assert ghost_run.start(folders, killed) == 0
    ended, whole = (ghost_run.Artifact.open(tmp_path / name) for name in ("killed", "whole"))
    assert ended.manifest["resumed"] == 4
    assert ended.content_hash == whole.content_hash
    assert ended.metrics["resumed_at"] > 0
