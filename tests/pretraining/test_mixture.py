"""The mixture: exact shares, exact resume, honest permutations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.pretraining.mixture import Mixture, shuffled

LENGTHS = {"facts": 12, "stories": 55, "talk": 31}


def take(mixture: Mixture, documents: int) -> list[tuple[str, int]]:
    drawn = []
    for _ in range(documents):
        source, index = mixture.draw()
        mixture.count(source, LENGTHS[source] + index % 3)
        drawn.append((source, index))
    return drawn


def endless(**weights: float) -> Mixture:
    return Mixture(weights, dict.fromkeys(LENGTHS), seed=3)


def test_shares_of_tokens_hold_to_within_a_document_at_any_moment():
    mixture = endless(facts=3, stories=1, talk=1)
    for _ in range(400):
        take(mixture, 1)
        total = sum(mixture.tokens.values())
        for source, share in {"facts": 0.6, "stories": 0.2, "talk": 0.2}.items():
            assert abs(mixture.tokens[source] - share * total) <= 2 * max(LENGTHS.values())


def test_upsampling_three_times_triples_the_tokens():
    mixture = endless(facts=3, stories=1)
    take(mixture, 2000)
    assert mixture.tokens["facts"] / mixture.tokens["stories"] == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("cut", [1, 17, 250])
def test_a_resumed_mixture_draws_what_the_whole_one_draws(cut):
    sizes = {"facts": 7, "stories": None, "talk": 40}
    weights = {"facts": 2.0, "stories": 1.0, "talk": 0.5}
    whole = take(Mixture(weights, sizes, seed=1), 300)
    first = Mixture(weights, sizes, seed=1)
    take(first, cut)
    second = Mixture(weights, sizes, seed=1)
    second.load_state_dict(first.state_dict())
    assert take(second, 300 - cut) == whole[cut:]


def test_a_finite_source_is_read_whole_each_time_round_and_in_another_order():
    mixture = Mixture({"facts": 1.0}, {"facts": 10}, seed=0)
    indices = [index for _, index in take(mixture, 30)]
    rounds = [indices[:10], indices[10:20], indices[20:]]
    assert all(sorted(r) == list(range(10)) for r in rounds)
    assert len({tuple(r) for r in rounds}) == 3
    assert mixture.epochs()[0].epochs == 3.0


def test_seeds_read_different_stretches_of_an_endless_source():
    one = {i for _, i in take(Mixture({"talk": 1.0}, {"talk": None}, seed=1), 500)}
    two = {i for _, i in take(Mixture({"talk": 1.0}, {"talk": None}, seed=2), 500)}
    assert len(one) == len(two) == 500
    assert not one & two
    assert max(one | two) < 2**40


@given(size=st.integers(1, 300), key=st.integers(0, 2**64))
def test_shuffled_is_a_permutation(size, key):
    assert sorted(shuffled(i, size, key) for i in range(size)) == list(range(size))


def test_shuffled_is_uniform_enough():
    # where index 0 of 8 lands over many keys: chi-square with 7 degrees of freedom, 99.9 % at 24.3
    counts = np.bincount([shuffled(0, 8, key) for key in range(4000)], minlength=8)
    assert ((counts - 500) ** 2 / 500).sum() < 24.3
    # and neighbours do not stay neighbours
    order = [shuffled(i, 1000, 5) for i in range(1000)]
    assert abs(np.corrcoef(order, range(1000))[0, 1]) < 0.1
    assert sum(abs(a - b) == 1 for a, b in itertools.pairwise(order)) < 10


@pytest.mark.parametrize(
    ("weights", "sizes", "says"),
    [
        ({"gossip": 1.0}, {"facts": 1}, "gossip.*not there.*facts"),
        ({"facts": 1.0}, {"facts": 0}, "facts.*is empty"),
        ({"facts": 0.0}, {"facts": 1}, "nothing to read"),
        ({}, {"facts": 1}, "nothing to read"),
        ({"facts": -1.0, "talk": 2.0}, {"facts": 1, "talk": 1}, "at least 0"),
    ],
)
def test_impossible_mixtures_are_refused(weights, sizes, says):
    with pytest.raises(ValueError, match=says):
        Mixture(weights, sizes, seed=0)


def test_the_state_of_another_mixture_is_refused():
    with pytest.raises(ValueError, match="start the run afresh"):
        endless(facts=1).load_state_dict(endless(talk=1).state_dict())
