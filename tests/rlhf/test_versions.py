"""The versions' names and order against the list of figure 11."""

from llamalite.rlhf.versions import BASELINE, VERSIONS, WITHOUT_PPO


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
