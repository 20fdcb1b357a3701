"""Rows of prompts and replies: literal cases, and every number against each row read alone."""

from dataclasses import replace

import pytest
import torch

from llamalite.model.generate import Completion, SamplingConfig, generate
from llamalite.ppo.module import (
    ActorCritic,
    Policy,
    PPOModule,
    ValueModel,
    value_from_policy,
    value_from_reward,
)
from llamalite.ppo.rollout import MiniBatch, collate, count, join, per_action
from llamalite.reward.model import RewardModel
from llamalite.text.chat import encode_prompt

CPU = torch.device("cpu")


def wrapped(transformer):
    policy = Policy(transformer.config)
    policy.transformer.load_state_dict(transformer.state_dict())
    return policy


def test_collate_of_a_finished_and_a_cut_reply():
    made = collate(
        [[1, 4], [1, 7, 8]],
        [Completion([5, 6], [-0.1, -0.2, -0.3], True), Completion([9], [-0.5], False)],
        eos_id=2,
    )
    assert made.tokens_BT.tolist() == [[1, 4, 5, 6, 2], [1, 7, 8, 9, 0]]
    assert made.prompt_lengths_B.tolist() == [2, 3]
    assert made.reply_lengths_B.tolist() == [3, 1]
    assert made.finished_B.tolist() == [True, False]
    assert made.mask().tolist() == [[True, True, True], [True, False, False]]
    assert made.replies()[0].tolist() == [5, 6, 2]
    assert made.replies()[1, 0] == 9
    torch.testing.assert_close(made.logprobs_BR, torch.tensor([[-0.1, -0.2, -0.3], [-0.5, 0, 0]]))


def test_an_empty_reply_is_one_action():
    made = collate([[1, 4]], [Completion([], [-0.7], True)], eos_id=2)
    assert made.tokens_BT.tolist() == [[1, 4, 2]]
    assert made.replies().tolist() == [[2]]


def test_joined_trajectories_are_as_wide_as_the_widest():
    one = collate([[1, 4]], [Completion([5, 6], [-1.0, -1.0], False)], eos_id=2)
    two = collate([[1]], [Completion([3], [-2.0], False)], eos_id=2)
    both = join([two, one])
    assert both.tokens_BT.tolist() == [[1, 3, 0, 0], [1, 4, 5, 6]]
    assert both.logprobs_BR.tolist() == [[-2, 0], [-1, -1]]
    assert both.reply_lengths_B.tolist() == [1, 2]


def test_rows_of_a_batch_are_cut_to_the_longest_of_them():
    one = collate(
        [[1, 4, 4], [1]],
        [Completion([5, 6], [-1.0, -1.0], False), Completion([3], [-2.0], False)],
        eos_id=2,
    )
    zero = one.logprobs_BR
    batch = MiniBatch(one.tokens_BT, one.prompt_lengths_B, one.replies(), one.mask(), *([zero] * 4))
    assert count(batch) == (3, 10)
    few = batch.rows([1])
    assert few.tokens_BT.tolist() == [[1, 3]]
    assert few.replies_BR.tolist() == [[3]]
    assert few.old_logprobs_BR.tolist() == [[-2]]
    assert batch.rows([1, 0]).tokens_BT.tolist() == [[1, 3, 0, 0, 0], [1, 4, 4, 5, 6]]


@pytest.fixture
def sampled(policy, tokenizer, prompts):
    encoded = [encode_prompt(tokenizer, prompt.messages) for prompt in prompts[:7]]
    found = generate(
        policy, encoded, SamplingConfig(max_new_tokens=9), eos_id=tokenizer.eos_id, seed=3
    )
    completions = [completion for (completion,) in found]
    completions[2] = completions[2]._replace(  # as if it had ended early
        ids=completions[2].ids[:3], logprobs=completions[2].logprobs[:4], finished=True
    )
    return encoded, completions


def test_the_trainers_logprobs_are_those_of_each_row_read_alone(policy, tokenizer, sampled):
    encoded, completions = sampled
    trajectory = collate(encoded, completions, tokenizer.eos_id)
    model = wrapped(policy)
    found = per_action(trajectory, lambda *x: model(*x)[0], CPU, at_once=3)
    entropies = per_action(trajectory, lambda *x: model(*x)[1], CPU, at_once=3)
    for row, (prompt, completion) in enumerate(zip(encoded, completions, strict=True)):
        actions = [*completion.ids, tokenizer.eos_id] if completion.finished else completion.ids
        logprobs = policy(torch.tensor([prompt + actions]))[0].log_softmax(-1)
        for t, action in enumerate(actions):
            at = len(prompt) + t - 1
            assert found[row, t].item() == pytest.approx(logprobs[at, action].item(), abs=1e-5)
            spread = torch.distributions.Categorical(logits=logprobs[at]).entropy().item()
            assert entropies[row, t].item() == pytest.approx(spread, abs=1e-4)


