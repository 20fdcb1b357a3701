"""The four subsets against the paper's own table, and by hand."""

import math

import numpy as np
import pytest

from llamalite.contamination.subsets import (
    Subset,
    affected,
    evidence,
    longest_affected,
    otherwise_off,
    subsets,
)

# Llama 2, table 51: samples and mean score of the four subsets, and the Z printed
TABLE_51 = {
    "HellaSwag, 70B": (
        (7391, 2651, 9194, 848),
        (80.0, 89.5, 81.6, 92.2),
        (-5.73, 9.56, -2.27, 7.42),
    ),
    "MMLU-Humanities, 70B": (
        (3996, 709, 4185, 520),
        (62.2, 82.7, 62.7, 85.8),
        (-4.08, 9.71, -3.50, 9.80),
    ),
    "MMLU-Overall, 70B": (
        (11862, 2180, 12506, 1536),
        (68.0, 73.5, 67.7, 78.2),
        (-2.00, 4.64, -2.75, 7.87),
    ),
}


def samples_of(rows):
    """Shares and right-or-wrong scores whose subsets have the table's sizes and means."""
    (clean, not_clean, _, dirty), means, _ = rows
    middle = not_clean - dirty
    right = [round(clean * means[0] / 100), 0, round(dirty * means[3] / 100)]
    right[1] = round(not_clean * means[1] / 100) - right[2]
    shares, scores = [], []
    for share, n, good in zip((0.0, 0.5, 1.0), (clean, middle, dirty), right, strict=True):
        shares += [share] * n
        scores += [1.0] * good + [0.0] * (n - good)
    return shares, scores


@pytest.mark.parametrize("name", TABLE_51)
def test_table_51(name):
    four = subsets(*samples_of(TABLE_51[name]))
    for subset, (n, mean, z) in zip(four, zip(*TABLE_51[name], strict=True), strict=True):
        assert subset.samples == n
        assert 100 * subset.score == pytest.approx(mean, abs=0.06)
        assert subset.z == pytest.approx(z, abs=0.3)  # its means are rounded to a tenth of a point


def test_bounds_are_at_a_fifth_and_four_fifths():
    four = subsets([0, 0.1999, 0.2, 0.7999, 0.8, 1], [0, 0, 1, 1, 1, 1])
    assert [each.samples for each in four] == [2, 4, 4, 2]
    assert four[0].contamination == pytest.approx(0.09995)


def test_z_by_hand():
    clean = subsets([0, 0, 1, 1], [0, 0, 0, 4])[0]  # mean 1, deviation sqrt 3, of two: sqrt 1.5
    assert clean.z == pytest.approx(-1 / math.sqrt(1.5))


def test_an_empty_subset_gives_no_evidence():
    four = subsets([0, 0], [0, 1])
    assert math.isnan(four[3].z)
    assert math.isnan(four[3].score)
    assert not affected(four)


def four_with(*zs):
    return tuple(Subset("", 1, 0.0, 0.0, z) for z in zs)


def test_all_four_must_be_off():
    assert affected(four_with(-2.1, 2.1, -2.1, 2.1))
    assert not affected(four_with(-2.1, 2.1, -1.9, 9.0))


# Llama 2, table 51: the printed Z whose two decimals tell on which side of 2 they lie
# (MMLU-Overall's clean Z is printed as -2.00)
@pytest.mark.parametrize(
    ("zs", "weakest"),
    [
        (TABLE_51["HellaSwag, 70B"][2], 2.27),
        ((-5.46, 9.17, -2.06, 6.84), 2.06),  # HellaSwag, 7B
        (TABLE_51["MMLU-Humanities, 70B"][2], 3.50),
        ((-2.75, 6.50, -2.25, 6.49), 2.25),  # MMLU-Humanities, 7B
    ],
)
def test_what_table_51_calls_affected_is(zs, weakest):
    assert evidence(four_with(*zs)) == weakest
    assert affected(four_with(*zs))
    assert otherwise_off(four_with(*zs)) is None


def scored(clean, middle, dirty, of=100):
    """Subsets of as many clean, middle and dirty samples, of which these shares are right."""
    shares, scores = [], []
    for share, right in ((0.0, clean), (0.5, middle), (1.0, dirty)):
        if right is not None:
            shares += [share] * of
            scores += [1.0] * round(of * right) + [0.0] * round(of * (1 - right))
    return subsets(shares, scores)


@pytest.mark.parametrize(
    ("right", "told"),
    [
        ((0.2, 0.5, 0.9), None),
        ((0.2, None, 0.9), None),
        ((0.95, 0.05, 0.95), "clean and dirty samples score above the mean"),
        ((0.05, 0.95, 0.05), "clean and dirty samples score below the mean"),
        ((0.8, None, 0.4), "clean samples score above the mean and dirty ones below"),
        ((0.9, 0.6, 0.3), "clean samples score above the mean and dirty ones below"),
    ],
)
def test_only_scores_that_contamination_raises_are_affected(right, told):
    """All four means are off in each; A.6 expects clean samples to be worse, dirty ones better."""
    four = scored(*right)
    assert all(abs(subset.z) > 2 for subset in four)
    assert affected(four) == (told is None)
    assert (otherwise_off(four) or "").startswith(told or "")
    assert (otherwise_off(four) is None) == (told is None)


def test_one_side_alone_is_insufficient():
    """Dirty samples are better, clean ones no worse than chance has it; no pattern to tell."""
    four = scored(0.5, 0.3, 0.9)
    assert four[3].z > 2
    assert not affected(four)
    assert otherwise_off(four) is None


def test_of_the_affected_lengths_the_longest_is_told():
    """A.6: the largest L at which the dataset "appeared to benefit", not that of the largest Z."""
    found = {
        10: four_with(-9, 9, -9, 9),
        40: four_with(-3, 3, -3, 3),
        50: four_with(9, -9, 9, -9),
    }
    assert longest_affected(found) == 40
    assert longest_affected({10: four_with(-1, 9, -9, 9), 50: found[50]}) is None


def test_chance_alone_is_seldom_called_an_effect():
    generator = np.random.default_rng(0)
    told = [
        affected(subsets(generator.random(200), generator.integers(0, 2, 200))) for _ in range(200)
    ]
    assert sum(told) <= 10


def test_scores_must_fit_samples():
    with pytest.raises(ValueError, match="2 samples and 1 scores"):
        subsets([0, 1], [1])
