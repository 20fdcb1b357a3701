"""Context distillation on a tiny model: what is drawn, kept and learned, and kill -9."""

import json
import math
import signal
from dataclasses import replace

import pytest
import safety_run
import torch
from safety_run import CONFIG, run_stage

from llamalite.model.checkpoint import load_model
from llamalite.rejection_sampling.candidates import Candidate, read_candidates
from llamalite.safety import distillation
from llamalite.safety.distillation import (
    draw_answers,
    pass_gate,
    read_distilled,
    write_distilled,
)
from llamalite.safety.figures import answer_scores, gain_by_original
from llamalite.safety.preprompts import generic_preprompts
from llamalite.safety.summary import summarise
from llamalite.text.chat import encode_dialogue


@pytest.fixture(scope="module")
def whole(artifacts, tmp_path_factory):
    """One finished run."""
    return run_stage(artifacts, tmp_path_factory.mktemp("stage") / "safety")


@pytest.fixture(scope="module")
def prompts(world):
    return [world.prompt("adversarial", i, "train") for i in range(4)] + [
        world.prompt("facts", i, "train") for i in range(2)
    ]


def answers(prompts, table, unusable=()):
    """Candidates with scores as a table says: {kind: [score of each prompt or None]}."""
    return [
        Candidate(
            prompt_id=prompt.id,
            kind=prompt.kind,
            is_safety=prompt.is_safety,
            messages=tuple(dict(m) for m in prompt.messages),
            text=f"{kind} {i}",
            finished=(kind, i) not in unusable,
            version=kind,
            model="",
            temperature=1.0,
            seed=0,
            index=0,
            score=table[kind][i],
        )
        for kind in table
        for i, prompt in enumerate(prompts)
        if table[kind][i] is not None
    ]


# --- answers -------------------------------------------------------------------------------------
def test_the_preprompt_is_seen_while_drawing_and_nowhere_else(
    prompts, model, tokenizer, monkeypatch
):
    seen = []

    def sample(model, tokenizer, asked, **named):
        seen.append([each.messages for each in asked])
        return real(model, tokenizer, asked, **named)

    real = distillation.sample_candidates
    monkeypatch.setattr(distillation, "sample_candidates", sample)
    found = draw_answers(model, tokenizer, prompts, range(6), CONFIG, seed=1)
    plain = [tuple(p.messages) for p in prompts]
    assert seen[0] == seen[1] == plain
    for messages, prompt in zip(seen[2], plain, strict=True):
        assert messages != prompt
        assert "You are a" in messages[0]["content"]
    assert len(seen[3]) == 4  # no template for prompts without a category
    for messages in seen[3]:
        assert "I will not help you." in messages[0]["content"]
    for candidate in found:
        assert candidate.messages == plain[[p.id for p in prompts].index(candidate.prompt_id)]


def test_answers_depend_on_the_seed_and_the_second_original_is_another(prompts, model, tokenizer):
    draw = lambda seed: draw_answers(model, tokenizer, prompts, range(6), CONFIG, seed=seed)  # noqa: E731
    found = draw(1)
    assert found == draw(1)
    assert found != draw(2)
    texts = {(c.version, c.prompt_id): c.text for c in found}
    assert len(texts) == 3 * 6 + 4
    assert any(texts["original", p.id] != texts["again", p.id] for p in prompts)


