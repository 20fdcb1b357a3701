"""PPO's losses against hand-worked tables, published values and identities of autograd."""

import inspect
import math

import pytest
import torch

from llamalite.ppo.advantages import (
    Moments,
    explained_variance,
    generalised_advantages,
    whiten,
)
from llamalite.ppo.loss import (
    adapted_beta,
    clipped_policy_loss,
    clipped_value_loss,
    entropy,
    kl_k1,
    kl_k3,
    masked_mean,
    penalise_missing_eos,
    token_rewards,
)

T = torch.tensor
ONE = T([[True]])


# ratio, advantage -> loss, gradient with respect to the ratio (figure 1 of Schulman et al., 2017)
@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clips"),
    [
        (1.0, 2.0, -2.0, 0),
        (1.1, 2.0, -2.2, 0),
        (1.5, 2.0, -2.4, 1),  # gains beyond 1.2 do not count
        (0.5, 2.0, -1.0, 0),  # a loss counts in full
        (0.5, -2.0, 1.6, 1),  # less of a bad token counts only down to .8
        (1.5, -2.0, 3.0, 0),
        (0.9, -2.0, 1.8, 0),
    ],
)
def test_policy_loss_by_the_table(ratio, advantage, loss, clips):
    logprob = T([[math.log(ratio) - 3.0]], requires_grad=True)
    found = clipped_policy_loss(logprob, T([[-3.0]]), T([[advantage]]), ONE, 0.2)
    assert found.loss.item() == pytest.approx(loss, rel=1e-5)
    assert found.clip_fraction.item() == clips
    found.loss.backward()
    # d(-r A)/d log r = -r A where the clip does not bind, else flat
    assert logprob.grad.item() == pytest.approx(0 if clips else -ratio * advantage, rel=1e-5)


def test_at_ratio_1_the_gradient_is_the_policy_gradient():
    """REINFORCE: of a softmax over 5 actions, worked through probabilities and not through loss."""
    logits = torch.randn(3, 2, 5, requires_grad=True)
    actions, advantages = torch.randint(0, 5, (3, 2)), torch.randn(3, 2)
    logprobs = logits.log_softmax(-1).gather(-1, actions[..., None])[..., 0]
    mask = T([[True, True], [True, False], [True, True]])
    clipped_policy_loss(logprobs, logprobs.detach(), advantages, mask, 0.2).loss.backward()
    onehot = torch.nn.functional.one_hot(actions, 5)
    wanted = -(onehot - logits.detach().softmax(-1)) * (advantages * mask)[..., None] / 5
    torch.testing.assert_close(logits.grad, wanted)


def test_value_loss_by_hand():
    # plain: (2 - 0)^2; held within .2 of 1: (1.2 - 0)^2, smaller: half of 4
    found = clipped_value_loss(T([[2.0]]), T([[1.0]]), T([[0.0]]), ONE, 0.2)
    assert found.loss.item() == pytest.approx(2.0)
    assert found.clip_fraction.item() == 0
    # towards the return in one leap: plain (2 - 2)^2 = 0, held (1.2 - 2)^2 = .64 counts, flat
    value = T([[2.0]], requires_grad=True)
    found = clipped_value_loss(value, T([[1.0]]), T([[2.0]]), ONE, 0.2)
    assert found.loss.item() == pytest.approx(0.32)
    assert found.clip_fraction.item() == 1
    found.loss.backward()
    assert value.grad.item() == 0
    assert clipped_value_loss(T([[2.0]]), T([[1.0]]), T([[2.0]]), ONE, 0.0).loss == 0


def test_losses_agree_with_finite_differences():
    torch.manual_seed(1)
    make = lambda: torch.randn(2, 3, dtype=torch.float64)  # noqa: E731
    mask = T([[True, True, True], [True, False, False]])
    new, value = make().mul(0.3).requires_grad_(), make().requires_grad_()
    old, advantages, returns = make().mul(0.3), make(), make()
    torch.autograd.gradcheck(
        lambda x: clipped_policy_loss(x, old, advantages, mask, 0.2).loss, (new,)
    )
    torch.autograd.gradcheck(lambda x: clipped_value_loss(x, old, returns, mask, 0.2).loss, value)


def test_masked_tokens_touch_neither_loss_nor_gradient():
    mask = T([[True, True, False], [True, False, False]])
    results = []
    for junk in (0.0, 1e30, math.inf):
        x = [torch.where(mask, torch.full((2, 3), v), junk) for v in (-1.0, -1.2, 0.5)]
        x[0].requires_grad_()
        loss = clipped_policy_loss(*x, mask, 0.2).loss + clipped_value_loss(*x, mask, 0.2).loss
        loss.backward()
        results.append((loss.item(), x[0].grad.tolist()))
        assert x[0].grad[~mask].abs().sum() == 0
    assert results[0] == results[1] == results[2]
    assert math.isfinite(results[0][0])


def test_a_batch_without_a_token_stays_finite():
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    x = torch.randn(2, 2, requires_grad=True)
    loss = clipped_policy_loss(x, x.detach(), x.detach(), nothing, 0.2).loss
    (loss + clipped_value_loss(x, x.detach(), x.detach(), nothing, 0.2).loss).backward()
    assert loss == 0
    assert x.grad.abs().sum() == 0
    assert masked_mean(x, nothing) == 0


