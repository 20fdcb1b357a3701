"""Personal data in texts, and the sites that are rich in it. Llama 2, section 2.1.

The paper left out sites known to hold much personal information about private individuals.
It lists neither the sites nor how they were known.
Here a site is rich when what the patterns below find on a sample of its pages is dense enough, and
goes whole when the sample was large enough to say so; every other document is judged by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from llamalite.data_care.documents import RawDocument

_STREETS = "Street|St|Road|Rd|Lane|Avenue|Ave|Drive|Square|Way|Boulevard|Close|Court"
# every repetition is bounded: on a hostile text an open one takes time in the square of its length
_PATTERN = re.compile(
    r"(?P<mail>\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})"
    r"|(?P<phone>(?<![\w.-])(?:\+\d{1,3}[ .-]?\(?\d{1,5}\)?(?:[ .-]?\d{2,8}){1,4}\b"
    r"|\(\d{2,5}\)[ .-]?\d{3,4}[ .-]\d{3,4}\b"
    r"|\d{2,4}-\d{3,4}-\d{3,4}\b(?!-\d)|\d{2,4}\.\d{3,4}\.\d{4}\b(?!\.\d)))"
    r"|(?P<named_number>\b(?:[Tt]ele)?(?:[Pp]hone|[Mm]obile|[Cc]ell|[Ff]ax|[Aa]ccount|[Pp]assport)\b"
    r"[^.!?\n\d]{0,40}\b[A-Z][\w'-]{1,30}\b[^.!?\n\d]{0,20}\b\d{4,16}\b)"
    # three numbers in a row are a telephone's where a word says so, and else of any table
    r"|(?i:\b(?:tel|telephone|phone|mobile|fax|call|dial|ring)\b)[^!?\n\d]{0,30}"
    r"(?<![\w.])(?P<called>\d{2,5}[ .-]\d{3,4}[ .-]\d{3,4}\b)"
    r"|(?P<address>\b\d{1,5} (?:[A-Z][a-z]{1,20} ){1,3}(?:" + _STREETS + r")\b)"
)
KINDS = ("mail", "phone", "named_number", "address")
"""What is looked for: e-mail addresses, telephone numbers (with a plus, brackets, hyphens or dots
throughout, or after a word such as "call"), a name with a number ("the phone number of Ann is
1234"), and street addresses."""
_SHORTEST = 200
"""Characters that a shorter document counts as, so that a line with one address is not rich."""


@dataclass(frozen=True)
class PersonalConfig:
    """When a site or a document is rich in personal data."""

    density: float = 3.0
    """Pieces of personal data per 1,000 characters from which a site, or a document of no known
    site, goes; 0 lets all stay."""
    pieces: int = 3
    """Pieces that must be found on it besides."""
    survey: int = 2000
    """Documents at the start of the stream that are looked at to know the sites; 0: all."""
    site_pages: int = 5
    """Pages of a site that the survey must have seen before the site goes whole: one page of
    contacts says little of a large host. With fewer, each of its pages is judged by itself."""

    def __post_init__(self) -> None:
        for name in ("density", "pieces", "survey", "site_pages"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")


class Found(NamedTuple):
    """A piece of personal data in a text."""

    kind: str
    start: int
    end: int


class Site(NamedTuple):
    """What was found on the pages of a site."""

    documents: int = 0
    characters: int = 0
    pieces: int = 0

    def with_page(self, text: str) -> Site:
        """The site with one more page."""
        return Site(
            self.documents + 1,
            self.characters + max(_SHORTEST, len(text)),
            self.pieces + sum(1 for _ in personal_data(text)),
        )

    def rich(self, config: PersonalConfig) -> bool:
        """Whether it is rich in personal data."""
        dense = 1000 * self.pieces >= config.density * self.characters
        return config.density > 0 and dense and self.pieces >= max(1, config.pieces)

    def goes_whole(self, config: PersonalConfig) -> bool:
        """Whether every page of the site goes: it is rich, and enough of it was seen."""
        return self.documents >= config.site_pages and self.rich(config)


def personal_data(text: str) -> Iterator[Found]:
    """Every piece of personal data in a text, in order, none inside another."""
    for match in _PATTERN.finditer(text):
        assert match.lastgroup is not None, "every branch of the pattern has a name"
        if match.lastgroup != "called":
            yield Found(match.lastgroup, *match.span())
            continue
        before = match.start()  # the word that says so, and what stands between it and the number
        for found in personal_data(text[before : match.start("called")]):
            yield Found(found.kind, before + found.start, before + found.end)
        yield Found("phone", *match.span("called"))


def survey_sites(documents: Iterable[RawDocument]) -> dict[str, Site]:
    """What stands on each known site, over readable documents."""
    sites: dict[str, Site] = {}
    for document in documents:
        if document.site and not document.fault:
            sites[document.site] = sites.get(document.site, Site()).with_page(document.text)
    return sites


def personal_fault(document: RawDocument, config: PersonalConfig, sites: dict[str, Site]) -> str:
    """Why a document goes: its site goes whole, or it is rich by itself; empty when it stays.

    A site found clean says nothing for a page of it that is not.
    """
    if sites.get(document.site, Site()).goes_whole(config):
        return f"site rich in personal data: {document.site}"
    page = Site().with_page(document.text)
    return f"rich in personal data: {page.pieces} pieces" if page.rich(config) else ""
