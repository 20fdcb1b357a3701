"""A tiny random Llama as a llamalite folder, and the same weights in lm-eval's own backend."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

pytest.importorskip("lm_eval")

from lm_eval.models.huggingface import HFLM
from transformers import LlamaForCausalLM, LlamaTokenizer, PreTrainedTokenizerFast

from llamalite.harness.lm import LlamaliteLM
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.hf import export_hf
from llamalite.model.transformer import Transformer
from llamalite.text.bpe import ByteTokenizer
from llamalite.text.tokenizer import Tokenizer

CONTEXT = 48
WORDS = (
    "Vegun lives in Ladeville.\nMarit lives in Osk, a town by the river.\n"
    "Question: Where does Tolla live? Answer: Brim.\nTolla keeps 12 geese and 345 hens.\n"
)


class Pair(NamedTuple):
    """One set of weights in two backends."""

    ours: LlamaliteLM
    theirs: Any
    folder: Path


def random_model(vocab_size: int) -> Transformer:
    """Random, and of strong opinions, so that scores differ and replies do not idle."""
    torch.manual_seed(5)
    model = Transformer(
        ModelConfig(
            vocab_size=vocab_size,
            dim=48,
            n_layers=2,
            n_heads=4,
            n_kv_heads=2,
            head_dim=12,
            ffn_dim=96,
            max_seq_len=CONTEXT,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4.0)
    return model.eval()


def byte_level() -> ByteTokenizer:
    """A byte-level vocabulary with ChatML's control tokens and a few merges."""
    from tokenizers import pre_tokenizers

    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = ["i n", "Ġ l", "Ġl i", "e s", "v es", "Ġli ves", "Ġ in", "O s", "Os k", "Ġ B"]
    made = ["".join(merge.split(" ")) for merge in merges]
    return ByteTokenizer.of_merges([*control, *alphabet, *made], merges, [0, 1, 2])


def in_both(model: Transformer, tokenizer: Any, folder: Path) -> Pair:
    """A model in our adapter and in lm-eval's Hugging Face backend."""
    save_model(folder, model)
    export_hf(model, folder / "hf")
    if isinstance(tokenizer, ByteTokenizer):
        tokenizer.save(folder / "tokenizer.json")
        tokenizer.save(folder / "hf" / "tokenizer.json")
        text: Any = PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "hf" / "tokenizer.json"),
            bos_token="<|endoftext|>",
            eos_token="<|im_end|>",
        )
    else:
        tokenizer.save(folder / "tokenizer.model")
        tokenizer.save(folder / "hf" / "tokenizer.model")
        text = LlamaTokenizer.from_pretrained(folder / "hf", add_bos_token=True)
    weights = LlamaForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32)
    weights.generation_config.eos_token_id = tokenizer.eos_id
    theirs = HFLM(pretrained=weights, tokenizer=text, batch_size=3, device="cpu")
    return Pair(LlamaliteLM(str(folder), batch_size=3, progress=False), theirs, folder)


@pytest.fixture(scope="session", params=["sentencepiece", "byte level"])
def pair(request, tmp_path_factory) -> Pair:
    """Two backends, for both kinds of vocabulary."""
    if request.param == "byte level":
        tokenizer: Any = byte_level()
    else:
        tokenizer = Tokenizer.train([WORDS] * 4, vocab_size=330)
    model = random_model(tokenizer.vocab_size)
    spelled = [
        i
        for i, piece in enumerate(tokenizer.pieces(range(tokenizer.vocab_size)))
        if piece == "<unk>" or (piece.startswith("<0x") and piece != "<0x0A>")
    ]
    with torch.no_grad():  # broken UTF-8 the two libraries read differently, so none is written
        model.output.weight[spelled] = 0.0
    return in_both(model, tokenizer, tmp_path_factory.mktemp("pair"))
