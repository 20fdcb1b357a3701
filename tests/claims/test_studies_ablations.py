"""P3 to P6: which runs they share, what tells arms apart, and what is measured."""

import numpy as np
import pytest
from small import small_tokenizer
from test_jobs import LAPTOP, planned, stages

from llamalite.claims import all_studies, studies_ablations
from llamalite.claims.exam_items import average_items, evenly, group_items, written_marks
from llamalite.claims.studies_ablations import asked_below
from llamalite.evaluation.groups import group_scores
from llamalite.presets import get_preset
from llamalite.world import World, WorldConfig

EXAMS = ("facts", "paraphrase", "years", "arithmetic", "rumours", "translation", "reading")


def configs(claim):
    return {arm: settings.pretrain for arm, settings in all_studies()[claim].arms(LAPTOP).items()}


def changed(one, other):
    return {name for name in vars(one) if getattr(one, name) != getattr(other, name)}


def test_ordinary_runs_are_made_once():
    """P1 and P2 take five; P3 adds v1 at two sizes, P5 two kinds of attention, P4 both its runs."""
    assert len(stages(planned("P1", "P2", "P3"), "pretrain")) == 7
    assert len(stages(planned("P1", "P2", "P3", "P5"), "pretrain")) == 9
    assert len(stages(planned("P1", "P2", "P3", "P4", "P5"), "pretrain")) == 11
    assert {job.stage for job in planned("P6").values() if hasattr(job, "stage")} == {"world"}


def test_p3_changes_tokens_context_and_mix():
    arms = configs("P3")
    for size in ("half", "whole"):
        new, old = arms[f"v2, {size}"], arms[f"v1, {size}"]
        assert changed(new, old) == {
            *("tokens", "sequence_length", "batch_size", "mixture", "model"),
        }
        assert changed(new.model, old.model) == {"max_seq_len"}
        assert new.tokens / old.tokens == pytest.approx(1.4, abs=1e-3)
        assert new.sequence_length == 2 * old.sequence_length == new.model.max_seq_len
        assert new.step_tokens == old.step_tokens
        assert new.mixture["encyclopedia"] == pytest.approx(3 * old.mixture["encyclopedia"])
    assert arms["v2, half"].model.n_parameters < 0.4 * arms["v2, whole"].model.n_parameters


def test_p4_changes_the_context_and_nothing_else():
    arms = configs("P4")
    assert changed(arms["T"], arms["2T"]) == {"sequence_length", "batch_size", "model"}
    assert changed(arms["T"].model, arms["2T"].model) == {"max_seq_len"}
    assert arms["T"].step_tokens == arms["2T"].step_tokens
    assert arms["T"].tokens == arms["2T"].tokens
    mixture = arms["T"].mixture
    assert mixture["biographies"] == pytest.approx(0.4 * sum(mixture.values()))
    ordinary = LAPTOP.pretrain.mixture
    ratios = {mixture[source] / weight for source, weight in ordinary.items()}
    assert max(ratios) == pytest.approx(min(ratios))


def test_p5_changes_the_attention_and_nothing_else():
    for name in ("ci", "laptop", "colab"):
        arms = {
            arm: settings.pretrain
            for arm, settings in all_studies()["P5"].arms(get_preset(name)).items()
        }
        assert changed(arms["MHA"], arms["MQA"]) == {"model"}
        assert changed(arms["MHA"].model, arms["MQA"].model) == {"n_kv_heads", "ffn_dim"}


def test_long_questions_have_the_name_out_of_reach_and_fit_twice_the_reach():
    world = World(WorldConfig(people=55, attributes=6, towns=8))
    tokenizer = small_tokenizer(world)
    for tokens in (32, 129):
        questions = asked_below(world, tokenizer, tokens)
        for question in questions:
            name = question.id.split("/")[2]
            _, below = question.prompt.split(f"{name}.")
            assert len(tokenizer.encode(below)) >= tokens
            assert name not in below
        longest = max(len(tokenizer.encode(q.prompt)) for q in questions)
        assert longest < 2 * tokens + 20


def test_parts_weigh_the_same_whatever_their_length():
    assert evenly([[1, 0], [1, 1, 1, 1]]).tolist() == [1.5, 0, 0.75, 0.75, 0.75, 0.75]
    rng = np.random.default_rng(0)
    marks = {name: rng.integers(2, size=10 + 7 * i).astype(float) for i, name in enumerate(EXAMS)}
    scores = group_scores({name: {"greedy": {"mean": m.mean()}} for name, m in marks.items()})
    assert {group: items.mean() for group, items in group_items(marks).items()} == pytest.approx(
        scores
    )
    assert average_items(marks).mean() == pytest.approx(np.mean([m.mean() for m in marks.values()]))


def test_marks_are_those_of_the_exams(monkeypatch):
    """Who writes every answer has every mark; who writes another has none."""
    world = World(WorldConfig(people=30, attributes=5, towns=6))
    right = lambda model, tokenizer, questions: [f"{q.answer}, as told" for q in questions]  # noqa: E731
    monkeypatch.setattr("llamalite.evaluation.exams.write_answers", right)
    marks = written_marks(None, None, world)
    assert set(marks) == set(EXAMS)
    assert all(m.mean() == 1 and len(m) == len(world.exam(name)) for name, m in marks.items())
    wrong = lambda model, tokenizer, questions: ["nobody knows"] * len(questions)  # noqa: E731
    monkeypatch.setattr("llamalite.evaluation.exams.write_answers", wrong)
    assert all(m.mean() == 0 for m in written_marks(None, None, world).values())


def test_rules_name_what_is_measured():
    for name in ("P3", "P4", "P5", "P6"):
        assert all_studies()[name].rule.text.endswith(".")
    assert studies_ablations.SAME < studies_ablations.MUCH
