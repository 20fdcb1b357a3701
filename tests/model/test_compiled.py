"""Compiled decoding: its parts against plain PyTorch, and when it is chosen.

What it samples is tested beside the other decoders in test_generate.py.
"""

import logging
import math

import pytest
import torch
from small_models import make_model, small_config

from llamalite.model import compiled
from llamalite.model.compiled import CompiledDecoder, sampling_decoder
from llamalite.model.config import SamplingConfig
from llamalite.model.decoding import Decoder
from llamalite.model.kernels import Kernels, kernels
from llamalite.model.kv_cache import KVCache
from llamalite.model.sampling import sample_tokens, uniform_numbers

needs_compiler = pytest.mark.skipif(isinstance(kernels(), str), reason=str(kernels()))


@needs_compiler
@pytest.mark.parametrize("starts", [None, [0, 3, 1]])
@pytest.mark.parametrize("head_dim", [10, 32, 48, 64, 128])
def test_a_compiled_step_is_a_plain_step(model, starts, head_dim):
    """Five steps after a prefill, compared with the model's own forward on the same cache."""
    heads = {"n_heads": model.config.n_heads, "n_kv_heads": model.config.n_kv_heads}
    model = make_model(small_config(head_dim=head_dim, **heads))
    starts_B = None if starts is None else torch.tensor(starts)
    caches = [KVCache.allocate(model.config, 3, 12, starts_B) for _ in range(2)]
    prompt = torch.randint(0, 61, (3, 6))
    fast = CompiledDecoder(model)
    with torch.no_grad():
        found = fast.prefill(prompt, caches[0])
        expected = model(prompt, cache=caches[1])[:, -1]
        for tokens in torch.randint(0, 61, (5, 3)):
            torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
            found = fast.step(tokens, caches[0])
            expected = model(tokens[:, None], cache=caches[1])[:, 0]
    for a, b in zip(caches[0].layers, caches[1].layers, strict=True):
        for row, start in enumerate(starts or [0] * 3):
            torch.testing.assert_close(a.keys[row, :, start:11], b.keys[row, :, start:11])
            torch.testing.assert_close(a.values[row, :, start:11], b.values[row, :, start:11])


@needs_compiler
def test_gates_and_norms_of_large_numbers_are_pytorchs():
    made = kernels()
    gate, ones = torch.linspace(-120, 120, 4001), torch.ones(4001)
    found = made.gate(torch.cat((gate, ones))[None])[0].double()
    expected = torch.nn.functional.silu(gate.double())
    torch.testing.assert_close(found, expected, atol=1e-35, rtol=1e-6)
    rows = torch.randn(5, 77) * torch.tensor([1e-6, 1e-3, 1, 1e3, 1e6])[:, None]
    weight = torch.rand(77)
    torch.testing.assert_close(
        made.norm(rows, weight, 1e-5), torch.nn.functional.rms_norm(rows, (77,), weight, 1e-5)
    )


@needs_compiler
@pytest.mark.parametrize("top_p", [1e-9, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("vocabulary", [5, 64, 1000])
def test_draws_are_those_of_the_plain_sampler(temperature, vocabulary, top_p):
    torch.manual_seed(0)
    logits_BV = 4 * torch.randn(1000, vocabulary)
    logits_BV[:500] = logits_BV[:500].round()  # many are equal
    logits_BV[:, ::7] = -math.inf
    uniform_B = uniform_numbers(0, (0, 0), 1000)
    uniform_B[:2] = torch.tensor([0.0, 1 - 2.0**-24])
    expected, expected_logprobs = sample_tokens(
        logits_BV, uniform_B, SamplingConfig(temperature=temperature, top_p=top_p)
    )
    found, logprobs = kernels().draw(logits_BV, uniform_B, temperature, top_p)
    same = found == expected  # but where a number lies on the boundary of two tokens
    assert same.float().mean() > 0.995
    torch.testing.assert_close(logprobs[same], expected_logprobs[same], atol=1e-5, rtol=1e-5)
    assert logprobs.isfinite().all()


@needs_compiler
@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf])
@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_logits_that_are_no_numbers_are_refused(value, top_p):
    logits_BV = torch.zeros(3, 70)
    logits_BV[1, 66] = value
    with pytest.raises(ValueError, match="infinite or no numbers"):
        kernels().draw(logits_BV, torch.full((3,), 0.5), 1.0, top_p)


