"""lm-eval's own Hugging Face backend as the oracle: equal weights, equal answers."""

import random

import pytest
from lm_eval.api.instance import Instance

from tests.harness.conftest import CONTEXT, WORDS


def requests(kind, arguments):
    return [
        Instance(request_type=kind, doc={}, arguments=each, idx=0, metadata=("task", i, 1))
        for i, each in enumerate(arguments)
    ]


def texts(count, longest, seed=0):
    """Texts of all lengths up to beyond the context, cut from `WORDS` at word boundaries."""
    dice = random.Random(seed)
    words = WORDS.split()
    return [" ".join(dice.choices(words, k=dice.randint(1, longest))) for _ in range(count)]


def fits(lm, text, room):
    return len(lm.tok_encode(text, add_special_tokens=False)) <= room


def test_log_likelihoods_are_theirs(pair):
    contexts = texts(24, 30)  # up to several contexts long: the beginning is cut off
    asked = [(context, " " + text) for context, text in zip(contexts, texts(24, 3, 1), strict=True)]
    assert any(not fits(pair.ours, context, CONTEXT) for context in contexts)
    ours = pair.ours.loglikelihood(requests("loglikelihood", asked))
    theirs = pair.theirs.loglikelihood(requests("loglikelihood", asked))
    assert [score for score, _ in ours] == pytest.approx([s for s, _ in theirs], abs=1e-3)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def test_a_continuation_after_nothing_begins_with_the_prefix_token(pair):
    asked = [("", text) for text in texts(6, 4)]
    ours = pair.ours.loglikelihood(requests("loglikelihood", asked))
    theirs = pair.theirs.loglikelihood(requests("loglikelihood", asked))
    assert [score for score, _ in ours] == pytest.approx([s for s, _ in theirs], abs=1e-3)


def test_a_greedy_continuation_is_told_as_one(pair):
    [text] = pair.ours.generate_until(
        requests("generate_until", [("Vegun lives", {"until": [], "max_gen_toks": 1})])
    )
    ids = pair.ours.tok_encode("Vegun lives")
    whole = pair.ours.tok_encode("Vegun lives" + (text if text[:1] == " " else f" {text}"))
    if whole[: len(ids)] == ids and len(whole) == len(ids) + 1:  # the token's text is that token
        [(_, greedy)] = pair.ours._loglikelihood_tokens([(None, ids, whole[len(ids) :])])
        assert greedy


def test_whole_texts_are_theirs_however_long(pair):
    whole = [(text,) for text in [*texts(8, 60), "Osk", ""]]
    assert any(not fits(pair.ours, text, 2 * CONTEXT) for (text,) in whole)
    ours = pair.ours.loglikelihood_rolling(requests("loglikelihood_rolling", whole))
    theirs = pair.theirs.loglikelihood_rolling(requests("loglikelihood_rolling", whole))
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_what_is_written_is_theirs(pair):
    settings = {"until": ["\n", "e"], "max_gen_toks": 20}
    contexts = texts(9, 30)  # the longest lose their beginning, to leave room for 20 tokens
    asked = [(context, settings) for context in contexts]
    ours = pair.ours.generate_until(requests("generate_until", asked))
    theirs = pair.theirs.generate_until(requests("generate_until", asked))
    assert ours == theirs
    assert len({len(text) for text in ours}) > 1
    assert not any("e" in text or "\n" in text for text in ours)


def test_settings_of_two_kinds_keep_their_requests_apart(pair):
    asked = [
        ("Vegun lives in", {"until": ["i"], "max_gen_toks": 12}),
        ("Marit lives in", {"until": [], "max_gen_toks": 4}),
        ("Tolla lives in", {"until": ["i"], "max_gen_toks": 12}),
    ]
    ours = pair.ours.generate_until(requests("generate_until", asked))
    assert ours == pair.theirs.generate_until(requests("generate_until", asked))


def test_answers_do_not_depend_on_the_batch(pair):
    from llamalite.harness.lm import LlamaliteLM

    alone = LlamaliteLM(str(pair.folder), batch_size=1, progress=False)
    asked = [(context, " Osk") for context in texts(10, 20)]
    one = alone.loglikelihood(requests("loglikelihood", asked))
    many = pair.ours.loglikelihood(requests("loglikelihood", asked[::-1]))[::-1]
    assert [s for s, _ in one] == pytest.approx([s for s, _ in many], abs=1e-4)
    settings = {"until": ["e"], "max_gen_toks": 10}
    asked = [(context, settings) for context in texts(10, 20)]
    written = alone.generate_until(requests("generate_until", asked))
    assert written == pair.ours.generate_until(requests("generate_until", asked[::-1]))[::-1]
