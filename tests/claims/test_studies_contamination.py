"""The study of contamination: its runs, its stage, what it measures and concludes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small import PIECES, chat_artifact, small_model, small_tokenizer, small_world, world_artifact

from llamalite.artifacts import Artifact, drafting
from llamalite.claims import all_studies, contaminated
from llamalite.claims.contaminated import (
    ContaminatedConfig,
    documents_read,
    exam_samples,
    planted,
    with_plants,
)
from llamalite.claims.jobs import StageJob, plan_jobs
from llamalite.claims.studies_contamination import found_by_plant, weakest_evidence
from llamalite.contamination.plants import PLANTS, Plant, Sample
from llamalite.contamination.spans import BenchmarkIndex
from llamalite.contamination.subsets import Subset
from llamalite.presets import get_preset

LAPTOP = get_preset("laptop")


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def tokenizer(world):
    return small_tokenizer(world)


def brief(world):
    """Twelve steps of a tiny model."""
    return replace(
        get_preset("ci").pretrain,
        model=small_model(64).config,
        sequence_length=64,
        batch_size=8,
        tokens=12 * 8 * 64,
    )


def test_the_model_without_plants_is_p1s():
    studies = [all_studies()[name] for name in ("P1", "P13")]
    jobs = plan_jobs(studies, LAPTOP, (1,), Path("/runs")).values()
    names = [job.stage for job in jobs if isinstance(job, StageJob)]
    assert names == ["world", "tokenizer", "pretrain", "pretrain", "contaminated"]


# --- the stage -----------------------------------------------------------------------------------


def test_the_run_reads_every_plant_about_once(world, tokenizer):
    config = ContaminatedConfig(replace(brief(world), tokens=60_000), copies=2)
    plants = planted(config, world, tokenizer, seed=3)
    settings, corpus = with_plants(config.pretrain, world, plants, tokenizer)
    encoded = {
        tuple(tokenizer.encode(plant.text, bos=True, eos=True)): plant.text for plant in plants
    }
    read, tokens = [], 0
    for document in documents_read(settings, corpus, tokenizer, 3, 100_000):
        tokens += len(document)
        if tuple(document) in encoded:
            read.append(encoded[tuple(document)])
        if tokens >= settings.tokens:
            break
    assert len(read) == pytest.approx(len(plants), abs=2)
    # one after the other from wherever the seed begins, so that each is read as often as it stands
    assert len(set(read)) >= len({plant.text for plant in plants}) - 2


def test_the_question_stands_in_the_corpus_as_often_as_the_rule_says():
    p13 = all_studies()["P13"]
    assert "16 times" in p13.rule.text
    for name in ("ci", "laptop"):
        (arm,) = p13.arms(get_preset(name)).values()
        assert arm.contaminated.copies == 16


def test_more_plants_than_the_run_has_tokens_are_an_error(world, tokenizer):
    with pytest.raises(ValueError, match="plant fewer copies"):
        with_plants(brief(world), world, [Plant("word " * 9000, "1", False)], tokenizer)


def test_the_stage_trains_on_the_corpus_with_plants(tmp_path, world, tokenizer):
    config = ContaminatedConfig(brief(world), copies=1)
    inputs = {
        "world": world_artifact(tmp_path, world),
        "pretrain": chat_artifact(tmp_path, "pretrain", small_model(64), tokenizer),
    }
    with drafting(tmp_path / "out", "contaminated", config, inputs, 0) as draft:
        contaminated.run(config, inputs, draft, seed=0)
    made = Artifact.open(tmp_path / "out")
    rows = [json.loads(row) for row in made.file("plants.jsonl").read_text().splitlines()]
    exam = {sample.id: sample.text for sample in exam_samples(world, "facts")}
    assert len(rows) == round(len(exam) / 2)
    assert all((row["text"] == exam[row["sample"]]) != row["altered"] for row in rows)
    sources = {row["source"]: row for row in made.metrics["mixture"]}
    assert set(sources) == {*world.sources, PLANTS}
    tokens = sum(len(tokenizer.encode(row["text"], bos=True, eos=True)) for row in rows)
    assert sources[PLANTS]["tokens"] == pytest.approx(tokens, rel=0.1)
    assert json.loads(made.file("config.json").read_text())["vocab_size"] == PIECES


# --- measuring -----------------------------------------------------------------------------------


def test_found_and_planted_by_hand():
    """Word for word, altered, not planted; 30 tokens each, and the corpus has the first two."""
    rows = [list(range(first, first + 30)) for first in (100, 200, 300)]
    never = [list(range(400, 430)), list(range(500, 530))]
    samples = [Sample(str(n), "", "", ()) for n in range(3)]
    exam, other = BenchmarkIndex(rows), BenchmarkIndex(never)
    broken = [7 if i in (12, 18) else token for i, token in enumerate(rows[1])]
    for document in (rows[0], broken, rows[2][:15], never[1]):
        exam.see(document)
        other.see(document)
    plants = [Plant("", "0", False), Plant("", "1", True)]
    found = found_by_plant(samples, exam, other, plants)
    assert found["found, word for word"].tolist() == [1]
    assert found["found, altered"].tolist() == [1]
    assert found["found, not planted"].tolist() == [0]
    assert found["found, never planted"].tolist() == [0, 1]
    assert sorted(found["planted of found"]) == [0, 1, 1]
    assert found["curve length"] == [10, 20, 30, 40, 50]
    assert found["curve found, altered"] == [1, 1, 1, 0, 0]
    assert found["curve planted of found"] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0, 0])


def test_evidence_is_that_of_the_weakest_subset_at_the_best_length():
    def four(*zs):
        return tuple(Subset("", 1, 0.0, 0.0, z) for z in zs)

    nan = float("nan")
    assert weakest_evidence({10: four(-3, 9, -4, 5), 20: four(-6, 2.5, -8, 9)}) == 3
    assert weakest_evidence({10: four(-1, 1, -1, nan), 20: four(nan, -9, 9, 9)}) == 0
    # off to other sides than A.6 expects, however far: no evidence that contamination helped
    assert weakest_evidence({10: four(9, -9, 9, -9), 20: four(9, -9, -9, 9)}) == 0
    assert weakest_evidence({10: four(9, -9, 9, -9), 20: four(-3, 3, -2.5, 3)}) == 2.5


def test_verdicts():
    good = {
        "found, word for word": [1.0] * 40,
        "found, altered": [1.0] * 40,
        "planted of found": [1.0] * 80,
        "|Z|, with plants": 6.0,
        "|Z|, without plants": 0.4,
        "|Z|, never planted": 0.0,
    }

    def verdict(**changed):
        return all_studies()["P13"].rule.judge([good | changed] * 3)[0]

    assert verdict() == "holds"
    assert verdict(**{"found, altered": [0.0, 1.0] * 20}) == "contradicted"
    assert verdict(**{"planted of found": [1.0] * 91 + [0.0] * 9}) == "not_shown"
    assert verdict(**{"|Z|, with plants": 1.5}) == "contradicted"
    assert verdict(**{"|Z|, never planted": 2.5}) == "contradicted"
