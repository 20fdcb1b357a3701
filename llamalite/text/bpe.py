"""Byte-level byte-pair encoding, as GPT-2's and SmolLM2's. Not in the paper; for real weights.

Text becomes UTF-8 bytes first, so there is nothing a vocabulary of 256 bytes and some merges could
not spell, and no fallback is needed. The merging is the `tokenizers` package's (extra `weights`).
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from llamalite.disk import write_bytes, write_json
from llamalite.text.tokenizer import check_ids, refuse_surrogates

TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"
"""Files of a folder, named as Hugging Face names them."""
START, END, DOCUMENT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
"""ChatML's tags, see `llamalite.text.chatml`, and what stands between documents."""
MOST_BYTES = 16_000_000
"""Size up to which a tokenizer.json is read; one of 128,000 pieces has 9 million. The package's
maps take some twenty times the file's size where its pieces are short (measured), so that a larger
file could fill a small machine's memory."""
MOST_OBJECTS = 50_000
"""Opening braces in it, of JSON's objects and of pieces: a list of empty objects, each of which
takes a kilobyte, is no vocabulary. One of 128,000 pieces has some thousands."""
_PROBE = "  Ab  12\t\u2603\x00\n ﬁ①  "


class ByteTokenizer:
    """Text to token ids and back: `decode(encode(text)) == text` for every string.

    It has the face of `llamalite.text.tokenizer.Tokenizer`. bos is what begins a document, eos
    what ends a reply. Control tokens are ids that no text is encoded to: "<|im_end|>" typed by
    a person is spelled in letters.
    """

    tags = (START, END)

    def __init__(self, model: bytes, default_system: str = "") -> None:
        """`model` is the content of a tokenizer.json; ValueError unless it is usable.

        `default_system` is the system message of dialogues that have none of their own.
        """
        if len(model) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes, and no more are read")
        if (objects := model.count(b"{")) > MOST_OBJECTS:
            raise ValueError(f"it has {objects:,} braces; at most {MOST_OBJECTS:,} are read")
        self.model = model
        self.default_system = default_system
        self._tokenizer = _parse(model)
        self._tokenizer.encode_special_tokens = True  # what people write is text
        self.vocab_size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self.start_id = self._control(START)
        self.eos_id = self._control(END)
        self.bos_id = self._control(DOCUMENT)
        if self.decode(self.encode(_PROBE)) != _PROBE:
            raise ValueError("it does not give every text back unchanged; it is not byte-level")

    def _control(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"it has no token {token}; only ChatML vocabularies are read")
        return found

    def __reduce__(self) -> tuple[type[ByteTokenizer], tuple[bytes, str]]:
        return ByteTokenizer, (self.model, self.default_system)  # to worker processes

    @classmethod
    def of_merges(
        cls,
        tokens: Sequence[str],
        merges: Sequence[str],
        control: Sequence[int],
        *,
        default_system: str = "",
    ) -> ByteTokenizer:
        """A tokenizer of GPT-2's kind that splits digits, from the lists a GGUF file carries.

        `tokens` in the order of their ids, spelled in GPT-2's printable bytes; `merges` as "a b",
        the first first; `control` are ids of tokens that are no text. ValueError when the lists
        do not fit together.
        """
        package = _package()
        vocabulary = {token: i for i, token in enumerate(tokens)}
        if len(vocabulary) != len(tokens):
            raise ValueError(f"{len(tokens) - len(vocabulary)} of its tokens stand there twice")
        if not all(0 <= i < len(tokens) for i in control):
            raise ValueError(f"a control token's id is outside the {len(tokens)} tokens")
        pairs = [tuple(merge.split(" ")) for merge in merges]
        for pair in pairs:
            if len(pair) != 2 or not all(part in vocabulary for part in (*pair, "".join(pair))):
                raise ValueError(f"its merge {' '.join(pair)!r} makes no token of two tokens")
        made = package.Tokenizer(package.models.BPE(vocab=vocabulary, merges=pairs))
        made.pre_tokenizer = package.pre_tokenizers.Sequence(
            [
                package.pre_tokenizers.Digits(individual_digits=True),
                package.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        made.decoder = package.decoders.ByteLevel()
        made.add_special_tokens([tokens[i] for i in control])
        return cls(made.to_str().encode(), default_system)

    @classmethod
    def load(cls, path: str | Path) -> ByteTokenizer:
        """Read tokenizer.json and the settings beside it; ValueError when one is damaged."""
        path = Path(path)
        try:
            settings = path.with_name(SETTINGS)
            raw = json.loads(settings.read_bytes()) if settings.exists() else {}
            default = raw.get("default_system", "") if isinstance(raw, dict) else None
            if not isinstance(default, str):
                raise ValueError(f"{SETTINGS} beside it is damaged")
            with path.open("rb") as stream:
                return cls(stream.read(MOST_BYTES + 1), default)
        except FileNotFoundError:
            raise ValueError(f"there is no tokenizer at {path}; fetch the model again") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be used as a tokenizer: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write tokenizer.json, and the settings beside it, each whole or not at all."""
        path = Path(path)
        write_bytes(path, self.model)
        write_json(path.with_name(SETTINGS), {"default_system": self.default_system})

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the vocabulary's file."""
        return hashlib.sha256(self.model).hexdigest()

    def encode(self, text: str, bos: bool = False, eos: bool = False) -> list[int]:
        """Ids of a text, between bos and eos if wanted. ValueError for lone surrogates."""
        return self.encode_batch([text], bos, eos)[0]

    def encode_batch(
        self, texts: Sequence[str], bos: bool = False, eos: bool = False
    ) -> list[list[int]]:
        """Ids of many texts."""
        for text in texts:
            refuse_surrogates(text)
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        before, after = [self.bos_id] * bos, [self.eos_id] * eos
        return [[*before, *each.ids, *after] for each in found]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; control tokens vanish, bytes that are no UTF-8 become U+FFFD.

        Raises ValueError for an id outside the vocabulary.
        """
        ids = [int(i) for i in ids]
        check_ids(ids, self.vocab_size)
        return self._tokenizer.decode(ids, skip_special_tokens=True)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """How the vocabulary spells some ids, to look at: "Ġ" is a space, "Ċ" a new line."""
        return [self._tokenizer.id_to_token(int(i)) for i in ids]


def _parse(model: bytes) -> Any:
    """The package's object; ValueError when there is none in the file."""
    package = _package()
    try:
        return package.Tokenizer.from_buffer(model)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the package's Rust is no Exception
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"it is not a tokenizer.json, or a damaged one ({reason})") from None


def _package() -> Any:
    """The `tokenizers` package; ValueError names the extra when it is missing."""
    try:
        return importlib.import_module("tokenizers")
    except ModuleNotFoundError:
        raise ValueError(
            "this vocabulary needs the package tokenizers; pip install 'llamalite[weights]'"
        ) from None
