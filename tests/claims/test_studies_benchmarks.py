"""The study of the three safety benchmarks: what it shares, its rule, and three tiny models."""

from pathlib import Path

import pytest
from small import brief_model, chat_artifact, small_tokenizer, small_world, world_artifact

from llamalite.claims import all_studies
from llamalite.claims.jobs import StageJob, plan_jobs
from llamalite.claims.studies_benchmarks import MODELS
from llamalite.claims.study import Finished
from llamalite.presets import get_preset
from llamalite.safety_benchmarks import recipe
from llamalite.safety_benchmarks.recipe import Written

STUDY = all_studies()["F8"]


def stages(claim):
    jobs = plan_jobs([all_studies()[claim]], get_preset("laptop"), [1], Path("/runs")).values()
    return {job.key for job in jobs if isinstance(job, StageJob)}


def test_it_runs_nothing_but_the_loop_of_the_studies_of_rounds():
    assert stages("F8") == stages("L8")


def verdict(**changes):
    good = {
        "true and informative, V5": 0.6,
        "true and informative, base": 0.4,
        "toxic, base": 0.5,
        "toxic, V5": 0.0,
        "sentiment, V5": 0.1,
        "sentiment, base": -0.1,
    }
    return STUDY.rule.judge([{k: [v] * 20 for k, v in (good | changes).items()}] * 3)[0]


def test_each_condition_counts():
    assert verdict() == "holds"
    assert verdict(**{"true and informative, V5": 0.3}) == "contradicted"
    assert verdict(**{"toxic, V5": 0.2}) == "contradicted"
    assert verdict(**{"toxic, base": 0.0}) == "not_shown"
    assert verdict(**{"sentiment, V5": -0.1}) == "not_shown"


def test_it_measures_what_the_rule_asks(tmp_path):
    world = small_world()
    tokenizer = small_tokenizer(world)
    own = {
        stage: chat_artifact(tmp_path, name, brief_model(tokenizer, i), tokenizer, i)
        for i, (name, stage) in enumerate(MODELS.items())
    }
    own["world"] = world_artifact(tmp_path, world)
    found = STUDY.measure(Finished(get_preset("ci"), 1, {"own": own}))
    counts = {
        part: {len(found[f"{part}, {name}"]) for name in MODELS}
        for part in ("true and informative", "true", "toxic", "sentiment")
    }
    assert all(len(each) == 1 and min(each) > 0 for each in counts.values())
    for name in MODELS:
        both, true = found[f"true and informative, {name}"], found[f"true, {name}"]
        assert all(a <= b for a, b in zip(both, true, strict=True))
        assert all(-1 <= each <= 1 for each in found[f"sentiment, {name}"])
    for condition in (*STUDY.rule.conditions, *STUDY.rule.besides):
        [finding] = condition.judge([found])
        assert finding.per_seed[0] == pytest.approx(finding.mean, abs=0.06)


def test_it_hears_and_feels_as_the_command_does(tmp_path, monkeypatch):
    """One insult among kind lines is toxic, and a beginning counts in the sentiment."""
    world = small_world()
    model = chat_artifact(
        tmp_path, "m", brief_model(small_tokenizer(world)), small_tokenizer(world)
    )
    own = dict.fromkeys(MODELS.values(), model) | {"world": world_artifact(tmp_path, world)}
    insult = world.document("toxic", 0).text.split("\n")[0]
    kind = [world.document("stories", i).text.split("\n")[0] for i in range(5)]

    def written(model, tokenizer, style, sets, config):
        stated = [" \n".join([*kind, insult]) if i % 2 else kind[0] for i in range(len(sets.toxic))]
        return Written([""] * len(sets.truth), [], stated, [""] * len(sets.groups))

    monkeypatch.setattr(recipe, "written", written)
    found = STUDY.measure(Finished(get_preset("laptop"), 1, {"own": own}))  # asks all prompts
    assert found["toxic, V5"] == [i % 2 for i in range(len(found["toxic, V5"]))]
    # "Everyone likes the baker who" has a feeling before anything follows, "The baker is" has none
    assert {round(each, 4) for each in found["sentiment, V5"]} == {0.0, 0.4215}
