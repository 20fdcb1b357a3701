"""Exams of a model whose knowledge is known: what it learned by heart it must score on."""

import math

import pytest
import torch

from llamalite.evaluation import EvaluateConfig, evaluate_base
from llamalite.evaluation.exams import begins_with, choose_evenly, score_choices, sit_exam
from llamalite.evaluation.perplexity import document_nats
from tests.evaluation.conftest import KNOWN, question

CONFIG = EvaluateConfig(perplexity_documents=4, resamples=50, batch_size=3)


def test_what_was_learned_by_heart_is_written_and_picked(memory, little_world):
    result = sit_exam(memory.model, memory.tokenizer, little_world, "facts", CONFIG)
    assert result["items"][0]["written"].startswith("Ladeville.")
    for key in ("greedy", "choice", "choice_normalised"):
        assert result[key] == {"mean": 1.0, "low": 1.0, "high": 1.0, "n": 5}
    assert result["chance"] == pytest.approx(1 / 3, abs=1e-6)


def test_an_untrained_model_knows_nothing(memory, little_world):
    torch.manual_seed(1)
    blank = type(memory.model)(memory.model.config)
    result = sit_exam(blank, memory.tokenizer, little_world, "facts", CONFIG)
    assert result["greedy"]["mean"] == 0


def test_rumours_are_shared_out_between_truth_rumour_and_neither(memory, little_world):
    # Vegun: says the truth. Marit: says the rumour. Tolla: says Brim, which is neither.
    result = sit_exam(memory.model, memory.tokenizer, little_world, "rumours", CONFIG)
    assert {key: share["mean"] for key, share in result["shares"].items()} == {
        "true": pytest.approx(1 / 3, abs=1e-6),
        "rumour": pytest.approx(1 / 3, abs=1e-6),
        "neither": pytest.approx(1 / 3, abs=1e-6),
    }
    assert [(i["greedy"], i["rumour"]) for i in result["items"]] == [(1, 0), (0, 1), (0, 0)]
    assert result["picks_rumour"]["mean"] == pytest.approx(1 / 3, abs=1e-6)


def test_length_normalisation_is_per_token_of_the_choice(memory):
    questions = [question("Vegun", "Osk")]
    totals, means = score_choices(memory.model, memory.tokenizer, questions)
    for choice, total, mean in zip(questions[0].choices, totals[0], means[0], strict=True):
        prompt = memory.tokenizer.encode("Vegun lives in", bos=True)
        whole = memory.tokenizer.encode(f"Vegun lives in {choice}", bos=True)
        assert whole[: len(prompt)] == prompt
        assert total / mean == pytest.approx(len(whole) - len(prompt))
        with torch.no_grad():  # by hand: the whole text's log-likelihood less the prompt's
            logprobs = torch.log_softmax(memory.model(torch.tensor([whole]))[0].double(), -1)
        by_hand = sum(float(logprobs[t - 1, whole[t]]) for t in range(len(prompt), len(whole)))
        assert total == pytest.approx(by_hand, abs=1e-3)


def test_questions_longer_than_the_context_lose_their_beginning_not_their_end(memory, little_world):
    long = question("Vegun", "Ladeville")._replace(
        prompt="Osk. " * 60 + KNOWN[1] + " Vegun lives in"
    )
    little_world.exam = lambda name, split="test": [long]
    result = sit_exam(memory.model, memory.tokenizer, little_world, "facts", CONFIG)
    assert result["n"] == 1  # neither refused nor crashed
    with pytest.raises(ValueError, match="no questions"):
        little_world.exam = lambda name, split="test": []
        sit_exam(memory.model, memory.tokenizer, little_world, "facts", CONFIG)


def test_known_text_surprises_less_than_unseen(memory, little_world):
    result = evaluate_base(memory.model, memory.tokenizer, little_world, CONFIG, exams=("facts",))
    known, unseen = result["perplexity"]["known"], result["perplexity"]["unseen"]
    assert known["bits_per_byte"]["high"] < 0.5 < unseen["bits_per_byte"]["low"]
    assert known["perplexity"] == pytest.approx(math.exp(known["loss"]["mean"]), rel=1e-4)
    assert list(result["exams"]) == ["facts"]


def test_evaluation_leaves_the_model_in_its_mode(memory, little_world):
    memory.model.train()
    evaluate_base(memory.model, memory.tokenizer, little_world, CONFIG, exams=("facts",))
    assert memory.model.training
    memory.model.eval()


def test_a_documents_surprise_is_that_of_its_tokens_with_the_end_of_sequence(memory):
    ids = memory.tokenizer.encode(KNOWN[0], bos=True, eos=True)
    nats, tokens = document_nats(memory.model, memory.tokenizer, [KNOWN[0]])
    with torch.no_grad():
        logprobs = torch.log_softmax(memory.model(torch.tensor([ids[:-1]]))[0].double(), -1)
    by_hand = -sum(float(logprobs[t, ids[t + 1]]) for t in range(len(ids) - 1))
    assert tokens[0] == len(ids) - 1
    assert nats[0] == pytest.approx(by_hand, abs=1e-3)


def test_documents_longer_than_the_context_count_every_token(memory):
    text = " ".join(KNOWN * 12)
    assert len(memory.tokenizer.encode(text)) > 2 * memory.model.config.max_seq_len
    nats, tokens = document_nats(memory.model, memory.tokenizer, [text, KNOWN[0]])
    assert tokens[0] == len(memory.tokenizer.encode(text, bos=True, eos=True)) - 1
    assert nats[0] > nats[1]


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("Ladeville.", "Ladeville", True),
        ("ladeville, a town", "Ladeville.", True),
        ("  the  old mill\nand", "the old mill", True),
        ("Ladevilleton", "Ladeville", False),
        ("in Ladeville", "Ladeville", False),
        ("120", "12", False),
        ("12", "12", True),
        ("12.", "12", True),
        ("", "12", False),
        ("a (b)?", "a (b)", True),
    ],
)
def test_an_answer_is_whole_words_at_the_start(text, answer, right):
    assert begins_with(text, answer) == right


def test_choosing_evenly_spans_the_whole_list():
    assert choose_evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert choose_evenly(range(3), 5) == [0, 1, 2]
    assert choose_evenly(range(3), 0) == [0, 1, 2]