@needs_compiler
def test_bits_depend_neither_on_threads_nor_on_the_build():
    torch.manual_seed(0)
    qkv, gate = torch.randn(40, 8 * 32), torch.randn(40, 2 * 700)
    logits, uniform = torch.randn(40, 1000), torch.rand(40)
    keys, values = torch.randn(2, 40, 2, 30, 32)
    cos, sin = torch.randn(2, 30, 32)

    def results(made: Kernels):
        return [
            made.attend(qkv, keys.clone(), values.clone(), cos, sin, None, 30),
            made.gate(gate),
            made.norm(gate, gate[0], 1e-5),
            *made.draw(logits, uniform, 0.7, 0.9),
        ]

    expected = results(kernels())
    torch.set_num_threads(2)
    again = results(kernels.__wrapped__())
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


@needs_compiler
def test_no_memory_is_touched_beyond_cache_and_context():
    model = make_model(small_config(max_seq_len=8))
    decoder = CompiledDecoder(model)
    for slots, starts in ((3, None), (12, torch.tensor([0]))):
        cache = KVCache.allocate(model.config, 1, slots, starts)
        with pytest.raises(ValueError, match=f"the cache has {slots} and the context 8"):
            for _ in range(12):
                decoder.step(torch.tensor([1]), cache)
    cache = KVCache.allocate(model.config, 2, 8, torch.tensor([0, 5]))
    with pytest.raises(ValueError, match="slot 1 of a sequence that begins at 0"):
        decoder.step(torch.tensor([1, 1]), cache)  # the other begins later than it ends
    with pytest.raises(ValueError, match=r"1 tokens in torch\.float32 do not fit a cache of 2"):
        decoder.step(torch.tensor([1]), KVCache.allocate(model.config, 2, 8))
    with pytest.raises(ValueError, match=r"fit a cache of 1 sequences in torch\.bfloat16"):
        half = KVCache.allocate(model.config, 1, 8, dtype=torch.bfloat16)
        decoder.step(torch.tensor([1]), half)
    with pytest.raises(ValueError, match="uniform numbers of shape"):
        kernels().draw(torch.zeros(3, 9), torch.zeros(2), 1.0, 1.0)


@needs_compiler
def test_auto_compiles_where_the_stage_samples_enough():
    model, much = make_model(small_config()), compiled.COMPILE_PAYS_FROM_TOKENS
    assert type(sampling_decoder(model, "auto", much - 1)) is Decoder
    assert type(sampling_decoder(model, "auto", much)) is CompiledDecoder
    assert type(sampling_decoder(model, "on", 1)) is CompiledDecoder
    assert type(sampling_decoder(model, "off", much)) is Decoder


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda model, patch: model.to(torch.bfloat16), "the model is bfloat16 on cpu"),
    (lambda model, patch: patch(compiled.decoding, "JOIN_BELOW", 9), "at most 9 can be compiled"),
    (lambda model, patch: patch(compiled, "kernels", lambda: "there is no C compiler"), "C compil"),
])  # fmt: skip
def test_what_cannot_be_compiled_is_said_once_and_only_where_it_was_asked_for(
    spoil, reason, monkeypatch, caplog
):
    model = make_model(small_config())
    spoil(model, monkeypatch.setattr)
    compiled._say.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert type(sampling_decoder(model, "auto", 10**9)) is Decoder
        assert not caplog.records
        for _ in range(2):
            assert type(sampling_decoder(model, "on", 1)) is Decoder
    [record] = caplog.records
    assert reason in record.message
    with pytest.raises(ValueError, match=reason):
        CompiledDecoder(model)


def test_a_compiler_that_is_missing_or_fails_is_named(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    assert kernels.__wrapped__() == "there is no C compiler 'no-such-compiler' here"
    monkeypatch.setenv("CC", "false")
    assert "false cannot compile kernels.c" in kernels.__wrapped__()