# --- the gate ------------------------------------------------------------------------------------
TABLE = {
    "original": [0.0, 0.0, 0.0, 2.0, 0.0, 0.0],
    "again": [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    "generic": [1.0, 1.0, -1.0, 1.0, 1.0, -1.0],
    "template": [2.0, 0.0, 3.0, 1.0, None, None],
}


@pytest.mark.parametrize(
    ("settings", "outcomes"),
    [
        # equal is not better; the third is cut; the last two have no template
        ({}, ["kept", "not better", "unusable", "not better", "kept", "not better"]),
        ({"distil": "generic"}, ["kept", "kept", "not better", "not better", "kept", "not better"]),
        ({"gate": "none"}, ["kept", "kept", "unusable", "kept", "kept", "kept"]),
        ({"distil": "again"}, ["not better", "kept", *["not better"] * 4]),
    ],
)
def test_the_gate_by_hand(prompts, settings, outcomes):
    config = replace(CONFIG, **settings)
    rows = pass_gate(prompts, range(6), answers(prompts, TABLE, {("template", 2)}), config)
    assert [row.outcome for row in rows] == outcomes
    learned = (
        [settings["distil"]] * 6 if "distil" in settings else ["template"] * 4 + ["generic"] * 2
    )
    assert [row.learned for row in rows] == learned
    for i, row in enumerate(rows):
        assert row.dialogue[-1] == {"role": "assistant", "content": f"{learned[i]} {i}"}
        assert row.dialogue[:-1] == [dict(m) for m in prompts[i].messages]


def test_without_scores_it_says_so(prompts):
    table = {**TABLE, "original": [0.0] * 6}
    found = [replace(c, score=None) for c in answers(prompts, table)]
    with pytest.raises(ValueError, match="has no score"):
        pass_gate(prompts, range(6), found, CONFIG)


def test_rows_survive_their_file(prompts, tmp_path):
    rows = pass_gate(prompts, range(6), answers(prompts, TABLE), CONFIG)
    write_distilled(tmp_path / "rows.parquet", rows)
    assert read_distilled(tmp_path / "rows.parquet") == rows
    with pytest.raises(ValueError, match="does not exist"):
        read_distilled(tmp_path / "none.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="holds no distilled answers"):
        read_distilled(tmp_path / "torn.parquet")


def test_figure_16_by_hand(prompts):
    rows = pass_gate(prompts, range(6), answers(prompts, TABLE), CONFIG)
    found = summarise(rows, 20)
    s = {x: 1 / (1 + math.exp(-x)) for x in (-1.0, 1.0, 2.0, 3.0)}
    assert found["answers"]["original"]["median"] == 0.5
    # the four templates, sorted: 0, 1, 2, 3
    assert found["answers"]["template"]["median"] == pytest.approx((s[1.0] + s[2.0]) / 2)
    assert found["answers"]["template"]["scores"][4:] == [None, None]
    assert found["gains"]["template"]["n"] == 4
    assert found["gains"]["again"]["mean"] == pytest.approx(
        (s[1.0] - 0.5 + 0.5 - s[2.0]) / 6, abs=1e-4
    )
    # kept: the template of prompts 0 and 2, the generic answer to 4; 2 is finished here
    assert found["kept"]["mean"] == 0.5
    assert found["outcomes"] == {"kept": 3, "not better": 3, "unusable": 0}
    third, fourth = found["by_original"][2:]
    assert [each["ungated"]["n"] for each in found["by_original"]] == [0, 0, 5, 1]
    gains = [s[2.0] - 0.5, 0, s[3.0] - 0.5, s[1.0] - 0.5, s[-1.0] - 0.5]
    assert third["ungated"]["mean"] == pytest.approx(sum(gains) / 5, abs=1e-4)
    assert third["gated"]["mean"] == pytest.approx((sum(gains) - s[-1.0] + 0.5) / 5, abs=1e-4)
    assert third["worse"]["mean"] == 0.2
    # a good original is made worse, and the gate prevents it
    assert fourth["ungated"]["mean"] == pytest.approx(s[1.0] - s[2.0], abs=1e-4)
    assert fourth["gated"]["mean"] == 0


# --- the stage -----------------------------------------------------------------------------------
def test_it_writes_a_chat_model_and_what_it_was_made_of(whole, artifacts):
    assert {"tokenizer.model", "metrics.csv", "held_out.json"} <= set(whole.files)
    rows = read_distilled(whole.file("distilled.parquet"))
    assert len(rows) == 30
    assert all(row.kind == "adversarial" for row in rows)
    assert all(row.learned_score > row.original_score for row in rows if row.kept)
    kept = sum(row.kept for row in rows)
    assert 0 < kept < 30
    found = json.loads(whole.file("distillation.json").read_text())
    assert found["outcomes"]["kept"] == kept == whole.metrics["outcomes"]["kept"]
    replayed = read_candidates(whole.file("replay.parquet"))
    assert len(replayed) == whole.metrics["replayed"] <= CONFIG.replay * kept
    assert not any(c.is_safety for c in replayed)
    assert sum(c.kind == "borderline" for c in replayed) > 0
    before, after = load_model(artifacts["policy"].path), load_model(whole.path)
    assert not torch.equal(before.norm.weight, after.norm.weight)


def test_distilled_answers_become_likelier_without_preprompt(whole, artifacts, tokenizer):
    surprise = {}
    for name, artifact in (("before", artifacts["policy"]), ("after", whole)):
        model, surprise[name] = load_model(artifact.path), 0.0
        for row in read_distilled(whole.file("distilled.parquet")):
            if row.kept:
                ids, learned = encode_dialogue(tokenizer, row.dialogue)
                logprobs = model(torch.tensor([ids]))[0].log_softmax(-1)
                surprise[name] -= sum(
                    logprobs[t - 1, ids[t]].item() for t, on in enumerate(learned) if on
                )
    assert surprise["after"] < 0.98 * surprise["before"]


def test_scores_are_of_prompts_without_preprompt(artifacts, tmp_path):
    """Another scorer takes the reward model's place, and sees what it would see."""
    seen = []

    def lengths(dialogues, replies):
        seen.extend(dialogues)
        return torch.tensor([float(len(reply)) for reply in replies])

    inputs = {name: artifacts[name] for name in ("world", "policy")}
    config = replace(CONFIG, harmless_share=0.5, replay=0.0)
    made = run_stage(inputs, tmp_path / "safety", config, reward=lengths)
    assert len(seen) == 30 * 3 + 15  # no template for harmless prompts
    said = {message["content"] for dialogue in seen for message in dialogue}
    assert not [each for each in said if each.startswith(generic_preprompts())]
    rows = read_distilled(made.file("distilled.parquet"))
    assert sum(row.kind != "adversarial" for row in rows) == 15
    assert made.metrics["replayed"] == 0
    assert all(row.generic_score == len(row.generic) for row in rows)


def test_what_cannot_be_learned_is_said(artifacts, tmp_path):
    with pytest.raises(ValueError, match="none of 30 distilled answers"):
        run_stage(artifacts, tmp_path / "short", replace(CONFIG, max_new_tokens=1))
    inputs = {name: artifacts[name] for name in ("world", "policy")}
    with pytest.raises(ValueError, match="no reward model was given"):
        run_stage(inputs, tmp_path / "none")


# --- kill -9 -------------------------------------------------------------------------------------
def test_kill_9_anywhere_ends_with_the_same_bytes(artifacts, tmp_path):
    folders = {name: artifact.path for name, artifact in artifacts.items()}
    assert safety_run.start(folders, tmp_path / "whole") == 0
    killed = tmp_path / "killed"
    stations = (
        ("score_answers", 3),
        ("write_distilled", 1),
        ("sample_candidates", 2),
        ("tuning", 5),
        ("save_model", 1),
    )
    for station, call in stations:
        assert safety_run.start(folders, killed, station, call) == -signal.SIGKILL, station
    assert safety_run.start(folders, killed) == 0
    ended, whole = (safety_run.Artifact.open(tmp_path / name) for name in ("killed", "whole"))
    assert ended.manifest["resumed"] == 5
    assert ended.content_hash == whole.content_hash
    assert ended.metrics["resumed_at"] > 0


# --- figures -------------------------------------------------------------------------------------
def test_figures_draw_what_the_file_says(prompts, whole):
    found = summarise(pass_gate(prompts, range(6), answers(prompts, TABLE), CONFIG), 20)
    drawn = answer_scores(found)
    assert drawn.svg().startswith("<")
    assert "original 0.50" in drawn.alt
    change = gain_by_original(found)
    assert change.svg().startswith("<")
    assert "original 0.50 to 0.75" in change.alt
    assert "original 0.00" not in change.alt  # an empty bin
    assert "gated 0.00 (0.00 to 0.00)" in change.alt
    for draw in (answer_scores, gain_by_original):
        assert draw(json.loads(whole.file("distillation.json").read_text())).png()
    with pytest.raises(ValueError, match="no prompt was measured"):
        gain_by_original({"by_original": []})
