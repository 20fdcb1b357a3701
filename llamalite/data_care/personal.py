"""Sites and documents that are rich in personal data. Llama 2, section 2.1.

The paper left out sites known to hold much personal information about private individuals.
It lists neither the sites nor how they were known.
Here a site is rich when what `personal_patterns` finds on a sample of its pages is dense enough,
and goes whole when the sample was large enough to say so; every other document is judged by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from llamalite.data_care.documents import RawDocument
from llamalite.data_care.personal_patterns import personal_data

_SHORTEST = 200
"""Characters that a shorter document counts as, so that a line with one address is not rich."""


@dataclass(frozen=True)
class PersonalConfig:
    """When a site or a document is rich in personal data."""

    density: float = 3.0
    """Pieces of personal data per 1,000 characters from which a site or a document goes; 0 lets
    all stay. A piece is an e-mail address, a telephone, social security or card number, a name with
    a number, or a street address."""
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
