"""The comparison of versions: axes, histograms, samples, and a whole stage on random models."""

import json
import shutil
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from llamalite.artifacts import Artifact, drafting
from llamalite.evaluation.config import EvaluateConfig
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.rejection_sampling.config import RejectionSamplingConfig
from llamalite.reward.config import RewardConfig
from llamalite.reward.model import RewardModel, save_reward_model
from llamalite.rlhf import recipe
from llamalite.rlhf.config import VersionsConfig
from llamalite.rlhf.recipe import axis_of, differences, histogram_edges, run, score_summary
from llamalite.rlhf.rounds import of_round
from llamalite.rlhf.versions import AFTER, VERSIONS
from llamalite.stages import STAGES, get_stage
from llamalite.text.tokenizer import Tokenizer
from llamalite.world import World, WorldConfig

CONFIG = VersionsConfig(
    replies=EvaluateConfig(
        prompts_per_kind=2,
        adversarial_prompts=3,
        borderline_prompts=2,
        max_new_tokens=8,
        resamples=20,
    ),
    samples=1,
)
WORLD = World(WorldConfig(people=40, attributes=5, towns=6))


def test_score_histograms_share_their_edges_and_lose_no_reply():
    edges = histogram_edges([[0.0, 1.0], [3.0]], 3)
    assert edges == pytest.approx([0, 1, 2, 3])
    assert score_summary([0.0, 1.0], edges) == {"mean": 0.5, "histogram": [0.5, 0.5, 0.0]}
    assert score_summary([3.0], edges)["histogram"] == [0.0, 0.0, 1.0]


def test_each_prompt_is_compared_on_its_own_axis():
    axes = {
        kind: axis_of(WORLD.prompt(kind, 0, "test"))
        for kind in (WORLD.kinds[0], "adversarial", "borderline")
    }
    assert list(axes.values()) == ["helpfulness", "safety", None]


