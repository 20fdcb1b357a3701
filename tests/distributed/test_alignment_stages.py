"""Preferences, general reward and the stages after the rounds, shared by real processes."""

import json
import signal

import pytest
import torch
from alignment_run import start
from safetensors.torch import load_file
from small import (
    brief_model,
    chat_artifact,
    safety_reward_artifact,
    small_tokenizer,
    small_world,
    world_artifact,
)

from llamalite.red_teaming.recipe import CANDIDATES

STAGES = ("preferences", "general_reward", "ghost_attention", "safety", "red_team")
SAME = {
    "preferences": ("comparisons.jsonl", "test.jsonl", "items.parquet", "statistics.json"),
    "general_reward": ("comparisons.jsonl", "collected.json"),
    "ghost_attention": ("dialogues.parquet",),
    "safety": ("distilled.parquet", "replay.parquet", "distillation.json"),
    "red_team": ("distilled.parquet", "replay.parquet"),
}
"""What does not depend on the number of processes at all: all that is drawn before tuning."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Folders of each stage's inputs, of random weights."""
    folder, world = tmp_path_factory.mktemp("inputs"), small_world()
    tokenizer = small_tokenizer(world)
    chats = [
        chat_artifact(folder, f"model{seed}", brief_model(tokenizer, seed), tokenizer, seed).path
        for seed in (0, 1)
    ]
    made = {
        "world": world_artifact(folder, world).path,
        "policy": chats[0],
        "reward": safety_reward_artifact(folder, brief_model(tokenizer, 1), tokenizer).path,
    }
    return {
        "preferences": {"world": made["world"], "newest": chats[0], "previous": chats[1]},
        "general_reward": {"world": made["world"], "pretrain": chats[1], "chat": chats[0]},
        "ghost_attention": made,
        "safety": made,
        "red_team": made | {name: chats[i % 2] for i, name in enumerate(CANDIDATES)},
    }


@pytest.fixture(scope="module")
def one(inputs, tmp_path_factory):
    """All stages of one process."""
    out = tmp_path_factory.mktemp("one")
    assert start(1, inputs, out, STAGES) == [0]
    return out


def weights(folder):
    [file] = [each for each in folder.rglob("model.safetensors") if "work" not in each.parts]
    return load_file(file)


def test_two_processes_write_and_learn_what_one_does(inputs, one, tmp_path):
    assert start(2, inputs, tmp_path, STAGES) == [0, 0]
    for stage, names in SAME.items():
        for name in names:
            found, expected = ((each / stage / name).read_bytes() for each in (tmp_path, one))
            assert found == expected, f"{stage}/{name}"
        if stage == "preferences":
            continue  # trains nothing
        found, expected = weights(tmp_path / stage), weights(one / stage)
        assert found.keys() == expected.keys()
        for name, weight in expected.items():
            torch.testing.assert_close(found[name], weight, rtol=1e-2, atol=2e-3)
    for folder in (tmp_path, one):
        consistency = json.loads((folder / "ghost_attention" / "consistency.json").read_text())
        assert consistency["models"].keys() == {"before", "after"}
        assert (folder / "ghost_attention" / "attention.json").exists()
    campaigns = [
        json.loads((folder / "red_team" / "red_team.json").read_text())
        for folder in (tmp_path, one)
    ]
    # what is attacked before the tuning answers to the letter
    assert campaigns[0]["rounds"][:-1] == campaigns[1]["rounds"][:-1]
    assert campaigns[0]["found"] > 0
    before = [
        json.loads((folder / "ghost_attention" / "consistency.json").read_text())["models"][
            "before"
        ]
        for folder in (tmp_path, one)
    ]
    assert before[0] == before[1]


def test_each_process_draws_its_own_and_kill_9_of_one_ends_with_the_same_bytes(
    inputs, one, tmp_path
):
    # of four parts of prompts the second process has two, and dies over its second
    assert start(2, inputs, tmp_path, ("safety",), 1, "draw_answers", 2)[1] == -signal.SIGKILL
    stood = {f.name for f in (tmp_path / "safety" / "work").glob("scored-*")}
    assert "scored-00000008.parquet" in stood
    assert "scored-00000024.parquet" not in stood
    (tmp_path / "error-0.txt").unlink(missing_ok=True)
    assert start(1, inputs, tmp_path, ("safety",)) == [0]
    for name in (*SAME["safety"], "model.safetensors", "held_out.json"):
        assert (tmp_path / "safety" / name).read_bytes() == (one / "safety" / name).read_bytes()
