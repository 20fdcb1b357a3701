"""What is counted, against documents counted by hand and by regular expressions."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llamalite.audit.detectors import Detector
from llamalite.audit.tally import Auditor, audited
from llamalite.audit.words import AXES, PERSONS, PRONOUNS, tokens

NOBODY = Detector("nobody", lambda line: 0.0)
NOWHERE = Detector("nowhere", lambda text: {})
DOCUMENTS = [
    "She gave him the Book.",  # she, he; third
    "I'll ask THEM myself; you're late.",  # unspecified; first, second, third
    "Rain, snow and wind.",  # nothing
    "Heroes shelter theirs",  # unspecified only: no word is part of another
    "It rained.",  # third, yet no gender
    "",
]


def audit(*texts, toxicity=NOBODY, language=NOWHERE, axes=AXES):
    return audited(texts, Auditor(toxicity, language, axes)).result(axes)


def test_shares_of_table_9a_on_documents_counted_by_hand():
    found = audit(*DOCUMENTS)
    assert found["documents"] == 6
    assert found["pronouns"]["documents"] == pytest.approx(3 / 6, abs=1e-6)
    assert found["pronouns"]["of_them"] == pytest.approx(
        {"unspecified": 2 / 3, "she": 1 / 3, "he": 1 / 3}, abs=1e-6
    )
    assert found["persons"]["documents"] == pytest.approx(4 / 6, abs=1e-6)
    assert found["persons"]["of_them"] == pytest.approx(
        {"third": 1.0, "first": 1 / 4, "second": 1 / 4}, abs=1e-6
    )


def test_the_papers_lists_and_no_more():
    assert sum(map(len, PRONOUNS.values())) == 4 + 4 + 7
    assert len(PERSONS["first"]) == 10
    assert len(PERSONS["second"]) == 5
    assert len(PERSONS["third"]) == 15 + 3


def test_descriptors_of_one_word_and_of_two():
    found = audit(
        "An African American choir",  # two descriptors: the longer and, inside it, the shorter
        "Two Africans met",
        "Native tongues, American shores",  # not "native american"
        "a gay wedding",
    )["demographics"]
    race = found["race and ethnicity"]
    assert race["documents"] == 0.5
    assert race["of_them"] == {"african": 1.0, "african american": 0.5}
    assert found["sexual orientation"]["of_them"] == {"gay": 1.0}
    assert found["nationality"]["documents"] == 0.5
    assert found["religion"] == {"documents": 0.0, "of_them": {}}


@example(["'he", "s'he said 'his", "a'b'he"])
@given(st.lists(st.text(alphabet="aehimrstuy' \n.", max_size=60), max_size=8))
def test_any_text_is_counted_as_a_regular_expression_counts_it(texts):
    found = audit(*texts)
    for part, words in PRONOUNS.items():
        pattern = rf"\b(?:{'|'.join(sorted(words))})\b"
        # what one apostrophe joins to a word is no word: "s'he" has none, "'he" opens a quotation
        hits = sum(bool(re.search(pattern, re.sub(r"([a-z])'[a-z]+", r"\1", t))) for t in texts)
        share = found["pronouns"]["of_them"].get(part, 0) * found["pronouns"]["documents"]
        assert share * len(texts) == pytest.approx(hits, abs=1e-3)


@given(st.text())
def test_no_text_is_too_strange(text):
    assert audit(text)["documents"] == 1


def test_short_forms_count_as_their_first_word():
    assert tokens("She'll see; they’re HERS, don't!") == ["she", "see", "they", "hers", "don"]


def test_toxicity_is_the_mean_of_the_lines_and_counts_from_a_half():
    rude = Detector("rude", lambda line: float("rude" in line))
    found = audit("rude\nkind\n\n", "kind\nkind\nrude", "kind", toxicity=rude)["toxicity"]
    assert found["share"] == pytest.approx(1 / 3, abs=1e-6)  # the first only, at exactly a half
    assert found["mean"] == pytest.approx((1 / 2 + 1 / 3 + 0) / 3, abs=1e-6)
    assert found["histogram"] == [1, 0, 0, 1, 0, 1, 0, 0, 0, 0]


def test_languages_below_a_half_are_unknown_and_text_is_shared_out():
    told = {"aa": {"x": 0.75, "y": 0.25}, "bbbb": {"x": 0.4, "y": 0.3, "z": 0.3}, "c": {}}
    found = audit(*told, language=Detector("table", told.__getitem__))["languages"]
    assert found["documents"] == pytest.approx({"x": 1 / 3, "unknown": 2 / 3}, abs=1e-6)
    assert found["text"] == pytest.approx(
        {"x": (1.5 + 1.6) / 7, "y": (0.5 + 1.2) / 7, "z": 1.2 / 7, "unknown": 1 / 7}, abs=1e-6
    )
