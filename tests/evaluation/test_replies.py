"""Graded replies: written answers of known quality must come out as what they are."""

import json
from random import Random

import pytest
import torch

from llamalite.artifacts import Artifact, drafting
from llamalite.evaluation import EvaluateConfig, evaluate_chat, recipe
from llamalite.evaluation.replies import (
    Reply,
    grade_replies,
    held_out_prompts,
    summarise,
    write_replies,
)
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.protocols import ADVERSARIAL, BORDERLINE
from llamalite.text.tokenizer import Tokenizer
from llamalite.world import Grader, World, WorldConfig
from llamalite.world.demonstrations import demonstrate

CONFIG = EvaluateConfig(
    exam_questions=6,
    perplexity_documents=2,
    prompts_per_kind=4,
    adversarial_prompts=42,
    borderline_prompts=8,
    max_new_tokens=16,
    resamples=100,
    samples=2,
    batch_size=16,
)


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldConfig(people=30, attributes=5, towns=6))


@pytest.fixture(scope="module")
def babbler(world) -> tuple[Transformer, Tokenizer]:
    texts = [world.document(source, i).text for source in world.sources for i in range(20)]
    tokenizer = Tokenizer.train(texts, vocab_size=600)
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=600, dim=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, ffn_dim=32
    )
    return Transformer(config), tokenizer


def written(world: World, quality: float) -> dict:
    prompts = held_out_prompts(world, CONFIG)
    replies = [
        Reply(demonstrate(world, prompt, Random(i), quality), 10, True)
        for i, prompt in enumerate(prompts)
    ]
    items = grade_replies(Grader(world), prompts, replies)
    return {**summarise(items, 100), "items": items}


def test_careful_writers_are_helpful_and_safe_careless_ones_neither(world):
    good, bad = written(world, 1.0), written(world, 0.0)
    assert good["helpfulness"]["all"]["mean"] > 0.95
    assert good["violations"]["all"]["mean"] == 0
    assert good["false_refusals"]["borderline"]["mean"] == 0
    assert bad["helpfulness"]["all"]["high"] < 0.6
    assert bad["violations"]["all"]["low"] > 0.5
    assert sum(good["likert"][5:]) == 4 * len(world.kinds)


def test_refusing_everything_is_safe_and_no_help(world):
    prompts = held_out_prompts(world, CONFIG)
    items = grade_replies(
        Grader(world), prompts, [Reply("I cannot help with that.", 6, True)] * len(prompts)
    )
    result = summarise(items, 100)
    assert result["violations"]["all"]["mean"] == 0
    assert result["false_refusals"]["ordinary"]["mean"] == 1
    assert result["false_refusals"]["borderline"]["mean"] == 1
    assert result["helpfulness"]["all"]["mean"] < 0.1


def test_prompts_are_of_the_test_split_and_cover_every_attack(world):
    prompts = held_out_prompts(world, CONFIG)
    assert {prompt.split for prompt in prompts} == {"test"}
    assert {prompt.kind for prompt in prompts} == {*world.kinds, ADVERSARIAL, BORDERLINE}
    cells = [(p.risk, p.vector) for p in prompts if p.kind == ADVERSARIAL]
    assert len(set(cells)) == 21  # 3 risk categories x 7 attack vectors
    assert max(map(cells.count, cells)) - min(map(cells.count, cells)) <= 1


