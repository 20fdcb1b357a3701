"""Studies share runs, and nothing stale is taken for a result."""

from dataclasses import replace

import grimp
import pytest

from llamalite.claims import all_studies, jobs, study
from llamalite.claims.jobs import MeasureJob, plan_jobs, stages_until, study_config
from llamalite.claims.rules import Above, Rule
from llamalite.claims.stages import STUDY_STAGES, find_stage
from llamalite.claims.statements import CLAIMS
from llamalite.claims.study import claim, with_settings
from llamalite.presets import get_preset
from llamalite.stages import STAGES

LAPTOP = get_preset("laptop")


def planned(*ids, preset=LAPTOP, seeds=(1,), runs="/runs"):
    from pathlib import Path

    return plan_jobs([all_studies()[name] for name in ids], preset, seeds, Path(runs))


def stages(plan, stage):
    return [job for job in plan.values() if getattr(job, "stage", None) == stage]


def test_a_run_two_studies_need_is_made_once():
    both = planned("P1", "P2")
    assert len(stages(both, "world")) == len(stages(both, "tokenizer")) == 1
    # P1 has two arms and P2 four; the ordinary run is an arm of each
    assert len(stages(both, "pretrain")) == 5
    assert len(stages(planned("P1"), "pretrain")) == 2
    assert len(stages(planned("P1", seeds=(1, 2, 3)), "pretrain")) == 6


def test_p1_changes_the_encyclopedias_weight_and_nothing_else():
    config = study_config(all_studies()["P1"], LAPTOP)
    less, more = config["1x"]["pretrain"], config["3x"]["pretrain"]
    assert {key for key in less if less[key] != more[key]} == {"mixture"}
    weights = {key: more["mixture"][key] / less["mixture"][key] for key in more["mixture"]}
    assert weights.pop("encyclopedia") == pytest.approx(3)
    assert set(weights.values()) == {1.0}
    assert config["1x"]["tokenizer"] == config["3x"]["tokenizer"]


def test_p2_changes_the_model_and_nothing_else():
    config = study_config(all_studies()["P2"], LAPTOP)
    arms = [arm["pretrain"] for arm in config.values()]
    assert {key for arm in arms for key in arm if arm[key] != arms[0][key]} == {"model"}
    for name in ("ci", "laptop", "colab"):
        counts = [
            arm.pretrain.model.n_parameters
            for arm in all_studies()["P2"].arms(get_preset(name)).values()
        ]
        assert counts == sorted(counts)
        assert counts[-1] > 4 * counts[0]


def test_every_job_comes_after_those_it_needs():
    seen = set()
    for key, job in planned(*all_studies(), seeds=(1, 2)).items():
        assert set(job.needs) <= seen
        seen.add(key)


def test_settings_seeds_and_code_make_other_jobs(monkeypatch):
    here = set(planned("P1"))
    assert here == set(planned("P1"))
    assert not here & set(planned("P1", seeds=(2,)))
    longer = with_settings(LAPTOP, tokenizer={"vocab_size": 512})
    other = set(planned("P1", preset=longer))
    assert len(here & other) == 1  # the world
    monkeypatch.setattr(jobs, "source_hash", lambda names: "another version of the code")
    assert not here & set(planned("P1"))


INDIFFERENT = {
    *("artifacts", "disk", "own_files", "pipeline", "processes", "protocols", "shapes"),
    *("progress", "stopping", "stopwatch", "training_bar"),
}
"""Modules that decide no number: files, order, types, time. Any other belongs into a job's key."""


def in_key(module, names):
    """Whether a module's file is one of the named files or stands in one of the named folders."""
    path = module.removeprefix("llamalite.").replace(".", "/")
    return any(f"{path}.py" == name or f"{path}/".startswith(f"{name}/") for name in names)


@pytest.mark.parametrize("kind", ["runs", "rounds", *jobs._OWN_SOURCES, "measurements"])
def test_all_code_that_decides_a_number_is_in_the_key(kind):
    graph = grimp.build_graph("llamalite")
    if kind == "runs":
        names, roots = jobs._RUN_SOURCES, [s.recipe for s in stages_until("sft")]
    elif kind == "rounds":
        names, roots = (
            jobs._ROUND_SOURCES,
            [
                s.recipe
                for s in (*STAGES, *STUDY_STAGES)
                if (s.round or s in STUDY_STAGES) and s.name not in jobs._OWN_SOURCES
            ],
        )
    elif kind in jobs._OWN_SOURCES:
        own = find_stage(kind)
        names, roots = jobs._sources(own), [own.recipe]
    else:
        names, roots = jobs._MEASURE_SOURCES, study.STUDY_MODULES
    used = set(roots).union(*(graph.find_upstream_modules(root) for root in roots))
    missing = {module for module in used if not in_key(module, names)}
    first = {module.removeprefix("llamalite.").split(".")[0] for module in missing}
    assert first <= INDIFFERENT, missing
    assert all((jobs._PACKAGE / name).exists() for name in names)


def test_exact_claims_need_no_runs_and_one_measurement():
    plan = planned("P7", "P8", "E3", seeds=(1, 2, 3))
    assert len(plan) == 3
    assert all(isinstance(job, MeasureJob) for job in plan.values())


def test_settings_of_parts():
    changed = with_settings(
        LAPTOP, pretrain={"tokens": 10_000, "model": {"dim": 64}}, sft={"epochs": 1}
    )
    assert changed.pretrain.model == replace(LAPTOP.pretrain.model, dim=64)
    assert (changed.pretrain.tokens, changed.sft.epochs) == (10_000, 1)
    assert changed.world is LAPTOP.world


def test_registering_checks_ids(monkeypatch):
    monkeypatch.setattr(study, "STUDIES", {})
    rule = Rule("", (Above("x"),))
    with pytest.raises(ValueError, match="P77"):
        claim("P77", rule)
    with pytest.raises(ValueError, match="until"):
        claim("W1", rule, until="pretrain")
    claim("W1", rule)(lambda finished: {"x": 1.0})
    assert study.STUDIES["W1"].claim == CLAIMS["W1"]
    assert not study.STUDIES["W1"].trains
