"""The losses against numbers worked by hand, and the rule that joins two scores."""

import inspect
import math

import pytest
import torch

from llamalite.preferences.protocol import RATINGS, SAFETY_BINS
from llamalite.reward import combine, loss
from llamalite.reward.combine import combined_logits, logit, piecewise, piecewise_rule
from llamalite.reward.data import UNSAFE
from llamalite.reward.loss import margin_ranking_loss, margins, safety_auxiliary_loss
from llamalite.scoring import Scoring, combined


def t(*values):
    return torch.tensor(values, dtype=torch.float32)


def flags(*values):
    return torch.tensor(values, dtype=torch.bool)


# --- eq. 1 and 2 --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("chosen", "rejected", "margin", "worked"),
    [
        (2.0, 1.0, 1.0, math.log(2)),  # sigmoid(0) = 1/2
        (0.0, 0.0, 0.0, math.log(2)),
        (math.log(3), 0.0, 0.0, math.log(4 / 3)),  # sigmoid(log 3) = 3/4
        (0.0, math.log(3), 0.0, math.log(4)),
        (5.0, 5.0, math.log(9), math.log(10)),  # sigmoid(-log 9) = 1/10
        (1000.0, 0.0, 3.0, 0.0),
        (0.0, 1000.0, 3.0, 1003.0),
    ],
)
def test_ranking_loss_matches_pairs_worked_by_hand(chosen, rejected, margin, worked):
    found = margin_ranking_loss(t(chosen), t(rejected), t(margin))
    assert found.item() == pytest.approx(worked, abs=1e-6)


def test_ranking_loss_is_the_mean_over_pairs():
    found = margin_ranking_loss(t(2, math.log(3)), t(1, 0), t(1, 0))
    assert found.item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_its_gradient_is_how_wrong_the_pair_is():
    chosen = t(math.log(3), 0).requires_grad_()
    rejected = t(0, 0).requires_grad_()
    margin_ranking_loss(chosen, rejected, t(0, math.log(3))).backward()
    # 1 - sigmoid(log 3) = 1/4 and 1 - sigmoid(-log 3) = 3/4, over two pairs
    assert chosen.grad.tolist() == pytest.approx([-1 / 8, -3 / 8])
    assert rejected.grad.tolist() == pytest.approx([1 / 8, 3 / 8])


@pytest.mark.parametrize("wrong", [t(1, 2, 3), torch.zeros(2, 1), torch.zeros(())])
def test_a_margin_of_another_shape_never_broadcasts(wrong):
    unchecked = inspect.unwrap(margin_ranking_loss)  # as it runs outside the tests
    with pytest.raises(ValueError, match="give one number of each per pair"):
        unchecked(t(1, 2), t(0, 0), wrong)
    with pytest.raises(ValueError, match="give one number of each per pair"):
        unchecked(t(1, 2), wrong, t(0, 0))


def test_margins_are_table_27():
    assert margins(RATINGS, "small").tolist() == pytest.approx([1, 0.66667, 0.33333, 0], abs=1e-4)
    assert margins(RATINGS, "large").tolist() == [3, 2, 1, 0]
    assert margins(["better", "better"], "none").tolist() == [0, 0]
    with pytest.raises(ValueError, match="unknown rating 'much'"):
        margins(["better", "much"], "small")
    with pytest.raises(ValueError, match="'huge' are unknown"):
        inspect.unwrap(margins)(["better"], "huge")


def test_every_bin_says_which_replies_are_unsafe():
    assert tuple(UNSAFE) == SAFETY_BINS


# --- the auxiliary loss ---------------------------------------------------------------------------
def test_auxiliary_loss_matches_replies_worked_by_hand():
    # a safe reply at 3/4: log 4/3; an unsafe one at 3/4: log 4
    found = safety_auxiliary_loss(t(math.log(3), math.log(3)), flags(0, 1), t(1, 1))
    assert found.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)
    # half the weight on the first, and one that nobody judged
    found = safety_auxiliary_loss(t(math.log(3), 7), flags(0, 1), t(0.5, 0))
    assert found.item() == pytest.approx(0.25 * math.log(4 / 3))


def test_labels_of_unjudged_replies_touch_neither_loss_nor_gradient():
    found = []
    for label in (0, 1):
        scores = t(1, -2, 3).requires_grad_()
        value = safety_auxiliary_loss(scores, flags(1, label, label), t(1, 0, 0))
        value.backward()
        found.append((value.item(), scores.grad.tolist()))
    assert found[0] == found[1]
    assert found[0][1][1:] == [0, 0]


def test_losses_name_their_source():
    functions = [f for _, f in inspect.getmembers(loss, inspect.isfunction) if f.__doc__]
    own = [f for f in functions if f.__module__ == loss.__name__]
    assert len(own) == 3
    assert all("Llama 2" in f.__doc__ for f in own)


