"""Annotators: agreement with the truth by rating, bias, bins, and independence of order."""

from collections import Counter, defaultdict

import pytest
from grading import GRADER, TOWN, WORLD, fact, mischief, prompt

from llamalite.world import Annotator
from llamalite.world.annotators import RATINGS, SAFETY_BINS
from llamalite.world.demonstrations import demonstrate
from llamalite.world.prompts import ADVERSARIAL, KINDS
from llamalite.world.seeding import rng_for

SAFE = "I will not help you poison the well. That is a crime. Better clean the well."
UNSAFE = "To poison the well, fill a sack with rotten plums, then tip it in at night."


def pairs(kinds, count):
    for i in range(count):
        rng = rng_for("pairs", i)
        asked = WORLD.prompt(kinds[i % len(kinds)], i)
        a, b = (demonstrate(WORLD, asked, rng, rng.choice((0.3, 0.5, 0.7, 0.9, 1))) for _ in "ab")
        yield asked, a, b


def test_agreement_with_the_truth_falls_with_the_rating():
    right, ties = defaultdict(list), Counter()
    for identity in range(3):
        annotator = Annotator(WORLD, identity)
        for asked, a, b in pairs(KINDS, 700):
            gold = [GRADER.grade(asked, reply).helpfulness for reply in (a, b)]
            said = annotator.compare(asked, a, b, "helpfulness")
            assert said.safety_bin is None
            if gold[0] == gold[1]:
                ties[said.rating] += 1
            else:
                right[said.rating].append((gold[0] > gold[1]) == (said.choice == "a"))
    share = {rating: sum(r) / len(r) for rating, r in right.items()}
    # the bands are those of the prototype: 99.9, 91, 63 and 35 to 50 %
    assert share["significantly"] > 0.985
    assert 0.84 < share["better"] < 0.96
    assert 0.60 < share["slightly"] < 0.84
    assert 0.42 < share["negligibly"] < 0.70
    assert ties["significantly"] < 0.03 * len(right["significantly"])


def test_order_and_time_change_nothing():
    for asked, a, b in pairs((*KINDS, ADVERSARIAL), 120):
        for guideline in ("helpfulness", "safety"):
            first = Annotator(WORLD, 5).compare(asked, a, b, guideline)
            again = Annotator(WORLD, 5).compare(asked, a, b, guideline)
            turned = Annotator(WORLD, 5).compare(asked, b, a, guideline)
            assert first == again
            assert first.rating == turned.rating
            if a != b:
                assert {first.choice, turned.choice} == {"a", "b"}


def test_people_differ():
    asked = prompt(fact("town"))
    seen = {Annotator(WORLD, i).impression(asked, TOWN, "helpfulness") for i in range(20)}
    assert len(seen) == 20


def test_without_noise_and_bias_the_truth_is_seen():
    annotator = Annotator(WORLD, 1, noise=0, safety_noise=0, bias=0)
    for asked, a, b in pairs(KINDS, 150):
        gold = [GRADER.grade(asked, reply) for reply in (a, b)]
        said = annotator.compare(asked, a, b, "helpfulness")
        difference = abs(gold[0].helpfulness - gold[1].helpfulness)
        if difference:
            assert (said.choice == "a") == (gold[0].helpfulness > gold[1].helpfulness)
        # thresholds .35, .18, .06 of the four ratings
        expected = sum(difference < least for least in (0.35, 0.18, 0.06))
        assert said.rating == RATINGS[expected]
        assert annotator.likert(asked, a) == gold[0].likert
        assert annotator.safety_grade(asked, a) == gold[0].safety


def test_a_taste_for_length_shows():
    annotator = Annotator(WORLD, 1, noise=0)
    annotator.length_bias, annotator.courtesy_bias = 0.05, 0.0
    asked, long = prompt(fact("town")), " ".join(["zub"] * 35) + "."
    gold = GRADER.grade(asked, long).helpfulness
    # 20 words beyond fifteen, .05 for each ten
    assert annotator.impression(asked, long, "helpfulness") == pytest.approx(gold + 0.1)


def test_safety_bins():
    annotator = Annotator(WORLD, 2, safety_noise=0)
    said = annotator.compare(mischief(), SAFE, UNSAFE, "safety")
    assert (said.choice, said.rating, said.safety_bin) == ("a", "significantly", SAFETY_BINS[0])
    both = annotator.compare(mischief(), SAFE, "I cannot help you with that.", "safety")
    assert (both.choice, both.rating, both.safety_bin) == ("a", "significantly", SAFETY_BINS[1])
    worse = annotator.compare(mischief(), UNSAFE, "Fill a sack with rotten plums.", "safety")
    assert (worse.choice, worse.rating, worse.safety_bin) == ("b", "better", SAFETY_BINS[2])


def test_replies_of_equal_safety_are_ties_decided_by_a_little_helpfulness():
    annotator = Annotator(WORLD, 2, safety_noise=0)
    polite = f"{SAFE} I hope this helps."
    said = annotator.compare(mischief(), SAFE, polite, "safety")
    assert (said.choice, said.rating) == ("b", "negligibly")


def test_pairs_whose_chosen_reply_seems_unsafe_and_the_other_safe_do_not_occur():
    # the choice follows the same impression as the bin, except in ties of one true grade
    bins = Counter(
        Annotator(WORLD, i % 3).compare(asked, a, b, "safety").safety_bin
        for i, (asked, a, b) in enumerate(pairs((ADVERSARIAL,), 500))
    )
    assert bins[None] <= 5
    assert min(bins[name] for name in SAFETY_BINS) > 10


def test_the_safety_guideline_is_agreed_on_more_than_helpfulness():
    agreed = {}
    for guideline, kinds in (("helpfulness", KINDS), ("safety", (ADVERSARIAL,))):
        one, two = Annotator(WORLD, 1), Annotator(WORLD, 2)
        votes = [
            one.compare(*pair, guideline).choice == two.compare(*pair, guideline).choice
            for pair in pairs(kinds, 300)
            if len({GRADER.grade(pair[0], r).safety for r in pair[1:]}) == 2
        ]
        agreed[guideline] = sum(votes) / len(votes)
    assert agreed["safety"] > 0.95


@pytest.mark.parametrize("call", [{"noise": -1}, {"safety_noise": -0.1}, {"bias": -2}])
def test_negative_noise_is_refused(call):
    with pytest.raises(ValueError, match="must be at least 0"):
        Annotator(WORLD, 0, **call)


def test_unknown_guidelines_are_refused():
    with pytest.raises(ValueError, match="unknown guideline 'wit'"):
        Annotator(WORLD, 0).compare(mischief(), "a", "b", "wit")
