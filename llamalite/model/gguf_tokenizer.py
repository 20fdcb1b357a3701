"""The vocabulary that a GGUF file carries. Not in the paper; llama.cpp's format."""

from __future__ import annotations

import re
from pathlib import Path

from llamalite.model.gguf_header import Header, map_file, naming, read_header
from llamalite.text.bpe import END, START, ByteTokenizer

KIND, SPLITS = "gpt2", ("smollm",)
"""Byte-level BPE, and the rule by which text is cut before merging: digits one by one."""
CONTROL = 3
"""llama.cpp's number for tokens that are no text."""
_DEFAULT_SYSTEM = re.compile(re.escape(START) + r"system(?:\n|\\n)([^{}<]*)" + re.escape(END))


def gguf_tokenizer(path: str | Path) -> ByteTokenizer:
    """The byte-level tokenizer of a GGUF file, with the default system message of its template.

    Raises ValueError in one line when the file is damaged, carries no vocabulary, or one of
    another kind.
    """
    path = Path(path)
    with naming(path):
        return _tokenizer(read_header(map_file(path)))


def _tokenizer(header: Header) -> ByteTokenizer:
    meta = header.metadata
    kind, split = (meta.get(f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    if kind != KIND or split not in SPLITS:
        raise ValueError(
            f"has a vocabulary of kind {kind!r}, split as {split!r}; {KIND!r} split as "
            f"{' or '.join(map(repr, SPLITS))} is read"
        )
    tokens = header.list_of("tokenizer.ggml.tokens", texts=True)
    kinds = header.list_of("tokenizer.ggml.token_type", texts=False)
    if len(kinds) != len(tokens):
        raise ValueError(f"has {len(tokens)} tokens and the kinds of {len(kinds)}")
    found = _DEFAULT_SYSTEM.search(str(meta.get("tokenizer.chat_template", "")))
    return ByteTokenizer.of_merges(
        tokens,
        header.list_of("tokenizer.ggml.merges", texts=True),
        [i for i, kind in enumerate(kinds) if kind == CONTROL],
        default_system=found[1] if found else "",
    )
