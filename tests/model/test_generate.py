"""Sampling: equal to the plain model token by token, whatever the batch, and shared prefills."""

from collections import Counter

import pytest
import torch
from small_models import make_model, small_config

from llamalite.model import decoding
from llamalite.model import generate as generation
from llamalite.model.compiled import CompiledDecoder
from llamalite.model.config import SamplingConfig
from llamalite.model.decoding import Decoder
from llamalite.model.generate import generate, stream
from llamalite.model.kernels import kernels
from llamalite.model.kv_cache import KVCache
from llamalite.model.projection import can_halve
from llamalite.progress import heard_by, within

PROMPTS = [[1, 5, 9, 2, 7], [1], [1, 40, 3], [1, 8, 8, 8, 30, 31, 32, 33, 34, 35, 36], [1, 2]]
NEVER = -1


def flat(completions):
    return [completion for samples in completions for completion in samples]


def teacher_forced(model, prompt, drawn):
    """Log-probabilities of the drawn tokens as a trainer computes them: one row, no cache."""
    ids = torch.tensor([prompt + drawn])
    logprobs = torch.log_softmax(model(ids[:, :-1]), -1)
    return logprobs[0, len(prompt) - 1 :].gather(1, ids[0, len(prompt) :, None])[:, 0]


@pytest.fixture(params=["joined", "plain"])
def either_path(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(decoding, "JOIN_BELOW", 0)


@pytest.fixture(params=["joined", "plain", "compiled"])
def any_path(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(decoding, "JOIN_BELOW", 0)
    if request.param == "compiled":
        use_compiled(monkeypatch)


@pytest.fixture(params=["joined", "compiled"])
def compiled_too(request, monkeypatch):
    if request.param == "compiled":
        use_compiled(monkeypatch)


def use_compiled(monkeypatch):
    if isinstance(reason := kernels(), str):
        pytest.skip(reason)
    monkeypatch.setattr(generation, "Decoder", CompiledDecoder)


@pytest.mark.usefixtures("any_path")
@pytest.mark.parametrize("sampling", [
    SamplingConfig(20), SamplingConfig(20, temperature=0.6, top_p=0.9),
    SamplingConfig(20, temperature=1.5, top_k=5), SamplingConfig(20, temperature=0.0),
])  # fmt: skip
def test_logprobs_are_the_trainers(model, sampling):
    eos_id = 3
    for prompt, samples in zip(
        PROMPTS, generate(model, PROMPTS, sampling, eos_id=eos_id, n=3, seed=4), strict=True
    ):
        for ids, logprobs, finished in samples:
            drawn = ids + [eos_id] * finished
            assert len(logprobs) == len(drawn)
            expected = teacher_forced(model, prompt, drawn)
            torch.testing.assert_close(torch.tensor(logprobs), expected, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("any_path")
def test_greedy_is_the_argmax_of_the_full_forward(model):
    for prompt, [completion] in zip(
        PROMPTS, generate(model, PROMPTS, SamplingConfig(12, 0.0), eos_id=NEVER), strict=True
    ):
        ids = list(prompt)
        for _ in range(12):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        assert completion.ids == ids[len(prompt) :]


@pytest.mark.usefixtures("compiled_too")
@pytest.mark.parametrize("batch_size", [1, 2, 4, 7, 15, 100])
def test_replies_do_not_depend_on_the_batch(model, batch_size):
    sampling = SamplingConfig(20, temperature=0.8, top_p=0.95)
    whole = generate(model, PROMPTS, sampling, eos_id=3, n=3, seed=1)
    split = generate(model, PROMPTS, sampling, eos_id=3, n=3, seed=1, batch_size=batch_size)
    assert [c.ids for c in flat(whole)] == [c.ids for c in flat(split)]
    assert [c.finished for c in flat(whole)] == [c.finished for c in flat(split)]


def test_neighbours_do_not_matter(model):
    sampling = SamplingConfig(20)
    alone = generate(model, PROMPTS[:1], sampling, eos_id=3)[0][0]
    together = generate(model, PROMPTS, sampling, eos_id=3, n=2)[0][0]
    assert alone.ids == together.ids


def test_seeds_samples_and_prompts_draw_apart(model):
    sampling = SamplingConfig(20)
    one = generate(model, [[1], [1]], sampling, eos_id=NEVER, n=2, seed=0)
    two = generate(model, [[1], [1]], sampling, eos_id=NEVER, n=2, seed=1)
    again = generate(model, [[1], [1]], sampling, eos_id=NEVER, n=2, seed=0)
    replies = [tuple(c.ids) for c in flat(one) + flat(two)]
    assert len(set(replies)) == 8
    assert one == again


@pytest.mark.usefixtures("compiled_too")
def test_finished_sequences_stop_and_others_go_on(model):
    """Cutting an endless reply at its first end of sequence gives the reply that stops."""
    endless = flat(generate(model, PROMPTS * 4, SamplingConfig(37), eos_id=NEVER, seed=2))
    stopped = flat(generate(model, PROMPTS * 4, SamplingConfig(37), eos_id=3, seed=2))
    assert 0 < sum(c.finished for c in stopped) < len(stopped)
    for long, short in zip(endless, stopped, strict=True):
        if 3 in long.ids:
            assert short.finished
            assert short.ids == long.ids[: long.ids.index(3)]
            assert short.logprobs == pytest.approx(long.logprobs[: len(short.ids) + 1], abs=1e-5)
        else:
            assert not short.finished
            assert short.ids == long.ids


def test_a_reply_given_up_is_the_beginning_of_the_whole_one(model):
    sampling = SamplingConfig(36)
    whole = flat(generate(model, PROMPTS, sampling, eos_id=NEVER, seed=2))
    stop = whole[0].ids[2]
    cut = flat(
        generate(model, PROMPTS, sampling, eos_id=NEVER, seed=2, enough=lambda ids: stop in ids)
    )
    assert len(cut[0].ids) < 36
    for long, short in zip(whole, cut, strict=True):
        assert short.ids == long.ids[: len(short.ids)]
        assert short.logprobs == pytest.approx(long.logprobs[: len(short.ids)], abs=1e-5)
        assert stop in short.ids or short.ids == long.ids
        assert not short.finished


@pytest.mark.usefixtures("compiled_too")
def test_finished_rows_leave_the_batch(model, monkeypatch):
    sizes = []
    step = Decoder.step

    def watched(self, tokens_B, cache):
        sizes.append(len(tokens_B))
        return step(self, tokens_B, cache)

    monkeypatch.setattr(Decoder, "step", watched)
    endless = flat(generate(model, PROMPTS * 8, SamplingConfig(36), eos_id=NEVER))
    assert set(sizes) == {40}
    sizes.clear()
    [(common, _)] = Counter(token for c in endless for token in c.ids).most_common(1)
    generate(model, PROMPTS * 8, SamplingConfig(36), eos_id=common)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 20


@pytest.mark.usefixtures("any_path")
def test_the_context_ends_each_reply_in_its_own_time():
    model = make_model(small_config(max_seq_len=12))
    completions = flat(generate(model, PROMPTS, SamplingConfig(100), eos_id=NEVER))
    assert [len(c.ids) for c in completions] == [12 - len(p) for p in PROMPTS]
    for prompt, completion in zip(PROMPTS, completions, strict=True):
        expected = teacher_forced(model, prompt, completion.ids)
        torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-5, rtol=0)


def test_one_prefill_serves_all_samples(model, monkeypatch):
    read = []
    prefill = Decoder.prefill
    monkeypatch.setattr(
        Decoder, "prefill", lambda self, ids, c: read.append(ids.shape) or prefill(self, ids, c)
    )
    generate(model, PROMPTS, SamplingConfig(5), eos_id=NEVER, n=6)
    assert read == [(5, 11)]


@pytest.mark.usefixtures("compiled_too")
def test_stream_and_on_token_give_what_generate_gives(model):
    sampling = SamplingConfig(30)
    heard: dict[tuple[int, int], list[int]] = {}
    completions = generate(
        model, PROMPTS, sampling, eos_id=3, n=2, seed=5,
        on_token=lambda prompt, sample, token: heard.setdefault((prompt, sample), []).append(token),
    )  # fmt: skip
    for i, samples in enumerate(completions):
        for j, completion in enumerate(samples):
            assert heard.get((i, j), []) == completion.ids
    streamed = list(stream(model, PROMPTS[0], sampling, eos_id=3, seed=5))
    assert streamed == completions[0][0].ids
    assert not torch.is_inference_mode_enabled()


def test_progress_counts_every_sequence(model):
    told = []
    with heard_by(told.append), within("part", 1) as at:
        at(0)
        generate(model, PROMPTS, SamplingConfig(20), eos_id=3, n=2, batch_size=4)
    counts = [replies.done for _, replies in (parts for parts in told if len(parts) == 2)]
    assert counts == sorted(counts)
    assert counts[-1] == 10
    assert {parts[1].total for parts in told if len(parts) == 2} == {10}


def test_gradients_and_mode_are_left_alone(model):
    generate(model, PROMPTS, SamplingConfig(3), eos_id=3)
    model(torch.tensor([[1, 2]])).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(("prompts", "message"), [
    ([[1] * 48], "48 tokens, which leaves no room in a context of 48"),
    ([[1], [1] * 99], "prompt 1 has 99 tokens"),
    ([[]], "prompt 0 is empty"),
    ([[1, 61]], "ids from 1 to 61 and the vocabulary has 61"),
])  # fmt: skip
def test_prompts_that_cannot_be_continued(prompts, message):
    with pytest.raises(ValueError, match=message):
        generate(make_model(small_config()), prompts, SamplingConfig(5), eos_id=3)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"batch_size": 0}, {"seed": -1}])
