"""A dialogue as one string in the format of a model's vocabulary, control tokens by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamalite.text import chatml
from llamalite.text.bpe import END, ByteTokenizer
from llamalite.text.chat import exchanges, render


def chat_text(tokenizer: Any, messages: Sequence[Mapping[str, str]], ask: bool = True) -> str:
    """The dialogue up to where an answer begins, or without `ask` with its last answer left open.

    Raises ValueError when roles do not alternate or a content holds a tag of the format.
    """
    if isinstance(tokenizer, ByteTokenizer):
        import jinja2

        exchanges(messages, tokenizer.tags)  # refuses what is malformed
        format_ = jinja2.Template(chatml.template(tokenizer.default_system))
        text = format_.render(messages=messages, add_generation_prompt=ask)
        return text if ask else text.removesuffix(f"{END}\n")
    text = render(messages)
    return text if ask else text.removesuffix(" </s>")