def test_entropy_of_known_distributions():
    uniform, coin = torch.zeros(8), T([0.0, 0.0] + [-math.inf] * 6)
    sure = T([0.0] + [-200.0] * 7)
    found = entropy(torch.stack((uniform, coin.clamp(min=-1e4), sure))[None])
    assert found[0].tolist() == pytest.approx([math.log(8), math.log(2), 0.0], abs=1e-6)


def test_kl_estimators_reproduce_schulmans_experiment():
    """ "Approximating KL divergence": q = N(0, 1), p = N(.1, 1); true KL .005.

    The blog's table: k1 has no bias and deviation 20 times the KL, k3 none and 1.42.
    """
    x = torch.randn(1, 4_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    q, p = (torch.distributions.Normal(mean, 1.0).log_prob(x) for mean in (0.0, 0.1))
    for estimator, deviation in ((kl_k1, 20), (kl_k3, 1.42)):
        sample = estimator(q, p)
        assert sample.mean().item() == pytest.approx(0.005, abs=3 * 0.1 / 2000)
        assert (sample.std() / 0.005).item() == pytest.approx(deviation, rel=0.01)
    assert kl_k3(q, p).min() >= 0
    assert kl_k3(q[:, :3], q[:, :3]).tolist() == [[0, 0, 0]]


def test_rewards_of_a_reply_add_up_to_equation_4():
    kl = T([[0.5, -0.25, 7.0], [1.0, 2.0, 3.0]])
    mask = T([[True, True, False], [True, True, True]])
    rewards = token_rewards(T([2.0, -1.0]), kl, mask, 0.1)
    assert rewards.tolist() == [
        pytest.approx([-0.05, 2.025, 0.0]),
        pytest.approx([-0.1, -0.2, -1.3]),
    ]
    # R = R~c - beta KL, with the KL of the whole reply
    assert rewards.sum(1).tolist() == pytest.approx([2.0 - 0.1 * 0.25, -1.0 - 0.1 * 6])


def test_a_reply_without_end_pays():
    scores = penalise_missing_eos(T([1.0, 1.0, -4.0]), T([True, False, False]), 1.5)
    assert scores.tolist() == [1.0, -0.5, -5.5]


def test_beta_follows_the_kl():
    # Ziegler et al.: 10,000 replies of horizon, batches of 1,000: at most 2 % a step
    assert adapted_beta(0.1, 60.0, 6.0, 10_000, 1_000) == pytest.approx(0.102)
    assert adapted_beta(0.1, 0.0, 6.0, 10_000, 1_000) == pytest.approx(0.098)
    assert adapted_beta(0.1, 6.6, 6.0, 10_000, 1_000) == pytest.approx(0.101)
    assert adapted_beta(0.1, 6.0, 6.0, 10_000, 1_000) == 0.1


# --- what torch would misread --------------------------------------------------------------------
ROW = T([[1.0, 2.0]])
MARKS = T([[True, True]])


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (masked_mean, (ROW,)),
        (lambda *a: inspect.unwrap(clipped_policy_loss)(*a, 0.2), (ROW, ROW, ROW)),
        (lambda *a: inspect.unwrap(clipped_value_loss)(*a, 0.2), (ROW, ROW, ROW)),
        (lambda *a: inspect.unwrap(token_rewards)(T([1.0]), *a, 0.1), (ROW,)),
        (lambda *a: inspect.unwrap(generalised_advantages)(*a, 1.0, 0.9), (ROW, ROW)),
        (whiten, (ROW,)),
        (explained_variance, (ROW, ROW)),
    ],
)
def test_a_mask_of_numbers_of_another_shape_or_elsewhere_is_named(function, given):
    function = inspect.unwrap(function)
    function(*given, MARKS)
    with pytest.raises(ValueError, match=r"mask_BR has dtype torch.int64; give booleans"):
        function(*given, MARKS.long())
    with pytest.raises(ValueError, match=r"mask_BR have shapes .*one mark, per token"):
        function(*given, T([[True]]))
    with pytest.raises(ValueError, match=r"mask_BR are on cpu.* meta; move them to one"):
        function(*given, MARKS.to("meta"))


def test_replies_without_a_token_and_scores_of_other_replies_are_named():
    none, no_marks = torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)
    with pytest.raises(ValueError, match="values_BR and mask_BR have shapes"):
        inspect.unwrap(generalised_advantages)(none, none, no_marks, 1.0, 0.9)
    with pytest.raises(ValueError, match="kl_BR and mask_BR have shapes"):
        inspect.unwrap(token_rewards)(T([1.0, 2.0]), none, no_marks, 0.1)
    with pytest.raises(ValueError, match="give one score per reply"):
        inspect.unwrap(token_rewards)(T([1.0, 2.0]), ROW, MARKS, 0.1)
    with pytest.raises(ValueError, match=r"finished_B has dtype torch.int64"):
        inspect.unwrap(penalise_missing_eos)(T([1.0]), T([1]), 1.0)
    assert Moments().with_values(torch.zeros(0)) == Moments()
