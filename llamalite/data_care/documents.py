"""A document on its way through the cleaning, and what makes a text unusable as such."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

HEAD = 200
"""Characters of a rejected document that are kept, to look at."""
MAX_BYTES = 10_000_000
"""A longer document is not taken into memory by what reads a corpus, but set aside."""


class RawDocument(NamedTuple):
    """A text as it was found, or the place where one could not be read."""

    text: str
    """The whole text; only the beginning where `fault` says why it could not be used."""
    source: str
    """The source it belongs to, as the corpus names it."""
    place: str
    """File and line (row of a Parquet file), or what else leads back to it."""
    site: str = ""
    """Host of the web page it comes from, where known."""
    fault: str = ""
    """Why it could not be read: a few words, then perhaps ": " and details."""
    size: int = 0
    """Bytes, or characters, of what could not be read."""

    @property
    def characters(self) -> int:
        """Length of the text, also of one that was not read whole."""
        return self.size if self.fault else len(self.text)


def unusable(text: object) -> str:
    """Why a value is no text to learn from; empty when it is one."""
    if not isinstance(text, str):
        return "no text"
    if not text or text.isspace():
        return "blank"
    if "\0" in text:
        return "null bytes"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"half a character: a lone surrogate at {error.start}"
    return ""


def head(text: str) -> str:
    """The beginning of any text, fit to be written down and to be looked at in a terminal."""
    shown = text[:HEAD].encode(errors="replace").decode()
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}"
        for char in shown
    )


def site_of(site: object, url: object) -> str:
    """The site a row names, or the host of its address; empty where it has neither."""
    if isinstance(site, str) and site:
        return site
    try:
        return (urlsplit(url).hostname or "") if isinstance(url, str) else ""
    except ValueError:  # an address that is none
        return ""
