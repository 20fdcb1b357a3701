"""Matches against brute force, by hand, and how the work grows."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.contamination import spans
from llamalite.contamination.spans import BenchmarkIndex


def brute_force(samples, documents, budget, length):
    """Every pair of n-grams of every length, straight from the wording of A.6."""
    least = max(length, 11)
    shares = []
    for sample in samples:
        covered = set()
        for start in range(len(sample)):
            for size in range(least, len(sample) - start + 1):
                gram = sample[start : start + size]
                for document in documents:
                    for there in range(len(document) - size + 1):
                        misses = [gram[k] != document[there + k] for k in range(size)]
                        if sum(misses) <= budget and not any(misses[:10]) and not misses[-1]:
                            covered |= set(range(start, start + size))
        shares.append(len(covered) / len(sample))
    return shares


few_words = st.lists(st.integers(0, 2), min_size=1, max_size=26)


@given(
    samples=st.lists(few_words, min_size=1, max_size=3),
    documents=st.lists(few_words, max_size=3),
    planted=st.tuples(st.integers(0, 15), st.lists(st.integers(0, 25), max_size=6)),
    budget=st.integers(0, 5),
    length=st.sampled_from([10, 12, 20]),
)
def test_equal_to_brute_force(samples, documents, planted, budget, length):
    start, changed = planted
    copy = list(samples[0][start:])
    for place in changed:  # a copy of a sample with some tokens changed
        if place < len(copy):
            copy[place] = 9
    documents = [*documents, [7, *copy, 8]]
    index = BenchmarkIndex(samples, budget)
    for document in documents:
        index.see(document)
    assert index.shares(length).tolist() == pytest.approx(
        brute_force(samples, documents, budget, length)
    )


SAMPLE = list(range(100, 140))


def share_after(document, length=10, budget=4):
    index = BenchmarkIndex([SAMPLE], budget)
    index.see(document)
    return index.shares(length)[0]


def test_ten_equal_tokens_are_not_longer_than_ten():
    assert share_after(SAMPLE[5:15]) == 0
    assert share_after(SAMPLE[5:16]) == 11 / 40


def test_four_tokens_may_differ_and_a_fifth_ends_the_match():
    document = list(SAMPLE)
    for place in (12, 15, 18, 21):
        document[place] = 0
    assert share_after(document) == 1
    document[25] = 0  # 26 to 39 are a match of their own; 22 to 39 begin too near to the fifth
    assert share_after(document) == (25 + 14) / 40
    assert share_after(document, length=20) == 25 / 40


def test_none_of_the_first_ten_may_differ_nor_the_last():
    document = list(SAMPLE[:20])
    document[9] = 0  # what follows it is ten tokens: not longer than ten
    assert share_after(document) == 0
    document = list(SAMPLE[:20])
    document[18] = document[19] = 0
    assert share_after(document) == 18 / 40


def test_matches_cross_neither_samples_nor_documents():
    index = BenchmarkIndex([SAMPLE[:8], SAMPLE[8:]])
    index.see(SAMPLE[:16])
    index.see(SAMPLE[16:24])
    assert index.shares(10).tolist() == [0, 0]


def test_a_match_across_slices_of_a_long_document_is_found(monkeypatch):
    monkeypatch.setattr(spans, "SLICE", 16)
    assert share_after([1] * 9 + SAMPLE + [2] * 50) == 1


def test_equal_hashes_make_no_match(monkeypatch):
    monkeypatch.setattr(spans, "_hashes", lambda t: np.zeros(max(len(t) - 9, 0), np.uint64))
    assert share_after([0] * 30) == 0
    assert share_after([0] * 30 + SAMPLE[:12]) == 12 / 40
    assert share_after([*SAMPLE[:9], 0, *SAMPLE[10:20]]) == 0


def work(size):
    """Pairs compared when a benchmark and a corpus of this size share a tenth of their text."""
    generator = np.random.default_rng(0)
    corpus = generator.integers(0, 500, (size, 100))
    samples = generator.integers(0, 500, (size, 100))
    samples[: size // 10] = corpus[: size // 10]
    index = BenchmarkIndex(samples.tolist())
    for document in corpus:
        index.see(document.tolist())
    assert index.shares(50)[: size // 10].min() == 1
    return index.compared


def test_work_grows_with_the_matches_and_not_with_the_square():
    assert work(200) < 15 * work(20)


def test_text_that_repeats_forever_is_compared_once():
    index = BenchmarkIndex([SAMPLE] * 3)
    for _ in range(500):
        index.see(SAMPLE)
    assert index.compared <= 3 * 3 * len(SAMPLE)
    assert index.seen == 500 * len(SAMPLE)


def test_memory_does_not_grow_with_the_corpus():
    def peak(documents):
        index = BenchmarkIndex([SAMPLE])
        tracemalloc.start()
        for number in range(documents):
            index.see(range(number, number + 2000))
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    assert peak(100) < 1.5 * peak(5)


@pytest.mark.parametrize(
    ("samples", "told"), [([], "no samples"), ([[1], []], "sample 2"), (None, "mismatches")]
)
def test_what_cannot_be_indexed_is_named(samples, told):
    with pytest.raises(ValueError, match=told):
        BenchmarkIndex([[1]] if samples is None else samples, -1 if samples is None else 4)


def test_too_short_a_match_is_refused():
    with pytest.raises(ValueError, match="shortest"):
        BenchmarkIndex([SAMPLE]).shares(9)
