"""Batched log-likelihoods against one row, one token at a time; sums and their intervals."""

import math

import numpy as np
import pytest
import torch

from llamalite.evaluation.scoring import (
    estimate,
    ratio_estimate,
    share,
    token_logprobs,
    windows,
)


def one_by_one(model, row: list[int], start: int) -> list[float]:
    """Each token's log-probability from a forward pass of its own over what stands before it."""
    values = []
    for place in range(start, len(row)):
        logits = model(torch.tensor([row[:place]]))[0, -1]
        values.append(float(torch.log_softmax(logits.double(), -1)[row[place]]))
    return values


@torch.no_grad()
def test_batches_of_unequal_rows_equal_one_token_at_a_time(memory):
    rows = [[1, 5, 9, 30, 7], [1, 40], [1, 2, 3, 4, 5, 6, 7, 8], [1, 17, 200, 3]]
    starts = [2, 1, 5, 3]
    found = token_logprobs(memory.model, rows, starts, batch_tokens=16)
    for values, row, start in zip(found, rows, starts, strict=True):
        assert values.tolist() == pytest.approx(one_by_one(memory.model, row, start), abs=1e-4)


def test_nothing_to_score_gives_nothing(memory):
    assert [len(v) for v in token_logprobs(memory.model, [[1], [1, 2]], [1, 2])] == [0, 0]


def test_a_row_too_long_says_both_numbers(memory):
    with pytest.raises(ValueError, match=r"98 tokens.*context of 96"):
        token_logprobs(memory.model, [[1] * 98])


@pytest.mark.parametrize("start", [0, 4])
def test_a_start_outside_the_row_is_refused(memory, start):
    with pytest.raises(ValueError, match=f"start {start}"):
        token_logprobs(memory.model, [[1, 2, 3]], [start])


@pytest.mark.parametrize("length", [1, 2, 4, 5, 8, 9, 23])
def test_windows_predict_every_token_after_the_first_exactly_once(length):
    ids = list(range(length))
    rows = windows(ids, 4)
    assert [token for row in rows for token in row[1:]] == ids[1:]
    assert max(map(len, rows)) <= 5


def test_estimates_of_constant_values_have_no_width():
    assert estimate([0.25] * 9) == {"mean": 0.25, "low": 0.25, "high": 0.25, "n": 9}


def test_nothing_measured_is_no_number():
    assert estimate([]) == {"mean": None, "low": None, "high": None, "n": 0}


def test_a_ratio_weighs_documents_by_length():
    # 10 nats over 2 tokens and 2 nats over 4: 12 / 6, not the mean of 5 and 0.5
    assert ratio_estimate([10, 2], [2, 4])["mean"] == 2


def test_the_ratios_interval_covers_the_truth_as_often_as_it_says():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        lengths = rng.integers(5, 50, 60)
        nats = rng.gamma(lengths, 1.5)  # 1.5 nats a token in the mean
        found = ratio_estimate(nats, lengths, resamples=300)
        covered += found["low"] <= 1.5 <= found["high"]
    # at 95 %: 380 of 400, sd 4.4; a percentile interval over 60 items covers a little less, 93 %
    assert 356 <= covered <= 396
    assert math.isclose(found["mean"], nats.sum() / lengths.sum(), abs_tol=1e-6)


def test_a_share_has_wilsons_interval():
    # scipy.stats.binomtest(57, 210).proportion_ci(method="wilson")
    found = share([1] * 57 + [False] * 153)
    assert found["mean"] == pytest.approx(0.2714286)
    assert found["low"] == pytest.approx(0.2157907, abs=1e-6)
    assert found["high"] == pytest.approx(0.3352786, abs=1e-6)
    assert found["n"] == 210
    # none of 3 is not none at all: z^2 / (n + z^2) = 0.561
    assert share([0, 0, 0])["low"] == 0
    assert share([0, 0, 0])["high"] == pytest.approx(0.561, abs=1e-3)
    assert share([]) == {"mean": None, "low": None, "high": None, "n": 0}
