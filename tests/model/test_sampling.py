"""Shaping and drawing against worked distributions and against frequencies."""

import math

import pytest
import torch

from llamalite.model.config import SamplingConfig
from llamalite.model.sampling import sample_tokens, uniform_numbers

PROBABILITIES = (0.05, 0.4, 0.15, 0.3, 0.1)


def draw(config: SamplingConfig, count: int = 20_000, probabilities=PROBABILITIES):
    logits = torch.tensor(probabilities).log().expand(count, -1) + 3.0
    uniform = uniform_numbers(0, (0, 0), count)
    ids, logprobs = sample_tokens(logits, uniform, config)
    return torch.bincount(ids, minlength=len(probabilities)) / count, ids, logprobs


@pytest.mark.parametrize(("config", "expected"), [
    (SamplingConfig(), PROBABILITIES),
    (SamplingConfig(top_k=2), (0, 4 / 7, 0, 3 / 7, 0)),
    (SamplingConfig(top_p=0.69), (0, 4 / 7, 0, 3 / 7, 0)),  # 0.4 + 0.3 is the first above it
    (SamplingConfig(top_p=0.71), (0, 8 / 17, 3 / 17, 6 / 17, 0)),
    (SamplingConfig(top_p=1e-9), (0, 1, 0, 0, 0)),
    # within the three likeliest, 0.4 / 0.85 and 0.3 / 0.85 reach 0.8 together
    (SamplingConfig(top_k=3, top_p=0.8), (0, 4 / 7, 0, 3 / 7, 0)),
    (SamplingConfig(top_k=99), PROBABILITIES),
    # at temperature one half the odds are squared: 25, 1600, 225, 900, 100 of 2850
    (SamplingConfig(temperature=0.5), (25 / 2850, 1600 / 2850, 225 / 2850, 900 / 2850, 100 / 2850)),
    # temperature comes before top-p: 1600 / 2850 is already more than a half
    (SamplingConfig(temperature=0.5, top_p=0.5), (0, 1, 0, 0, 0)),
    (SamplingConfig(temperature=0.0), (0, 1, 0, 0, 0)),
    (SamplingConfig(temperature=1e-4), (0, 1, 0, 0, 0)),
])  # fmt: skip
def test_frequencies(config, expected):
    seen, ids, logprobs = draw(config)
    for got, want in zip(seen.tolist(), expected, strict=True):
        assert got == (0 if want == 0 else pytest.approx(want, abs=0.015))
    # whatever shapes the draw, the log-probability is the model's own
    torch.testing.assert_close(logprobs, torch.tensor(PROBABILITIES).log()[ids])


def test_forbidden_tokens_are_never_drawn_at_the_ends():
    logits = torch.tensor([[-math.inf, 0.0, 0.0, -math.inf]]).expand(2, -1)
    uniform = torch.tensor([0.0, 1.0 - 2**-24])
    for config in (SamplingConfig(), SamplingConfig(top_p=0.99), SamplingConfig(top_k=3)):
        ids, _ = sample_tokens(logits, uniform, config)
        assert ids.tolist() == [1, 2]


def test_a_tie_at_zero_temperature_takes_the_first():
    ids, _ = sample_tokens(torch.zeros(1, 5), torch.zeros(1), SamplingConfig(temperature=0.0))
    assert ids.tolist() == [0]


def test_equal_tokens_stay_together():
    """Which of two equal tokens comes first in an order is chance; the draw must not hang on it."""
    seen, _, _ = draw(SamplingConfig(top_p=0.5), probabilities=(0.4, 0.2, 0.2, 0.2))
    assert seen.tolist() == pytest.approx([0.4, 0.2, 0.2, 0.2], abs=0.015)


def test_numbers_belong_to_their_sequence():
    assert torch.equal(uniform_numbers(3, (1, 2), 5), uniform_numbers(3, (1, 2), 8)[:5])
    rows = torch.stack(
        [uniform_numbers(s, (i, j), 100) for s in (0, 1) for i in (0, 1) for j in (0, 1)]
    )
    assert torch.corrcoef(rows).triu(1).abs().max() < 0.4
    assert rows.ge(0).all()
    assert rows.lt(1).all()
    with pytest.raises(ValueError, match="seed is -1"):
        uniform_numbers(-1, (0,), 1)
