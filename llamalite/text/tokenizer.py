"""SentencePiece byte-pair encoding. Llama 2, section 2.2, "Tokenizer".

As in the paper: BPE, every number split into its digits, bytes for characters outside the
vocabulary. Text is not normalised in any way, so every string comes back unchanged.

One deviation from the released tokenizer: the four tags of the chat format are pieces of their own
here, because with 1024 pieces they would take a quarter of a 256-token context when spelled out.
A released `tokenizer.model`, which spells them in ordinary pieces, works everywhere just as well.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import sentencepiece

from llamalite.disk import write_bytes

TAGS = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
"""Tags of the chat format, see `llamalite.text.chat`."""
COVERAGE = 0.99995
"""Share of a corpus whose characters get a piece of their own, unless told otherwise."""
MOST_BYTES = 8_000_000
"""Size up to which a tokenizer.model is read; one of 256,000 pieces has 4 million. SentencePiece
takes some twenty times the file's size, and up to forty where its pieces are empty (measured)."""

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""U+2581: SentencePiece writes a space so, and would turn the real character into a space."""
_PROBE = f"  Ab  \t{_SPACE}\u2603\x00\n ﬁ①  "
"""Changed by any tokenizer that normalises, drops spaces or lacks byte pieces."""


class Tokenizer:
    """Text to token ids and back: `decode(encode(text)) == text` for every string.

    Ids: 0 unknown, 1 beginning of sequence (bos), 2 end of sequence (eos); there is no padding
    token. A newline is one token, its byte. Text that happens to contain a chat tag is encoded as
    the tag, in documents too: as with the released tokenizer, ids cannot tell the two apart, and
    it is `llamalite.text.chat` that refuses tags in what people say.
    """

    tags = TAGS

    def __init__(self, model: bytes) -> None:
        """`model` is the content of a tokenizer.model file; ValueError unless it is usable."""
        self.model = model
        if not model:
            raise ValueError("it is empty")
        if len(model) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes, and no more are read")
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise ValueError("it is not a SentencePiece model, or a damaged one") from None
        self.vocab_size: int = self._processor.vocab_size()
        self.bos_id: int = self._processor.bos_id()
        self.eos_id: int = self._processor.eos_id()
        if self.bos_id < 0 or self.eos_id < 0:
            raise ValueError("it has no bos or eos piece")
        if len(self._bytes) < 256 or self.decode(self.encode(_PROBE)) != _PROBE:
            raise ValueError(
                "it does not give every text back unchanged; it must be trained with the identity "
                "normaliser, byte fallback and all spaces kept"
            )

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes]]:
        return Tokenizer, (self.model,)  # to worker processes

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        tags: bool = True,
        character_coverage: float = COVERAGE,
    ) -> Tokenizer:
        """Learn a vocabulary of exactly `vocab_size` pieces; the same texts give the same file.

        `tags` makes the chat tags pieces of their own. Characters beyond `character_coverage` of
        the text, the rarest, get no piece and are spelled in bytes (not in the paper; follows what
        is common with byte fallback). Raises ValueError for a corpus without text and for a
        vocabulary too large or too small for it.
        """
        if vocab_size < 1:
            raise ValueError(f"vocab_size is {vocab_size}; it must be at least 1")
        return cls(
            train_model(
                texts,
                vocab_size,
                character_coverage=character_coverage,
                user_defined_symbols=list(TAGS) if tags else [],
            )
        )

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a tokenizer.model file; ValueError when it is corrupt, truncated or foreign."""
        try:
            with Path(path).open("rb") as stream:
                return cls(stream.read(MOST_BYTES + 1))
        except FileNotFoundError:
            raise ValueError(f"there is no tokenizer at {path}; train one first") from None
        except ValueError as error:
            raise ValueError(f"{path} cannot be used as a tokenizer: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the model file, whole or not at all."""
        write_bytes(Path(path), self.model)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the model file."""
        return hashlib.sha256(self.model).hexdigest()

    @cached_property
    def has_tags(self) -> bool:
        """Whether the chat tags are single pieces."""
        return all(self._processor.piece_to_id(tag) != self._processor.unk_id() for tag in TAGS)

    def encode(self, text: str, bos: bool = False, eos: bool = False) -> list[int]:
        """Ids of a text, between bos and eos if wanted. ValueError for lone surrogates."""
        if not text.isascii():
            return self._encode_any(text, bos, eos)
        return self._processor.encode(text, add_bos=bos, add_eos=eos)

    def encode_batch(
        self, texts: Sequence[str], bos: bool = False, eos: bool = False
    ) -> list[list[int]]:
        """Ids of many texts, about twice as fast as one by one."""
        if all(text.isascii() for text in texts):
            return self._processor.encode(list(texts), add_bos=bos, add_eos=eos)
        return [self.encode(text, bos, eos) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; bos and eos vanish, bytes that are no UTF-8 become U+FFFD.

        As in every SentencePiece text, one leading space belongs to the first word and is not
        shown. Raises ValueError for an id outside the vocabulary.
        """
        ids = [int(i) for i in ids]
        check_ids(ids, self.vocab_size)
        return self._processor.decode(ids)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """How the vocabulary spells some ids, to look at: "▁" is a space, "<0x0A>" a byte."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    @cached_property
    def _bytes(self) -> list[int]:
        """Id of each byte's piece; shorter than 256 when some are missing."""
        names = (f"<0x{byte:02X}>" for byte in range(256))
        ids = [self._processor.piece_to_id(name) for name in names]
        return [i for i in ids if self._processor.is_byte(i)]

    def _encode_any(self, text: str, bos: bool, eos: bool) -> list[int]:
        """`encode` for text that may hold U+2581, which is spelled in bytes, or surrogates."""
        refuse_surrogates(text)
        if _SPACE not in text:
            return self._processor.encode(text, add_bos=bos, add_eos=eos)
        # a private character that is in neither text nor vocabulary goes through as three bytes
        stand_in = next(c for c in map(chr, range(0xE000, 0xF900)) if self._can_stand_in(c, text))
        found = self._spelled(stand_in)
        ids = self._processor.encode(text.replace(_SPACE, stand_in), add_bos=bos, add_eos=eos)
        wanted = self._spelled(_SPACE)
        for i in range(len(ids) - 2):
            if ids[i : i + 3] == found:
                ids[i : i + 3] = wanted
        return ids

    def _spelled(self, character: str) -> list[int]:
        return [self._bytes[byte] for byte in character.encode("utf-8")]

    def _can_stand_in(self, character: str, text: str) -> bool:
        unknown = self._processor.piece_to_id(character) == self._processor.unk_id()
        return unknown and character not in text


def train_model(texts: Iterable[str], vocab_size: int, **changed: Any) -> bytes:
    """The content of a tokenizer.model file; `Tokenizer.train` is what models are trained with.

    `changed` are SentencePiece's own options where they differ from ours, as in an ablation. Raises
    ValueError as `Tokenizer.train`.
    """
    written = io.BytesIO()
    options: dict[str, Any] = {
        "model_type": "bpe",
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "byte_fallback": True,
        "split_digits": True,
        "character_coverage": COVERAGE,
        "unk_id": 0,
        "bos_id": 1,
        "eos_id": 2,
        "pad_id": -1,
        "max_sentence_length": 1 << 30,  # else longer lines are left out without a word
        "num_threads": 1,
        "minloglevel": 2,
    }
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_lines(texts),
            model_writer=written,
            vocab_size=vocab_size,
            **(options | changed),
        )
    except RuntimeError as error:
        raise ValueError(_explain(str(error), vocab_size)) from None
    return written.getvalue()


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """The lines of a corpus: newlines stay outside the vocabulary and become their byte."""
    empty = True
    for text in texts:
        refuse_surrogates(text)
        for line in text.split("\n"):
            if line and not line.isspace():
                empty = False
                yield line
    if empty:
        raise ValueError("the corpus is empty; a tokenizer needs text to be trained on")


def check_ids(ids: Iterable[int], vocab_size: int) -> None:
    """ValueError for an id outside the vocabulary."""
    for i in ids:
        if not 0 <= i < vocab_size:
            raise ValueError(f"token id {i} is outside the vocabulary of {vocab_size}")


def refuse_surrogates(text: str) -> None:
    """ValueError for a text with half a character, which no UTF-8 can spell."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text holds the lone surrogate {text[error.start]!r} at position {error.start}; "
            "it is no character, remove it"
        ) from None


def _explain(error: str, vocab_size: int) -> str:
    """SentencePiece's complaint about a vocabulary as one clear line."""
    if found := re.search(r"value <= (\d+)", error):
        return (
            f"vocab_size {vocab_size} is too large for the corpus; choose at most {found[1]}, "
            "or train on more text"
        )
    if found := re.search(r"required_chars\. \d+ vs (\d+)", error):
        return (
            f"vocab_size {vocab_size} is too small for the corpus's characters, the bytes and the "
            f"tags; choose at least {found[1]}"
        )
    return f"SentencePiece could not train a vocabulary of {vocab_size}: {error}"
