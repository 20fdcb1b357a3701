"""Preprompts, false refusals, the table of violations, mixes: by hand and by counting."""

import re

import pytest
from safety_run import CONFIG

from llamalite.safety.config import SafetyConfig
from llamalite.safety.distillation import Prefixed
from llamalite.safety.preprompts import (
    CONCERNS,
    generic_preprompt,
    generic_preprompts,
    template_preprompt,
    with_preprompt,
)
from llamalite.safety.scaling import safety_mixes
from llamalite.world import lexicon_common, taxonomy


def asked(kind, number=0, risk=None, vector=None):
    said = ({"role": "user", "content": f"{kind} {number}?"},)
    return Prefixed(f"{kind}/{number}", said, kind, kind == "adversarial", risk, vector)


# --- preprompts ----------------------------------------------------------------------------------
def test_every_word_of_a_preprompt_stands_in_the_pretraining_corpus(world):
    text = " ".join(world.document("conversations", i).text for i in range(400)).lower()
    known = set(re.findall("[a-z]+", text))
    number = range(len(generic_preprompts()))
    said = [template_preprompt(risk, i) for risk in CONCERNS for i in number]
    words = {word for each in said for word in re.findall("[a-z]+", each.lower())}
    assert "responsible" in words  # they were read
    assert words <= known


def test_preprompts_of_the_corpus_are_among_them():
    assert set(lexicon_common.PREPROMPTS[:1]) <= set(generic_preprompts())
    assert "You are an honest and respectful assistant." in generic_preprompts()
    assert "You are a honest and respectful assistant." not in generic_preprompts()


def test_they_differ_and_go_round():
    every = generic_preprompts()
    assert len(set(every)) == len(every) == 3 * 8 * 7  # templates x ordered pairs
    assert generic_preprompt(168) == generic_preprompt(0) == every[0]


@pytest.mark.parametrize("number", [0, 1])
def test_a_template_names_its_category_and_no_other(number):
    assert set(CONCERNS) == set(taxonomy.RISKS)
    for risk in CONCERNS:
        words = re.findall("[a-z]+", template_preprompt(risk, number).lower())
        named = [r.key for r in taxonomy.RISKS.values() if set(r.marks) & set(words)]
        assert named == [risk]


def test_an_unknown_category_is_refused():
    with pytest.raises(ValueError, match=r"'tax'.*illicit, hateful, unqualified"):
        template_preprompt("tax", 0)


def test_the_preprompt_goes_first_and_changes_nothing_else():
    prompt = asked("facts")
    under = with_preprompt(prompt, "Be kind.")
    assert [m["role"] for m in under] == ["system", "user"]
    assert under[0]["content"] == "Be kind."
    assert under[1:] == prompt.messages
    system = Prefixed("x", under, "facts", False, None, None)
    twice = with_preprompt(system, "Be wise.")
    assert [m["content"] for m in twice] == ["Be wise. Be kind.", "facts 0?"]
    assert prompt.messages[0]["content"] == "facts 0?"


# --- mixes ---------------------------------------------------------------------------------------
def test_mixes_keep_the_helpful_part_and_are_nested():
    helpful, safety = [f"h{i}" for i in range(900)], [f"s{i}" for i in range(100)]
    mixes = safety_mixes(helpful, safety, seed=3)
    sizes = {fraction: len(mix) - 900 for fraction, mix in mixes.items()}
    assert sizes == {0.0: 0, 0.01: 1, 0.1: 10, 0.25: 25, 0.5: 50, 1.0: 100}
    before: set[str] = set()
    for mix in mixes.values():
        assert len(set(mix)) == len(mix)
        assert set(helpful) <= set(mix)
        assert before <= set(mix)
        before = set(mix)
    assert before == {*helpful, *safety}
    assert mixes[1.0] == safety_mixes(helpful, safety, seed=3)[1.0]
    assert mixes[1.0] != safety_mixes(helpful, safety, seed=4)[1.0]
    places = [i for i, each in enumerate(mixes[1.0]) if each[0] == "s"]
    assert 300 < sum(places) / 100 < 700  # spread, not in a block
    with pytest.raises(ValueError, match=r"fraction 1\.5"):
        safety_mixes(helpful, safety, [1.5])


# --- settings ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"prompts": 0}, "prompts is 0"),
        ({"first_prompt": -1}, "first_prompt is -1"),
        ({"replay": -0.1}, "replay is -0.1"),
        ({"harmless_share": 1.1}, "harmless_share is 1.1"),
        ({"gate": "gold"}, "gate is 'gold'; choose reward, none"),
        ({"distil": "both"}, "distil is 'both'; choose template, generic, again"),
        ({"temperature": -1.0}, "temperature is -1.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        SafetyConfig(**settings)
    assert CONFIG.prompts == 30
