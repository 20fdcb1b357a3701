"""The studies of pretraining and its data, run for real at a tiny budget."""

import json
from statistics import mean

import pytest

pytestmark = pytest.mark.timeout(1800)  # some minutes on two quiet cores, far more on busy ones


def test_three_attentions_of_one_size_sit_the_same_exams(measured):
    (p5,) = measured["P5"]["measurements"]
    assert len({len(p5[f"exams, {arm}"]) for arm in ("MHA", "GQA", "MQA")}) == 1
    assert p5["largest difference of parameters"] < 0.01
    assert len({mean(p5[f"loss, {arm}"]) for arm in ("MHA", "GQA", "MQA")}) == 3  # three models


def test_the_filter_takes_rich_sites_out_of_one_run_and_every_number_is_asked_for(
    claims_run, measured
):
    (p9,) = measured["P9"]["measurements"]
    assert {len(items) for items in p9.values()} == {24}
    files = claims_run.glob("runs/ci-seed1/cleaned-*/cleaned/clean.json")
    sites = sorted((json.loads(file.read_text())["rich_sites"] for file in files), key=len)
    assert [bool(each) for each in sites] == [False, True]


def test_the_toxic_corner_is_found_and_left_out_of_one_run(measured):
    """Rude lines of another world teach the detector ours: its words are the same few."""
    (p11,) = measured["P11"]["measurements"]
    assert p11["toxic share"] == pytest.approx(0.01, abs=0.005)  # its share of the mixture
    assert mean(p11["precision"]) > 0.8
    assert mean(p11["recall"]) > 0.8
    assert p11["few-shot accuracy with"] != p11["few-shot accuracy without"]


def test_a_run_of_half_lumo_knows_lumo_better(measured):
    (p12,) = measured["P12"]["measurements"]
    nats = {arm: mean(p12[f"nats in Lumo, {arm}"]) for arm in ("mostly English", "half Lumo")}
    assert nats["half Lumo"] < nats["mostly English"]
    assert len(p12["nats in Lumo, half Lumo"]) == 40
    assert p12["English share of the text"] > 0.9


def test_plants_are_found_word_for_word_and_only_they(claims_run, measured):
    (p13,) = measured["P13"]["measurements"]
    assert mean(p13["found, word for word"]) == mean(p13["planted of found"]) == 1
    assert mean(p13["found, altered"]) > 0.5
    assert mean(p13["found, not planted"]) == mean(p13["found, never planted"]) == 0
    (plants,) = claims_run.glob("runs/ci-seed1/contaminated-*/contaminated/plants.jsonl")
    samples = [json.loads(line)["sample"] for line in plants.open()]
    planted = len(p13["found, word for word"]) + len(p13["found, altered"])
    assert len(samples) == len(set(samples)) == planted == len(p13["right, with plants, planted"])
