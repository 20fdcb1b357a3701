"""A tokenizer as the files that `transformers` reads. Not in the paper; for other programs.

tokenizer.json (the `tokenizers` package's format) holds vocabulary and merges; the special tokens
and the chat template stand in tokenizer_config.json; a SentencePiece tokenizer.model goes along as
it is, for llama.cpp's converter. The ids are those of ours for every text, with two exceptions: a
special token spelled out, as "</s>", they take for the token itself, and a chat tag that is all of
the text gets no leading space.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

from llamalite.disk import write_bytes, write_json
from llamalite.text import chat, chatml
from llamalite.text.bpe import DOCUMENT, END, SETTINGS, TOKENIZER, ByteTokenizer
from llamalite.text.tokenizer import Tokenizer

SENTENCEPIECE = "tokenizer.model"
NORMAL, UNKNOWN, CONTROL, USER = 1, 2, 3, 4
"""SentencePiece's numbers for kinds of pieces."""
BPE = 2
"""SentencePiece's number for byte-pair encoding."""
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""How SentencePiece writes a space; here a space is a space, so that the real U+2581 stays one."""


class Special(NamedTuple):
    """The tokens that are no text, as spelled in the vocabulary."""

    bos: str
    eos: str
    pad: str
    """Never eos: who trains on would otherwise mask the ends of replies."""
    unk: str | None = None


def write_hf_tokenizer(folder: Path, tokenizer: Tokenizer | ByteTokenizer, chats: bool) -> None:
    """Write the tokenizer's files, with a chat template if the model `chats`.

    Raises ValueError for a SentencePiece model of another kind than byte-pair encoding.
    """
    special = special_tokens(tokenizer)
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # takes tokenizer.json as it is
        "add_bos_token": isinstance(tokenizer, Tokenizer),
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    settings |= {f"{name}_token": text for name, text in special._asdict().items() if text}
    if isinstance(tokenizer, Tokenizer):
        write_bytes(folder / SENTENCEPIECE, tokenizer.model)
        made = sentencepiece_as_json(tokenizer.model)
        write_json(folder / TOKENIZER, made)
        settings["added_tokens_decoder"] = {  # tells llama.cpp's converter the tags from text
            str(token["id"]): {key: token[key] for key in token if key != "id"}
            for token in made["added_tokens"]
        }
        template = chat.template()
    else:
        write_bytes(folder / TOKENIZER, tokenizer.model)
        settings["default_system"] = tokenizer.default_system  # for `ByteTokenizer.load`
        template = chatml.template(tokenizer.default_system)
    if chats:
        settings["chat_template"] = template
    write_json(folder / SETTINGS, settings)


def special_tokens(tokenizer: Tokenizer | ByteTokenizer) -> Special:
    """What begins a document, ends a reply and pads a batch."""
    if isinstance(tokenizer, ByteTokenizer):
        return Special(bos=DOCUMENT, eos=END, pad=DOCUMENT)
    unk, bos, eos = tokenizer.pieces([0, tokenizer.bos_id, tokenizer.eos_id])
    return Special(bos, eos, unk, unk)  # with pieces for all bytes no text needs unk


def special_ids(tokenizer: Tokenizer | ByteTokenizer) -> dict[str, int]:
    """Their ids, as config.json and generation_config.json name them."""
    pad = tokenizer.bos_id if isinstance(tokenizer, ByteTokenizer) else 0
    return {
        "bos_token_id": tokenizer.bos_id,
        "eos_token_id": tokenizer.eos_id,
        "pad_token_id": pad,
    }


def sentencepiece_as_json(model: bytes) -> dict[str, Any]:
    """A SentencePiece byte-pair model as the content of a tokenizer.json: the same ids.

    SentencePiece joins whatever neighbours make the piece of the highest score, and so do merges
    that are all pairs of pieces that make a piece, ordered by its score. User-defined pieces (our
    chat tags) are cut out of the text first, after the space that begins every text.
    """
    proto = importlib.import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
    proto.ParseFromString(model)
    if proto.trainer_spec.model_type != BPE:
        raise ValueError("the tokenizer is no byte-pair encoding; only such are exported")
    pieces = [(piece.piece.replace(SPACE, " "), piece.type, piece.score) for piece in proto.pieces]
    vocabulary = {text: number for number, (text, _, _) in enumerate(pieces)}
    user = [text for text, kind, _ in pieces if kind == USER]
    begin = []
    if proto.normalizer_spec.add_dummy_prefix:
        # The normaliser is applied to the added tokens' own spelling too, which must stay theirs.
        begin = [{"type": "Prepend", "prepend": " "}] + [
            {
                "type": "Replace",
                "pattern": {"Regex": rf"\A {re.escape(text)}\z"},
                "content": text,
            }
            for text in user
        ]
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if begin else []
    bos = pieces[proto.trainer_spec.bos_id][0]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": kind == USER,
                "special": kind != USER,
            }
            for number, (text, kind, _) in enumerate(pieces)
            if kind in (UNKNOWN, CONTROL, USER)
        ],
        "normalizer": {"type": "Sequence", "normalizers": begin},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_special(bos), _sequence("A", 0)],
            "pair": [_special(bos), _sequence("A", 0), _special(bos), _sequence("B", 1)],
            "special_tokens": {bos: {"id": bos, "ids": [vocabulary[bos]], "tokens": [bos]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, *strip],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[proto.trainer_spec.unk_id][0],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": _merges({text: score for text, kind, score in pieces if kind == NORMAL}),
        },
    }


def _merges(scores: dict[str, float]) -> list[list[str]]:
    """All pairs of pieces that make a piece, the best first.

    Of pairs that make the same piece the one with the longest left part comes first. SentencePiece
    takes the leftmost instead, so what it leaves over in a run of one character stands at its end.
    """
    found = [
        (-score, -cut, text)
        for text, score in scores.items()
        for cut in range(1, len(text))
        if text[:cut] in scores and text[cut:] in scores
    ]
    return [[text[:-minus], text[-minus:]] for _, minus, text in sorted(found)]


def _special(token: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": 0}}


def _sequence(name: str, kind: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": kind}}