def test_numbers_that_mean_nothing(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        generate(make_model(small_config()), [[1]], SamplingConfig(5), eos_id=3, **wrong)


@pytest.mark.parametrize("wrong", [
    {"max_new_tokens": 0}, {"temperature": -0.1}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1},
])  # fmt: skip
def test_sampling_settings_that_mean_nothing(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SamplingConfig(**wrong)


@pytest.mark.parametrize("starts", [None, [0, 3, 1]])
def test_a_fast_step_is_a_plain_step(model, starts, monkeypatch):
    """Five steps after a prefill, compared with the model's own forward on the same cache."""
    starts_B = None if starts is None else torch.tensor(starts)
    caches = [KVCache.allocate(model.config, 3, 12, starts_B) for _ in range(2)]
    prompt = torch.randint(0, 61, (3, 6))
    for cache in caches:
        model(prompt, cache=cache)
    fast = Decoder(model)
    assert fast.blocks
    for tokens in torch.randint(0, 61, (5, 3)):
        ours = fast.step(tokens, caches[0])
        expected = model(tokens[:, None], cache=caches[1])[:, 0]
        torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-5)
    for a, b in zip(caches[0].layers, caches[1].layers, strict=True):
        for row, start in enumerate(starts or [0] * 3):
            torch.testing.assert_close(a.keys[row, :, start:11], b.keys[row, :, start:11])
            torch.testing.assert_close(a.values[row, :, start:11], b.values[row, :, start:11])


