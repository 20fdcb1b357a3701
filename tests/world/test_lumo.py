"""Lumo, the second language: there and back, by hand, and what is not of its grammar."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.world import lumo

NAMES = st.sampled_from(["Vegun", "Ladeville", "Movik"])
PHRASES = st.one_of(
    NAMES,
    st.builds(
        lambda a, n: f"the {a + ' ' if a else ''}{n}",
        st.sampled_from(["", *lumo.ADJECTIVES]),
        st.sampled_from([n for n in lumo.NOUNS]),
    ),
    st.builds(
        lambda d, a, n: f"{d} {a + ' ' if a else ''}{'children' if n == 'child' else n + 's'}",
        st.sampled_from(lumo.NUMBERS),
        st.sampled_from(["", *lumo.ADJECTIVES]),
        st.sampled_from([n for n in lumo.NOUNS]),
    ),
)


@given(
    subject=PHRASES,
    verb=st.sampled_from([*lumo.VERBS]),
    thing=PHRASES,
    place=st.one_of(st.just(""), st.tuples(st.sampled_from(["in", "by", "with"]), PHRASES)),
)
def test_lumo_goes_there_and_back(subject: str, verb: str, thing: str, place) -> None:
    plural = subject.split()[0] in lumo.NUMBERS
    english = f"{subject} {verb if plural else verb + 's'} {thing}"
    english += f" {' '.join(place)}." if place else "."
    there = lumo.to_lumo(english)
    assert lumo.to_english(there) == english
    assert not {w for w in there.rstrip(".").split() if w in lumo.DICTIONARY}


def test_lumo_translated_by_hand() -> None:
    assert lumo.to_lumo("the red goat sees two cats in Ladeville.") == (
        "lo boku rane vidar dus mitus en Ladeville."
    )
    assert lumo.to_lumo("three children love the old queen.") == "tris filus amar lo reginu vete."
    assert lumo.to_english("Vegun perdar kwar kapus kon lo portu sile.") == (
        "Vegun loses four hats with the quiet door."
    )


def test_the_dictionary_is_one_to_one_and_follows_its_rules() -> None:
    assert len(set(lumo.DICTIONARY.values())) == len(lumo.DICTIONARY) == 79
    assert all(word.endswith("u") for word in lumo.NOUNS.values())
    assert all(word.endswith("e") for word in lumo.ADJECTIVES.values())
    assert all(word.endswith("ar") for word in lumo.VERBS.values())
    for english, word in lumo.DICTIONARY.items():
        assert lumo.to_lumo(english) == word
        assert lumo.to_english(word) == english


@pytest.mark.parametrize(
    "text",
    ["", "the goat", "the goat sees", "the goat see the cat.", "two goats sees the cat.",
     "the unicorn sees the cat.", "the goat sees the cat on the road.", "two goat see the cat.",
     "the goat sees the cat in the house now."],
)  # fmt: skip
def test_english_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        lumo.to_lumo(text)


@given(st.text())
def test_any_text_is_translated_or_refused_with_a_value_error(text: str) -> None:
    for translate in (lumo.to_lumo, lumo.to_english):
        with contextlib.suppress(ValueError):
            assert isinstance(translate(text), str)