# --- R_c ------------------------------------------------------------------------------------------
def test_the_piecewise_rule_on_every_case():
    helpfulness, safety = t(0.9, 0.9, 0.9, 0.2), t(0.8, 0.8, 0.14, 0.15)
    found = piecewise(helpfulness, safety, flags(0, 1, 0, 0))
    # untagged and safe; tagged; untagged and unsafe; exactly at the threshold is not below it
    assert found.tolist() == pytest.approx([0.9, 0.8, 0.14, 0.2])
    assert piecewise(helpfulness, safety, flags(0, 0, 0, 0), 0.5).tolist() == pytest.approx(
        [0.9, 0.9, 0.14, 0.15]
    )


def test_scores_that_passed_no_sigmoid_are_refused():
    with pytest.raises(ValueError, match="helpfulness scores leave 0 to 1"):
        piecewise(t(1.5), t(0.5), flags(0))
    with pytest.raises(ValueError, match="safety scores leave 0 to 1"):
        piecewise(t(0.5), t(math.nan), flags(0))
    with pytest.raises(ValueError, match="threshold is 0"):
        piecewise(t(0.5), t(0.5), flags(0), 0.0)


def test_logit_undoes_the_sigmoid_and_stays_finite():
    assert logit(t(0.5, 0.75, 0.1)).tolist() == pytest.approx([0, math.log(3), -math.log(9)])
    assert logit(t(0, 1)).tolist() == pytest.approx([-13.8, 13.8], abs=0.1)


def test_combining_logits_is_the_way_over_0_to_1():
    torch.manual_seed(0)
    helpfulness, safety = torch.randn(200) * 3, torch.randn(200) * 3
    tagged = torch.rand(200) < 0.3
    long_way = logit(piecewise(helpfulness.sigmoid(), safety.sigmoid(), tagged))
    torch.testing.assert_close(
        combined_logits(helpfulness, safety, tagged), long_way, atol=1e-3, rtol=1e-3
    )
    # where the sigmoid has no digits left
    assert combined_logits(t(40), t(50), flags(0)).item() == 40
    assert combined_logits(t(40), t(50), flags(1)).item() == 50
    # sigmoid(-1.7) = .154 and sigmoid(-1.8) = .142
    assert combined_logits(t(1, 1), t(-1.7, -1.8), flags(0, 0)).tolist() == pytest.approx([1, -1.8])


def test_the_rule_serves_the_scoring_of_sampled_replies():
    class Asked:
        def __init__(self, name, is_safety):
            self.id, self.is_safety, self.messages = name, is_safety, []

    scoring = Scoring({}, piecewise_rule())
    scores = {"helpfulness": [1.0, 1.0, 1.0], "safety": [2.0, 2.0, -3.0]}
    asked = [Asked("a", False), Asked("b", True), Asked("c", False)]
    assert combined(scoring, scores, asked, ["x"] * 3).tolist() == [1, 2, -3]
    with pytest.raises(ValueError, match="not finite for 1 of 3 replies, to prompts b"):
        combined(scoring, scores | {"safety": [0, math.nan, 0]}, asked, ["x"] * 3)


def test_lengths_must_agree():
    for rule in (piecewise, combined_logits):
        with pytest.raises(ValueError, match="give one of each per reply"):
            inspect.unwrap(rule)(t(0.5, 0.5), t(0.5), flags(0))
    assert combine.THRESHOLD == 0.15


# --- what torch would misread -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("function", "given", "complaint"),
    [
        (
            piecewise,
            (t(0.5), t(0.5), torch.tensor([1])),
            r"is_safety_B has dtype torch.int64; give booleans, as is_safety_B.bool\(\)",
        ),
        (combined_logits, (t(0.5), t(0.5), t(1)), "is_safety_B has dtype torch.float32"),
        (margin_ranking_loss, (t(1), t(0), [0.0]), "margin_B is a list; give a tensor"),
        (
            margin_ranking_loss,
            (t(1), t(0), t(1).to("meta")),
            r"margin_B are on cpu, cpu, meta; move them to one with .to\(device\)",
        ),
        (margin_ranking_loss, (t(), t(), t()), "give one number of each per pair"),
        (margin_ranking_loss, (t(1).int(),) * 3, r"hold whole numbers; give floats"),
        (
            safety_auxiliary_loss,
            (t(1).int(), flags(1), t(1)),
            r"^scores_B hold whole numbers; give floats",
        ),
        # ~1 is -2, and would be taken for a label
        (safety_auxiliary_loss, (t(1), torch.tensor([1]), t(1)), "unsafe_B has dtype torch.int64"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(function, given, complaint):
    with pytest.raises(ValueError, match=complaint) as raised:
        inspect.unwrap(function)(*given)
    assert "\n" not in str(raised.value)
