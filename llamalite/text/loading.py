"""The tokenizer of a model folder or in a file, of whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from llamalite.text.bpe import TOKENIZER, ByteTokenizer
from llamalite.text.tokenizer import Tokenizer

SENTENCEPIECE = "tokenizer.model"
_ENDINGS: dict[str, type[Tokenizer] | type[ByteTokenizer]] = {
    ".model": Tokenizer,
    ".json": ByteTokenizer,
}


def load_tokenizer(where: str | Path) -> Tokenizer | ByteTokenizer:
    """Read a folder's tokenizer.model (SentencePiece), or else its tokenizer.json (byte-level BPE).

    `where` may be such a file itself: one that ends in .json is byte-level. Raises ValueError in
    one line when there is neither, or it is damaged.
    """
    folder = Path(where)
    if folder.is_file() or folder.suffix in _ENDINGS:
        return _ENDINGS.get(folder.suffix, Tokenizer).load(folder)
    if not (folder / SENTENCEPIECE).exists() and (folder / TOKENIZER).exists():
        return ByteTokenizer.load(folder / TOKENIZER)
    return Tokenizer.load(folder / SENTENCEPIECE)