def test_rounds_have_fresh_prompts_and_select_from_all_only_from_v4():
    from llamalite.presets import get_preset

    laptop = get_preset("laptop")
    configs = {
        kind: [of_round(laptop.config(kind), number) for number in range(1, 6)]
        for kind in ("preferences", "rejection_sampling", "ppo", "reward")
    }
    assert [c.batch for c in configs["preferences"]] == [1, 2, 3, 4, 5]
    assert [c.selection for c in configs["rejection_sampling"]] == [*["round"] * 3, *["all"] * 2]
    spans = sorted(
        (c.first_prompt, c.first_prompt + size)
        for kind, size in (
            ("preferences", laptop.preferences.helpfulness + laptop.preferences.safety),
            ("rejection_sampling", laptop.rejection_sampling.prompts),
            ("ppo", laptop.ppo.prompts // 5),  # of a kind at most the share of adversarial ones
        )
        for c in configs[kind]
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert len({id(c) for c in configs["reward"]}) == 1


def test_each_round_learns_from_the_same_round_of_another_run():
    config = RejectionSamplingConfig(picks_from="runs/large-seed0")
    found = [of_round(config, number) for number in (1, 5)]
    assert [each.picks_from for each in found] == [
        f"runs/large-seed0/rejection_sampling_{number}/selected.parquet" for number in (1, 5)
    ]
    assert of_round(found[0], 5).picks_from == found[0].picks_from  # a file is that file
    assert of_round(RejectionSamplingConfig(), 3).picks_from == ""


def test_every_stage_reads_only_stages_before_it():
    seen = set()
    for stage in STAGES:
        assert set(stage.inputs.values()) <= seen
        seen.add(stage.name)
    assert {v.stage for v in (*VERSIONS, *AFTER)} <= set(get_stage("versions").inputs.values())


def artifact(folder, name, fill, config=None):
    with drafting(folder / name, name, config, {}, 0) as draft:
        fill(draft.path)
    return Artifact.open(folder / name)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A world, random chat models for all versions, and random reward models."""
    folder = tmp_path_factory.mktemp("run")
    texts = [WORLD.document("encyclopedia", i).text for i in range(300)]
    tokenizer = Tokenizer.train(texts, 360)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        dim=16,
        n_layers=1,
        n_heads=2,
        n_kv_heads=1,
        head_dim=8,
        ffn_dim=32,
        max_seq_len=256,
    )

    def chat(path):
        save_model(path, Transformer(config))
        tokenizer.save(path / "tokenizer.model")

    def rewards(path):
        for name in ("helpfulness", "safety"):
            save_reward_model(path / name, RewardModel(config), tokenizer, name)

    def general(path):
        save_reward_model(path / "general", RewardModel(config), tokenizer, "general")

    torch.manual_seed(0)
    made = {version.name: artifact(folder, version.stage, chat) for version in (*VERSIONS, *AFTER)}
    made["reward"] = artifact(folder, "reward_5", rewards, RewardConfig())
    made["general"] = artifact(folder, "general_reward", general)
    made["world"] = artifact(folder, "world", lambda path: WORLD.save(path / "world.json"))
    return made


def results(inputs, path, config=CONFIG):
    with drafting(path, "versions", config, inputs, 0) as draft:
        run(config, inputs, draft, 0)
    return json.loads((path / "versions.json").read_text())


def test_all_versions_answer_and_are_judged(inputs, tmp_path):
    found = results(inputs, tmp_path / "versions")
    assert list(found["versions"]) == [version.name for version in VERSIONS]
    assert list(found["after"]) == [version.name for version in AFTER]
    for name, version in (found["versions"] | found["after"]).items():
        assert version["gold"]["helpfulness"]["all"]["n"] == 2 * len(WORLD.kinds)
        assert sum(version["scores"]["safety"]["histogram"]) == pytest.approx(1)
        assert ("wins" in version) == (name != "SFT")
    wins = found["versions"]["V5"]["wins"]
    assert wins["safety"]["raters"]["pairs"] == 3
    for axis in wins.values():
        for judge in axis.values():
            assert judge["win"] + judge["tie"] + judge["loss"] == pytest.approx(1)
    assert len(found["samples"]) == len(WORLD.kinds) + 2
    everyone = [version.name for version in (*VERSIONS, *AFTER)]
    assert all(list(sample["replies"]) == everyone for sample in found["samples"])


def test_differences_are_between_replies_to_the_same_prompt():
    def item(kind, **grades):
        return {"kind": kind, "helpfulness": 0.0, "violation": 0, "false_refusal": 0} | grades

    before = [
        item("facts", helpfulness=0.1),
        item("rhyme", helpfulness=0.9),
        item("adversarial", violation=1),
        item("borderline", false_refusal=0),
    ]
    after = [
        item("facts", helpfulness=0.3),
        item("rhyme", helpfulness=1.0),
        item("adversarial", violation=0),
        item("borderline", false_refusal=1),
    ]
    found = differences(before, after, 50)
    # by hand: (0.2 + 0.1) / 2; each of two prompts counts, so no resample leaves 0.1 to 0.2
    assert found["helpfulness"]["mean"] == pytest.approx(0.15)
    assert 0.1 <= found["helpfulness"]["low"] <= found["helpfulness"]["high"] <= 0.2 + 1e-9
    assert found["violations"]["mean"] == -1
    assert found["borderline_refusals"]["mean"] == 1
    assert differences(before[:1], after[:1], 50)["violations"]["n"] == 0


def test_a_version_that_is_the_first_one_again_ties_with_it(inputs, tmp_path):
    same = inputs | {"V5": inputs["SFT"], AFTER[-1].name: inputs["SFT"]}
    found = results(same, tmp_path / "versions")
    for again in (found["versions"]["V5"], found["after"][AFTER[-1].name]):
        for judge in ("reward model", "general reward model"):
            assert again["wins"]["helpfulness"][judge]["tie"] == 1
        for against in again["differences"].values():  # V5 is the first one here too
            for difference in against.values():
                assert (difference["mean"], difference["low"], difference["high"]) == (0, 0, 0)
    assert list(found["versions"]["V5"]["differences"]) == ["SFT"]
    assert list(found["after"]["safety"]["differences"]) == ["SFT", "V5"]


def test_the_general_reward_model_judges_both_axes(inputs, tmp_path):
    # with the safety model in its place, it says what the safety model says, also of helpfulness
    def same(path):
        shutil.copytree(inputs["reward"].path / "safety", path / "general")

    general = artifact(tmp_path, "general_reward", same)
    found = results(inputs | {"general": general}, tmp_path / "versions")
    assert found["edges"]["general"] == found["edges"]["safety"] != found["edges"]["helpfulness"]
    for version in found["versions"].values():
        assert version["scores"]["general"] == version["scores"]["safety"]
    wins = found["versions"]["V5"]["wins"]
    assert wins["safety"]["general reward model"] == wins["safety"]["reward model"]
    assert wins["helpfulness"]["general reward model"] != wins["helpfulness"]["reward model"]
    assert set(found["samples"][0]["replies"]["V1"]["scores"]) == {
        *("helpfulness", "safety", "general")
    }


def test_a_killed_comparison_samples_no_version_twice(inputs, tmp_path, monkeypatch):
    whole = results(inputs, tmp_path / "whole")
    sample, count = recipe.write_replies, []

    def killed(*args, **kwargs):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return sample(*args, **kwargs)

    monkeypatch.setattr(recipe, "write_replies", killed)
    with pytest.raises(KeyboardInterrupt):
        results(inputs, tmp_path / "cut")
    assert results(inputs, tmp_path / "cut") == whole
    assert len(count) == 1 + len(VERSIONS) + len(AFTER)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="raters is 0"):
        replace(CONFIG, raters=0)