def test_sums_are_those_of_the_items():
    def item(kind, **grades):
        blank = {"helpfulness": 0.0, "likert": 1, "safety": 5, "violation": 0, "false_refusal": 0}
        blank |= {"risk": None, "vector": None, "tokens": 4, "finished": 1}
        return {**blank, "kind": kind, **grades}

    result = summarise(
        [
            item("facts", helpfulness=1.0, likert=7),
            item("rhyme", helpfulness=0.5, likert=4, false_refusal=1),
            item(BORDERLINE, false_refusal=1),
            item(ADVERSARIAL, risk="a", vector="x", violation=1, safety=1, finished=0),
            item(ADVERSARIAL, risk="a", vector="y", safety=5, tokens=9),
            item(ADVERSARIAL, risk="b", vector="x", safety=3),
        ]
    )
    assert result["helpfulness"]["all"]["mean"] == 0.75  # ordinary prompts alone
    assert result["helpfulness"][BORDERLINE]["mean"] == 0
    assert result["safety"]["all"]["mean"] == 3
    assert result["violations"]["by_risk"]["a"]["mean"] == 0.5
    assert result["violations"]["by_vector"]["x"]["mean"] == 0.5
    assert result["violations"]["by_risk_and_vector"]["b"] == {
        "x": {"mean": 0, "low": 0, "high": 0, "n": 1}
    }
    assert result["false_refusals"]["ordinary"]["mean"] == 0.5
    assert result["likert"] == [0, 0, 0, 1, 0, 0, 1]
    assert result["safety_grades"] == [1, 0, 1, 0, 1]
    assert result["tokens"]["mean"] == pytest.approx(29 / 6, abs=1e-6)
    assert result["finished"]["mean"] == pytest.approx(5 / 6, abs=1e-6)


@pytest.mark.parametrize("style", ["chat", "plain"])
def test_replies_are_the_same_for_the_same_seed_and_keep_to_the_limit(world, babbler, style):
    prompts = held_out_prompts(world, CONFIG, kinds=("facts", "follow_up", ADVERSARIAL))
    first, again, other = (
        write_replies(*babbler, prompts, CONFIG, style=style, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert max(reply.tokens for reply in first) <= CONFIG.max_new_tokens
    assert not any("\nUser:" in reply.text for reply in first) or style == "chat"


def test_an_error_while_sampling_leaves_the_model_as_it_was(world, babbler, monkeypatch):
    model, tokenizer = babbler
    monkeypatch.setattr("llamalite.model.generate.generate", lambda *a, **k: 1 / 0)
    prompts = held_out_prompts(world, CONFIG, kinds=("facts",))
    for training in (True, False):
        model.train(training)
        with pytest.raises(ZeroDivisionError):
            write_replies(model, tokenizer, prompts, CONFIG)
        assert model.training is training


def test_babble_is_no_help_at_all(world, babbler):
    result = evaluate_chat(*babbler, world, Grader(world), CONFIG, kinds=("facts", "howto"))
    assert result["helpfulness"]["all"]["high"] < 0.2
    assert result["violations"]["all"] == {"mean": None, "low": None, "high": None, "n": 0}
    assert len(result["items"]) == result["n"] == 8
    assert result["finished"]["mean"] < 0.5


def test_the_stage_writes_its_three_files_from_models_on_disk(tmp_path, world, babbler):
    model, tokenizer = babbler
    inputs = {}
    for stage in ("world", "pretrain", "sft"):
        with drafting(tmp_path / stage, stage, {}, {}, 0) as draft:
            if stage == "world":
                world.save(draft.path / "world.json")
            else:
                save_model(draft.path, model)
                tokenizer.save(draft.path / "tokenizer.model")
        inputs[stage] = Artifact.open(tmp_path / stage)
    contents = []
    for name in ("one", "two"):
        with drafting(tmp_path / name, "evaluate", CONFIG, inputs, 0) as draft:
            recipe.run(CONFIG, inputs, draft, 0)
        artifact = Artifact.open(tmp_path / name)
        contents.append({f: artifact.file(f).read_bytes() for f in artifact.files})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"base.json", "chat.json", "samples.json"}
    base, chat = (json.loads(contents[0][f"{name}.json"])["models"] for name in ("base", "chat"))
    assert set(base) == set(chat) == {"base", "chat"}
    assert set(base["base"]["exams"]) == set(world.exams)
    assert set(base["base"]["perplexity"]) == set(world.sources)
    assert chat["base"]["style"] == "plain"
    samples = json.loads(contents[0]["samples.json"])
    assert len(samples) == 2 * (len(world.kinds) + 2)
    for sample in samples:
        for name, reply in sample["replies"].items():
            (item,) = (i for i in chat[name]["items"] if i["id"] == sample["id"])
            assert item["reply"] == reply["reply"]
    assert artifact.metrics["helpfulness"] == chat["chat"]["helpfulness"]["all"]["mean"]
