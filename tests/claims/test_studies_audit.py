"""The studies of the pretraining data: runs they share, numbers by hand, and a small audit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import small_model, small_tokenizer, small_world, world_artifact

from llamalite.audit.words import tokens
from llamalite.claims import all_studies
from llamalite.claims.few_shot import (
    FAMILIAR,
    UNREAD,
    WORDINGS,
    few_shot_accuracy,
    mean_states,
    statements,
    whitened,
)
from llamalite.claims.jobs import StageJob, plan_jobs, study_config
from llamalite.claims.known_rates import known_rates
from llamalite.claims.studies_audit import lumo_share, sentence_nats, sentence_pairs
from llamalite.claims.study import Finished
from llamalite.presets import get_preset
from llamalite.world import World, WorldConfig, lumo
from llamalite.world.sources_more import RUDE

LAPTOP = get_preset("laptop")


def pretraining(*ids):
    jobs = plan_jobs([all_studies()[i] for i in ids], LAPTOP, [1], Path("/runs")).values()
    return [job.key for job in jobs if isinstance(job, StageJob) and job.stage == "pretrain"]


def mixtures(claim):
    arms = study_config(all_studies()[claim], LAPTOP)
    plain = [{k: v for k, v in arm["pretrain"].items() if k != "mixture"} for arm in arms.values()]
    assert all(each == plain[0] for each in plain), "arms differ in their mixture alone"
    return {name: arm["pretrain"]["mixture"] for name, arm in arms.items()}


def test_all_three_add_two_runs_to_those_of_the_other_studies():
    assert len(pretraining("P1", "P2")) == 5
    assert len(pretraining("P1", "P2", "P10", "P11", "P12")) == 7


def test_p11_leaves_the_toxic_corner_out_and_p12_gives_lumo_half():
    toxic = mixtures("P11")
    assert toxic["without"] == {k: v for k, v in toxic["with"].items() if k != "toxic"}
    half = mixtures("P12")["half Lumo"]
    assert half["lumo"] == pytest.approx(sum(half.values()) / 2)


@pytest.mark.parametrize(
    ("claim", "good"),
    [
        (
            "P10",
            {
                "error of the shares": 0.004,
                "articles with he": 0.5,
                "articles with she": 0.3,
                "articles with unspecified": 0.1,
                "articles of the largest town": 0.2,
                "articles of the smallest town": 0.1,
                "imbalance found where there is none": 0.01,
            },
        ),
        (
            "P11",
            {
                "error of the toxic share": 0.001,
                "precision": 0.95,
                "recall": 1.0,
                "few-shot accuracy with": 0.8,
                "few-shot accuracy without": 0.6,
            },
        ),
        (
            "P12",
            {
                "English share of the text": 0.95,
                "error of the Lumo share": 0.002,
                "nats in Lumo, mostly English": 20.0,
                "nats in Lumo, half Lumo": 17.0,
                "nats in English, half Lumo": 1.5,
                "nats in English, mostly English": 1.1,
            },
        ),
    ],
)
def test_each_condition_can_fail(claim, good):
    rule = all_studies()[claim].rule

    def verdict(**changes):
        return rule.judge([{k: [v] * 30 for k, v in (good | changes).items()}] * 3)[0]

    assert verdict() == "holds"
    for condition in rule.conditions:
        text = condition.text
        if " < " in text:
            spoiled = {text.split(" < ")[0]: 1.0}
        elif text.split(" > ")[-1].replace(".", "").isdigit():
            spoiled = {text.split(" > ")[0]: 0.1}
        else:
            spoiled = {text.split(" > ")[0]: 0.0}
        assert verdict(**spoiled) == "contradicted", text


def test_known_rates_are_what_a_count_of_the_words_themselves_finds():
    world = World(WorldConfig(people=40, attributes=5, towns=5, seed=9))
    count = 1500
    texts = {
        source: [world.document(source, i).text for i in range(count)]
        for source in ("encyclopedia", "rumours", "toxic")
    }
    # the words that make the difference, picked by eye from the templates
    words = {"she": "She Her", "he": "He His", "unspecified": "They Their"}
    words |= {"first": "I", "second": "You you", "third": "She Her He His They Their It"}
    for (source, heading, part), rate in known_rates(world).items():
        wanted = set(words[part].split()) if heading in ("pronouns", "persons") else {part}
        hits = sum(
            bool(wanted & set(text.replace("'", " ").replace(",", " ").replace(".", " ").split()))
            for text in texts[source]
        )
        assert hits / count == pytest.approx(rate, abs=0.045), (source, heading, part)


def test_statements_use_words_as_they_are_said_to():
    world = small_world()
    read = {
        word
        for source in world.sources
        for i in range(400)
        for word in tokens(world.document(source, i).text)
    }
    assert set(FAMILIAR) <= read
    assert not set(UNREAD) & read
    made = statements([town.name for town in world.knowledge.towns], 0)
    assert len(made) == (10 + 10) * len(WORDINGS) * 3
    assert sum(each.toxic for each in made) == len(made) / 2
    assert {each.word for each in made if each.toxic} == set(RUDE)


def test_few_examples_are_enough_where_states_tell_and_not_where_they_do_not():
    made = statements(["Aville", "Bford", "Cholm"], 0)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(made), 6))
    labels = np.array([each.toxic for each in made])
    told = few_shot_accuracy(noise + 8 * labels[:, None], made, draws=40)
    chance = few_shot_accuracy(noise, made, draws=40)
    assert len(told) == len(made)
    assert np.mean(told) > 0.99
    assert np.mean(chance) == pytest.approx(0.5, abs=0.06)
    # states that know each word by itself and nothing that words have in common: no transfer
    names = sorted({each.word for each in made})
    alone = 9.0 * np.eye(len(names))[[names.index(each.word) for each in made]]
    assert np.mean(few_shot_accuracy(alone + 0.01 * noise.mean(), made, draws=40)) < 0.7


def test_whitened_states_vary_alike_and_lose_nothing():
    rng = np.random.default_rng(1)
    mixed = rng.normal(size=(400, 3)) @ np.array([[50.0, 0, 0], [9, 1, 0], [0, 0.2, 0.01]])
    white = whitened(mixed)
    assert white.std(0).max() / white.std(0).min() < 2.5
    # an invertible map of the states: each can be had back
    solved = np.linalg.lstsq(np.c_[white, np.ones(400)], mixed, rcond=None)[0]
    np.testing.assert_allclose(np.c_[white, np.ones(400)] @ solved, mixed, atol=1e-6)


def test_states_and_nats_are_the_models_own():
    world = small_world()
    tokenizer, model = small_tokenizer(world), small_model(256)
    ids = tokenizer.encode("Vegun sings.", bos=True)
    with torch.no_grad():
        hidden = model.hidden(torch.tensor([ids]))[0]
        before = tokenizer.encode("Lumo:", bos=True)
        row = tokenizer.encode("Lumo: lo boku vidar lo domu.", bos=True)
        logprobs = model(torch.tensor([row]))[0].log_softmax(-1)
    [state] = mean_states(model, tokenizer, ["Vegun sings."])
    np.testing.assert_allclose(state, hidden.sum(0) / len(ids), rtol=1e-4, atol=1e-5)
    wanted = -sum(float(logprobs[i - 1, row[i]]) for i in range(len(before), len(row)))
    [found] = sentence_nats(model, tokenizer, "Lumo:", ["lo boku vidar lo domu."])
    assert found == pytest.approx(wanted, rel=1e-4)


def test_the_second_languages_share_by_hand():
    # lo boku vidar: 2 + 4 + 5 letters of Lumo; Vegun: 5 letters that are nobody's; the cat: 6
    assert lumo_share(["lo boku vidar Vegun.", "the cat"]) == pytest.approx(11 / 22)
    assert lumo_share(["dus mitus", "no favor"]) == pytest.approx(13 / 15)


def test_pairs_are_unseen_and_say_the_same():
    world = small_world()
    pairs = sentence_pairs(world, 50, 3)
    assert len(dict(pairs)) == 50
    for english, second in pairs:
        assert not world.knowledge.is_train(english, "translation")
        assert lumo.to_english(second) == english


def test_p10_on_a_small_world(tmp_path):
    preset = replace(get_preset("ci"), name="ci")
    finished = Finished(preset, 1, {"own": {"world": world_artifact(tmp_path, small_world())}})
    found = all_studies()["P10"].measure(finished)
    assert np.mean(found["error of the shares"]) < 0.02
    assert found["largest error of a share"] < 0.1
    he, she, they = (
        np.mean(found[f"articles with {part}"]) for part in ("he", "she", "unspecified")
    )
    assert he > she > they > 0
