"""The four subsets against the paper's own table, and by hand."""

import math

import numpy as np
import pytest

from llamalite.contamination.subsets import Subset, affected, most_affected, subsets

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


def test_the_length_with_the_strongest_weakest_evidence_is_told():
    found = {10: four_with(-3, 9, -3, 9), 20: four_with(-4, 5, -4, 5), 30: four_with(-1, 9, -9, 9)}
    assert most_affected(found) == 20
    assert most_affected({30: found[30]}) is None


def test_chance_alone_is_seldom_called_an_effect():
    generator = np.random.default_rng(0)
    told = [
        affected(subsets(generator.random(200), generator.integers(0, 2, 200))) for _ in range(200)
    ]
    assert sum(told) <= 10


def test_scores_must_fit_samples():
    with pytest.raises(ValueError, match="2 samples and 1 scores"):
        subsets([0, 1], [1])
