"""The README's "Take a part" runs as it stands, and gives numbers that were worked by hand."""

import math
import re
from pathlib import Path

import pytest
import torch

from llamalite.rejection_sampling.sample import best_replies

README = Path(__file__).parent.parent / "README.md"
ASK = [{"role": "user", "content": "Who are you?"}]


@pytest.fixture(scope="module")
def made():
    """What the block leaves behind, by name."""
    block = re.search(
        r"^## Take a part\n.*?^```python\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE
    )
    assert block, "README.md has no python block under this heading"
    names: dict = {}
    exec(compile(block[1], str(README), "exec"), names)
    return names


def test_the_block_gives_what_was_worked_by_hand(made):
    assert made["margin"].tolist() == pytest.approx([1, 1 / 3])
    pairs = [math.log(1 + math.exp(-z)) for z in (0.0, -0.2 - 1 / 3)]
    assert made["loss"].item() == pytest.approx(sum(pairs) / 2)
    assert made["score"].tolist() == pytest.approx([0.9, 0.1])  # untagged and safe; tagged
    decay = [0.95**2, 0.95, 1]
    expected = [[0.9 * d for d in decay], [0.1 * d for d in decay]]
    torch.testing.assert_close(made["gae"].advantages_BR, torch.tensor(expected))
    assert made["policy"].loss.item() == pytest.approx(0, abs=1e-6)  # ratio 1, whitened
    [(messages, learned)] = made["made"]
    assert messages[0]["content"] in {"Act as Oscar Wilde.", "Figure: Oscar Wilde."}
    assert [m["role"] for m in messages] == ["system", *("user", "assistant") * 2]
    assert learned == (False, False, False, False, True)
    assert made["best"] == ["Oscar"]
    assert 0.7 < made["ac2"].coefficient < 1  # raters differ by one step, three times


def test_the_best_reply_is_the_scorers_and_a_useless_one_is_never_it():
    def longest(dialogues, texts):
        assert dialogues[0][-1]["content"] == "Who are you?"
        return torch.tensor([float(len(text)) for text in texts])

    given = [["a", "abc", "ab"], ["   ", ""], ["abc [INST] def", "b"]]
    assert best_replies([ASK] * 3, given, longest) == ["abc", None, "b"]
    with pytest.raises(ValueError, match="1 dialogues and 2 lists of replies"):
        best_replies([ASK], [["a"], ["b"]], longest)
