"""The loss by hand, and that nothing under the mask reaches it."""

import math

import pytest
import torch

from llamalite.model.loss import next_token_loss


def random_batch(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 7, 11, generator=generator, requires_grad=True)
    targets = torch.randint(0, 11, (3, 7), generator=generator)
    mask = torch.rand(3, 7, generator=generator) < 0.5
    return logits, targets, mask


def test_hand_worked_batch():
    """Odds 3:1 for the right token, then 1:3; the third token does not count."""
    log3 = math.log(3)
    logits = torch.tensor([[[log3, 0.0], [log3, 0.0], [50.0, -50.0]]])
    targets = torch.tensor([[0, 1, 1]])
    mask = torch.tensor([[True, True, False]])
    # -log(3/4) and -log(1/4), averaged over two
    expected = (math.log(4 / 3) + math.log(4)) / 2
    assert float(next_token_loss(logits, targets, mask)) == pytest.approx(expected)


def test_what_is_masked_changes_neither_loss_nor_gradient():
    logits, targets, mask = random_batch()
    loss = next_token_loss(logits, targets, mask)
    (gradient,) = torch.autograd.grad(loss, logits)
    other = torch.where(mask[..., None], logits, torch.tensor(1e4)).detach().requires_grad_()
    wild = torch.where(mask, targets, torch.tensor(-1))  # not even a token
    other_loss = next_token_loss(other, wild, mask)
    (other_gradient,) = torch.autograd.grad(other_loss, other)
    assert loss.item() == other_loss.item()
    assert torch.equal(gradient, other_gradient)
    assert gradient[~mask].eq(0).all()
    assert gradient[mask].ne(0).all()


def test_masked_infinities_stay_away():
    logits, targets, mask = random_batch()
    logits = torch.where(mask[..., None], logits, -torch.inf).detach().requires_grad_()
    next_token_loss(logits, targets, mask).backward()
    assert logits.grad[mask].isfinite().all()


def test_nothing_to_learn_gives_zero():
    logits, targets, mask = random_batch()
    loss = next_token_loss(logits, targets, torch.zeros_like(mask))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.eq(0).all()


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.zeros(4, 4096, 2, dtype=torch.float16)
    targets = torch.zeros(4, 4096, dtype=torch.long)
    loss = next_token_loss(logits, targets, torch.ones(4, 4096, dtype=torch.bool))
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(math.log(2), abs=1e-6)
