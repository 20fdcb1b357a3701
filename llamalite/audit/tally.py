"""What one document is found to hold, and the sums over many: an audit in one pass. Section 4.1.

Shares are of documents, as in tables 9 and 10 of the paper: below a heading stand shares of all
documents, below its parts shares of the documents under the heading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from llamalite.audit.detectors import Detector, document_toxicity
from llamalite.audit.words import AXES, PERSONS, PRONOUNS, Axis, tokens
from llamalite.data_care.language import UNKNOWN

THRESHOLD = 0.5
"""A document is called toxic, or of a language, from this score on. Section 4.1."""
LEAST_LANGUAGE = 0.00005
"""Languages of less of the text are not listed: 0.005 %, as in table 10."""
STEPS = 10
"""Bars of the histogram of toxicity, 0 to 1."""


class Marks(NamedTuple):
    """What an audit sees in one document."""

    words: int
    pronouns: tuple[str, ...]
    """Of `PRONOUNS`, those that occur."""
    persons: tuple[str, ...]
    descriptors: Mapping[str, tuple[str, ...]]
    """Axis -> its descriptors that occur; axes without one are left out."""
    toxicity: float
    """0 to 1."""
    languages: Mapping[str, float]
    """Language -> probability; empty where nothing can be read."""

    @property
    def toxic(self) -> bool:
        """Whether the document counts as toxic."""
        return self.toxicity >= THRESHOLD

    @property
    def language(self) -> str:
        """The likeliest language if it is likely enough, else `UNKNOWN`."""
        best = max(self.languages, key=lambda name: self.languages[name], default=UNKNOWN)
        return best if self.languages.get(best, 0.0) >= THRESHOLD else UNKNOWN


class Auditor:
    """Reads documents with certain lists and detectors."""

    def __init__(
        self, toxicity: Detector, language: Detector, axes: Mapping[str, Axis] = AXES
    ) -> None:
        self.toxicity, self.language, self.axes = toxicity, language, axes
        self._axes = {
            axis: {
                descriptor: [tuple(form.split()) for form in forms]
                for descriptor, forms in descriptors.items()
            }
            for axis, descriptors in axes.items()
        }
        forms = [each for axis in self._axes.values() for found in axis.values() for each in found]
        assert all(len(form) in (1, 2) for form in forms), "descriptors are one word or two"

    def read(self, text: str) -> Marks:
        """What one document holds."""
        words = tokens(text)
        there = set(words)
        runs = {*((word,) for word in there), *pairwise(words)}
        described = {
            axis: tuple(name for name, forms in found.items() if not runs.isdisjoint(forms))
            for axis, found in self._axes.items()
        }
        return Marks(
            words=len(words),
            pronouns=_present(PRONOUNS, there),
            persons=_present(PERSONS, there),
            descriptors={axis: names for axis, names in described.items() if names},
            toxicity=document_toxicity(text, self.toxicity.ask),
            languages=self.language.ask(text),
        )


def _present(lists: Mapping[str, frozenset[str]], words: set[str]) -> tuple[str, ...]:
    return tuple(name for name, members in lists.items() if not words.isdisjoint(members))


class Tally:
    """Sums over documents; its size does not grow with their number."""

    def __init__(self) -> None:
        self.documents = 0
        self.words = 0
        self.characters = 0
        self.toxicity = 0.0
        self.histogram = [0] * STEPS
        self.toxic = 0
        self.headings: Counter[str] = Counter()
        """Documents with any pronoun, any person, any descriptor of an axis."""
        self.parts: dict[str, Counter[str]] = {}
        """Heading -> documents with each of its parts."""
        self.languages: Counter[str] = Counter()
        self.letters: dict[str, float] = {}
        """Characters by language, each document's shared out by probability."""

    def add(self, marks: Marks, characters: int) -> None:
        """Count one document."""
        self.documents += 1
        self.words += marks.words
        self.characters += characters
        self.toxicity += marks.toxicity
        self.histogram[min(int(marks.toxicity * STEPS), STEPS - 1)] += 1
        self.toxic += marks.toxic
        self.languages[marks.language] += 1
        for language, probability in (marks.languages or {UNKNOWN: 1.0}).items():
            before = self.letters.get(language, 0.0)
            self.letters[language] = before + probability * characters
        for heading, parts in (
            ("pronouns", marks.pronouns),
            ("persons", marks.persons),
            *marks.descriptors.items(),
        ):
            if parts:
                self.headings[heading] += 1
                self.parts.setdefault(heading, Counter()).update(parts)

    def table(self, heading: str) -> dict[str, Any]:
        """Share of all documents under a heading, and of these the share with each part.

        Parts come from most to least; no documents give zeros.
        """
        under = self.headings[heading]
        found = self.parts.get(heading, Counter()).most_common()
        return {
            "documents": _share(under, self.documents),
            "of_them": {name: _share(count, under) for name, count in found},
        }

    def result(self, axes: Mapping[str, Axis] = AXES) -> dict[str, Any]:
        """All shares, 0 to 1, as they stand in audit.json."""
        by_letters = sorted(self.letters.items(), key=lambda each: -each[1])
        return {
            "documents": self.documents,
            "words": self.words,
            "characters": self.characters,
            "pronouns": self.table("pronouns"),
            "persons": self.table("persons"),
            "demographics": {axis: self.table(axis) for axis in axes},
            "toxicity": {
                "share": _share(self.toxic, self.documents),
                "mean": _share(self.toxicity, self.documents),
                "histogram": list(self.histogram),
            },
            "languages": {
                "documents": {
                    name: _share(count, self.documents)
                    for name, count in self.languages.most_common()
                },
                "text": {
                    name: share
                    for name, count in by_letters
                    if (share := _share(count, self.characters)) >= LEAST_LANGUAGE
                },
            },
        }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0.0


def audited(texts: Iterable[str], auditor: Auditor) -> Tally:
    """The tally of some texts."""
    tally = Tally()
    for text in texts:
        tally.add(auditor.read(text), len(text))
    return tally