def test_the_generators_logprobs_are_the_trainers(policy, tokenizer, sampled):
    encoded, completions = sampled
    del encoded[2], completions[2]
    trajectory = collate(encoded, completions, tokenizer.eos_id)
    model = wrapped(policy)
    found = per_action(trajectory, lambda *x: model(*x)[0], CPU, at_once=64)
    mask = trajectory.mask()
    torch.testing.assert_close(found[mask], trajectory.logprobs_BR[mask], rtol=0, atol=1e-5)


def test_values_are_read_before_each_action(policy, tokenizer, sampled):
    encoded, completions = sampled
    trajectory = collate(encoded, completions, tokenizer.eos_id)
    value = value_from_policy(policy)
    torch.nn.init.normal_(value.head.weight)
    found = per_action(trajectory, lambda t, p, r: value(t, p, r.shape[1]), CPU, at_once=64)
    for row, (prompt, completion) in enumerate(zip(encoded, completions, strict=True)):
        for t in range(len(completion.logprobs)):
            seen = torch.tensor([prompt + completion.ids[:t]])  # what stands before the action
            alone = value.head(value.body.hidden(seen)[0, -1]).item()
            assert found[row, t].item() == pytest.approx(alone, abs=1e-5)


def test_a_value_model_begins_by_expecting_nothing(policy):
    value = value_from_policy(policy)
    assert value(torch.tensor([[1, 5, 6]]), torch.tensor([1]), 2).tolist() == [[0, 0]]
    assert isinstance(value, ValueModel)
    torch.testing.assert_close(
        value.body.layers[0].ffn_norm.weight, policy.layers[0].ffn_norm.weight
    )


def test_fillers_and_later_tokens_touch_neither_loss_nor_gradient(policy, tokenizer, sampled):
    encoded, completions = sampled
    one = collate(encoded, completions, tokenizer.eos_id)
    mask = one.mask()
    dice = torch.Generator().manual_seed(0)
    numbers = [torch.randn(mask.shape, generator=dice) for _ in range(3)]
    results = []
    for junk in (0.0, 1e6):
        model = ActorCritic(
            wrapped(policy), value_from_policy(policy), clip=0.2, value_clip=0.2, entropy_bonus=0.1
        )
        filler = torch.arange(one.tokens_BT.shape[1])[None] >= (
            one.prompt_lengths_B + one.reply_lengths_B
        ).unsqueeze(1)
        batch = MiniBatch(
            torch.where(filler, 7 if junk else 0, one.tokens_BT),
            one.prompt_lengths_B,
            torch.where(mask, one.replies(), 5 if junk else 0),
            mask,
            *(torch.where(mask, n, junk) for n in (one.logprobs_BR, *numbers)),
        )
        loss, metrics = PPOModule.loss_and_metrics(model, batch)
        loss.backward()
        grads = [w.grad for w in model.parameters() if w.grad is not None]
        results.append((loss.detach(), metrics, grads))
    (loss, metrics, grads), (other, others, others_grads) = results
    torch.testing.assert_close(loss, other)
    torch.testing.assert_close(metrics, others)
    torch.testing.assert_close(grads, others_grads)
    assert all(grad.isfinite().all() for grad in grads)


def test_a_value_model_begins_as_the_reward_model_scores(policy):
    reward = RewardModel.from_chat(policy, seed=1)
    value = value_from_reward(reward, policy.config)
    row = torch.tensor([[1, 5, 6, 7, 2]])
    places = torch.arange(5)[None]
    [score] = reward(row, places, torch.zeros_like(row), torch.tensor([4])).tolist()
    # with the whole row as the prompt, the value before the next token is the score of the row
    assert value(row, torch.tensor([5]), 1).item() == pytest.approx(score, abs=1e-5)
    with pytest.raises(ValueError, match="vocab_size is 300 and the policy's 301"):
        value_from_reward(reward, replace(policy.config, vocab_size=301))
