"""The n-gram baseline: against a hand-worked example, NLTK's own counting, and sums to one."""

from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.lm import AbsoluteDiscountingInterpolated

from llamalite.prose.ngram import NGrams

texts = st.lists(st.lists(st.integers(0, 3), max_size=12), min_size=1, max_size=6)


def test_a_hand_worked_bigram():
    # "0 0 1" between ends E; each symbol counted once more: 0 three, 1 two, E two of seven
    grams = NGrams(symbols=2, order=2).fit([[0, 0, 1]])
    after_end = 0.25 + 0.75 * 3 / 7
    again = (1 - 0.75) / 2 + 0.75 * 2 / 2 * 3 / 7
    one = (1 - 0.75) / 2 + 0.75 * 2 / 2 * 2 / 7
    end = 0.25 + 0.75 * 2 / 7
    assert grams.bits([0, 0, 1]) == pytest.approx(-log2(after_end * again * one * end))


@settings(max_examples=20, deadline=None)
@given(texts, st.lists(st.integers(0, 3), max_size=8))
def test_counting_in_numbers_is_counting_one_by_one(learned, measured):
    order = 4
    slow = AbsoluteDiscountingInterpolated(order, 0.75)
    grams = [[(symbol,) for symbol in "01234"]]
    for text in learned:
        padded = ["4"] * (order - 1) + [str(symbol) for symbol in text] + ["4"]
        for place in range(order - 1, len(padded)):
            grams.append([tuple(padded[place + 1 - n : place + 1]) for n in range(1, order + 1)])
    slow.fit(grams, vocabulary_text="01234")
    padded = ["4"] * (order - 1) + [str(symbol) for symbol in measured] + ["4"]
    expected = -sum(
        log2(slow.unmasked_score(padded[place], tuple(padded[place + 1 - order : place])))
        for place in range(order - 1, len(padded))
    )
    assert NGrams(4, order).fit(learned).bits(measured) == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(texts, st.lists(st.integers(0, 4), min_size=2, max_size=2), st.sampled_from([1, 2]))
def test_what_may_follow_sums_to_one(learned, before, at_least):
    grams = NGrams(4, 3, at_least).fit(learned)
    scores = [grams.model.unmasked_score(symbol, tuple(before)) for symbol in range(5)]
    assert min(scores) > 0
    assert sum(scores) == pytest.approx(1)


def test_an_alphabet_too_large_for_the_order_and_no_text_are_refused():
    assert NGrams(4096, 5).base == 4097
    with pytest.raises(ValueError, match="5-grams of 32000 symbols are more than 64 bits"):
        NGrams(32_000, 5)
    with pytest.raises(ValueError, match="none was given"):
        NGrams(4).fit([])
