"""Advantages against their definition, worked tables and what must not matter."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llamalite.ppo.advantages import Moments, explained_variance, generalised_advantages, whiten

T = torch.tensor


def mask_of(lengths, width):
    return torch.arange(width)[None] < T(lengths)[:, None]


def by_definition(rewards, values, gamma, lambda_):
    """Eq. 16 of Schulman et al.: the sum over all later surprises, each written out."""
    R = len(rewards)
    expected = [*values, 0.0]
    surprises = [rewards[t] + gamma * expected[t + 1] - expected[t] for t in range(R)]
    return [sum((gamma * lambda_) ** (k - t) * surprises[k] for k in range(t, R)) for t in range(R)]


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 1000),
)
def test_gae_is_the_discounted_sum_of_surprises_of_each_reply_alone(lengths, gamma, lambda_, seed):
    dice = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    rewards, values = torch.randn(shape, generator=dice), torch.randn(shape, generator=dice)
    found = generalised_advantages(rewards, values, mask_of(lengths, max(lengths)), gamma, lambda_)
    for row, length in enumerate(lengths):
        wanted = by_definition(
            rewards[row, :length].tolist(), values[row, :length].tolist(), gamma, lambda_
        )
        assert found.advantages_BR[row, :length].tolist() == pytest.approx(wanted, abs=1e-5)
        assert found.advantages_BR[row, length:].abs().sum() == 0
        assert found.returns_BR[row, length:].abs().sum() == 0


def test_gae_of_a_reply_worked_by_hand():
    # rewards 0 0 1, values .5 .5 .5, gamma 1, lambda .5:
    # surprises 0, 0, .5; advantages .5^2 * .5, .5 * .5, .5
    found = generalised_advantages(
        T([[0.0, 0.0, 1.0]]), T([[0.5, 0.5, 0.5]]), T([[True] * 3]), 1.0, 0.5
    )
    assert found.advantages_BR.tolist() == [[0.125, 0.25, 0.5]]
    assert found.returns_BR.tolist() == [[0.625, 0.75, 1.0]]


def test_lambda_1_gives_rewards_to_go_and_lambda_0_one_step():
    rewards, values = T([[1.0, 2.0, 4.0]]), T([[10.0, 20.0, 30.0]])
    mask = T([[True] * 3])
    monte_carlo = generalised_advantages(rewards, values, mask, 1.0, 1.0)
    assert monte_carlo.returns_BR.tolist() == [[7.0, 6.0, 4.0]]
    one_step = generalised_advantages(rewards, values, mask, 1.0, 0.0)
    assert one_step.returns_BR.tolist() == [[21.0, 32.0, 4.0]]


def test_what_lies_under_the_mask_does_not_matter():
    mask = mask_of([2, 4], 4)
    rewards, values = torch.randn(2, 4), torch.randn(2, 4)
    spoiled = [torch.where(mask, x, math.nan) for x in (rewards, values)]
    plain = generalised_advantages(rewards, values, mask, 0.9, 0.9)
    for a, b in zip(plain, generalised_advantages(*spoiled, mask, 0.9, 0.9), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(whiten(rewards, mask), whiten(spoiled[0], mask))


def test_whitening_worked_by_hand():
    # 1, 3 have mean 2 and deviation 1; the third number is masked
    found = whiten(T([[1.0, 3.0, 99.0]]), T([[True, True, False]]))
    assert found.tolist() == [[pytest.approx(-1), pytest.approx(1), 0]]


def test_whitening_leaves_mean_0_and_variance_1():
    values, mask = 5 + 3 * torch.randn(16, 8), mask_of([8, 1, 3, 5] * 4, 8)
    kept = whiten(values, mask)[mask]
    assert kept.mean().item() == pytest.approx(0, abs=1e-6)
    assert kept.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_whitening_without_spread_or_tokens_is_finite():
    assert whiten(T([[2.0, 2.0]]), T([[True, True]])).tolist() == [[0, 0]]
    assert whiten(T([[2.0, 2.0]]), T([[False, False]])).tolist() == [[0, 0]]


def test_explained_variance():
    returns, mask = T([[1.0, 2.0, 3.0, 50.0]]), T([[True, True, True, False]])
    assert explained_variance(returns, returns, mask) == 1
    assert explained_variance(torch.full((1, 4), 7.0), returns, mask) == 0  # any constant
    # errors -1 0 1 have the variance of the returns themselves, doubled slope: 1 - 1
    assert explained_variance(2 * returns, returns, mask) == pytest.approx(0)
    assert explained_variance(-returns, returns, mask) == pytest.approx(-3)
    assert explained_variance(returns, torch.ones(1, 4), mask) == 0


@given(st.lists(st.lists(st.floats(-9, 9), min_size=1, max_size=5), min_size=1, max_size=5))
def test_moments_of_parts_are_those_of_the_whole(parts):
    moments = Moments()
    for part in parts:
        moments = moments.with_values(T(part, dtype=torch.float64))
    whole = T([x for part in parts for x in part], dtype=torch.float64)
    assert moments.count == len(whole)
    assert moments.mean == pytest.approx(whole.mean().item(), abs=1e-9)
    assert moments.squares / len(whole) == pytest.approx(whole.var(correction=0).item(), abs=1e-9)


def test_whitening_by_moments_worked_by_hand():
    # 2 4 4 4 5 5 7 9: mean 5, deviation 2 (the textbook example)
    moments = Moments().with_values(T([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]))
    assert moments.whitened(T([9.0, 5.0, -15.0]), 5.0).tolist() == pytest.approx([2, 0, -5])
    assert moments.whitened(T([-15.0]), 0.0).tolist() == pytest.approx([-10])
