"""The tokenizer of a model folder, of whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from llamalite.text.bpe import TOKENIZER, ByteTokenizer
from llamalite.text.tokenizer import Tokenizer

SENTENCEPIECE = "tokenizer.model"


def load_tokenizer(folder: str | Path) -> Tokenizer | ByteTokenizer:
    """Read tokenizer.model (SentencePiece), or else tokenizer.json (byte-level BPE).

    Raises ValueError in one line when there is neither, or it is damaged.
    """
    folder = Path(folder)
    if not (folder / SENTENCEPIECE).exists() and (folder / TOKENIZER).exists():
        return ByteTokenizer.load(folder / TOKENIZER)
    return Tokenizer.load(folder / SENTENCEPIECE)
