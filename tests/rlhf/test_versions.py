"""The versions' names and order against the list of figure 11."""

from llamalite.presets import get_preset
from llamalite.rlhf.versions import AFTER, BASELINE, VERSIONS, WITHOUT_PPO
from llamalite.stages import STAGES, chain, get_stage


def test_versions_are_those_of_figure_11_in_its_order():
    names = [version.name for version in VERSIONS]
    assert names == ["SFT", "V1", "V2", "V3", "V4", "V5 without PPO", "V5"]
    assert (names[0], names[-2]) == (BASELINE, WITHOUT_PPO)


def test_only_the_last_version_has_ppo_and_shares_its_reward_models():
    made = {version.name: (version.stage, version.reward_stage) for version in VERSIONS}
    assert made["SFT"] == ("sft", None)
    assert made["V2"] == ("rejection_sampling_2", "reward_2")
    assert made["V5 without PPO"] == ("rejection_sampling_5", "reward_5")
    assert made["V5"] == ("ppo_5", "reward_5")
    assert sum("ppo" in stage for stage, _ in made.values()) == 1


def test_every_later_stage_that_makes_a_model_is_compared_too():
    names = [stage.name for stage in STAGES]
    assert names[-2:] == ["general_reward", "versions"]
    later = [stage for stage in STAGES if "policy" in stage.inputs and not stage.round]
    assert [model.stage for model in AFTER] == [stage.name for stage in later]
    assert [stage.inputs["policy"] for stage in later] == ["ppo_5", "ghost_attention", "safety"]
    read = get_stage("versions").inputs
    assert {model.name: read[model.name] for model in AFTER} == {
        "Ghost Attention": "ghost_attention",
        "safety": "safety",
        "after red teaming": "red_team",
    }
    assert not {model.name for model in AFTER} & {version.name for version in VERSIONS}


def test_the_chain_up_to_the_comparison_is_the_whole_chain():
    preset = get_preset("laptop")
    assert chain(preset, "versions") == chain(preset)
    assert "versions" not in [stage.name for stage in chain(preset, "red_team")]