def test_a_single_sequence_is_decoded_like_many(model):
    """Its products are laid out in another way than those of several."""
    tokens_BT = torch.randint(0, 61, (2, 9))
    fast = Decoder(model)
    caches = [KVCache.allocate(model.config, batch, 9) for batch in (2, 1)]
    with torch.no_grad():
        for step in range(9):
            many, one = (
                fast.step(tokens_BT[: 2 - number, step], cache)
                for number, cache in enumerate(caches)
            )
            torch.testing.assert_close(one, many[:1], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(one, model(tokens_BT[:1])[:, -1], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("starts", [None, [0, 3, 1]])
def test_a_fast_step_in_half_precision(model, starts):
    """As near to the plain step as bfloat16 permits, and as near to float32 as the plain step."""
    starts_B = None if starts is None else torch.tensor(starts)
    prompt, tokens_B = torch.randint(0, 61, (3, 6)), torch.tensor([4, 5, 6])

    def logits(dtype, fast):
        model.to(dtype)
        cache = KVCache.allocate(model.config, 3, 12, starts_B, dtype)
        with torch.no_grad():
            model(prompt, cache=cache)
            if fast:
                return Decoder(model).step(tokens_B, cache).float()
            return model(tokens_B[:, None], cache=cache)[:, 0].float()

    exact = logits(torch.float32, fast=False)
    plain, fast = (logits(torch.bfloat16, fast) for fast in (False, True))
    spread = exact.std()
    assert (fast - plain).abs().mean() < 0.02 * spread
    assert (fast - exact).abs().mean() < 1.5 * (plain - exact).abs().mean() + 1e-3 * spread


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("starts", [None, [0, 3, 1]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_fast_prefill_is_the_plain_forward(model, starts, dtype):
    starts_B = None if starts is None else torch.tensor(starts)
    model.to(dtype)
    caches = [KVCache.allocate(model.config, 3, 9, starts_B, dtype) for _ in range(2)]
    prompt = torch.randint(0, 61, (3, 9))
    with torch.no_grad():
        found, expected = Decoder(model).prefill(prompt, caches[0]), model(prompt, cache=caches[1])
    near = {"atol": 2e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.3, "rtol": 0.05}
    torch.testing.assert_close(found, expected[:, -1], **near)
    for a, b in zip(caches[0].layers, caches[1].layers, strict=True):
        assert a.length == b.length == 9
        for row, start in enumerate(starts or [0] * 3):
            torch.testing.assert_close(a.keys[row, :, start:], b.keys[row, :, start:], **near)
            torch.testing.assert_close(a.values[row, :, start:], b.values[row, :, start:], **near)


def test_a_decoder_stands_in_for_its_model(model):
    sampling, decoder = SamplingConfig(9), Decoder(model)
    expected = generate(model, PROMPTS, sampling, eos_id=3, seed=5)
    for _ in range(2):  # it is not used up
        assert generate(decoder, PROMPTS, sampling, eos_id=3, seed=5) == expected
    assert list(stream(decoder, PROMPTS[0], sampling, eos_id=3, seed=5)) == expected[0][0].ids


@pytest.mark.skipif(not can_halve(torch.ones(1)), reason="no kernels for float16 weights here")
def test_float16_weights_are_the_rounded_model(model):
    """Against the plain forward of a model whose matrices were rounded to float16 beforehand."""
    rounded = make_model(model.config)
    with torch.no_grad():
        for name, weight in rounded.named_parameters():
            weight.copy_(model.get_parameter(name))
            if weight.ndim == 2 and name != "tok_embeddings.weight":
                weight.copy_(weight.half().float())
    prompt = torch.randint(0, 61, (2, 7))
    cache = KVCache.allocate(model.config, 2, 8)
    with torch.no_grad():
        found = Decoder(model, "float16").prefill(prompt, cache)
        expected, exact = rounded(prompt)[:, -1], model(prompt)[:, -1]
    assert 0 < (found - exact).abs().max() < 0.02 * exact.std()
    # but for the queries, which are scaled before they are rounded
    assert (found - expected).abs().max() < 0.6 * (found - exact).abs().max() + 1e-4


def test_what_cannot_be_halved_is_named(model, monkeypatch):
    with pytest.raises(ValueError, match="they are bfloat16 on cpu here; choose 'same'"):
        Decoder(model.to(torch.bfloat16), "float16")
    monkeypatch.setattr(decoding, "JOIN_BELOW", 0)
    with pytest.raises(ValueError, match="at most 0 are read in another precision"):
        Decoder(model, "float16")


def test_a_full_cache_says_so(model):
    cache = KVCache.allocate(model.config, 1, 4)
    with pytest.raises(ValueError, match="holds 4 tokens and 5 are needed"):
        model(torch.ones(1, 5, dtype=torch.long), cache=cache)
