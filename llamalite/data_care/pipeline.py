"""The stages of the cleaning in their order, and the counts before and after each. Section 2.1.

A stage is a function of a document that says why it goes, or nothing. Which are used, and where
their bounds lie, is not printed in the paper; the order is the usual one, cheap ones first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llamalite.data_care.documents import RawDocument
from llamalite.data_care.duplicates import DuplicateIndex, DuplicatesConfig, Marks
from llamalite.data_care.language import LanguageConfig, identify, language_fault, named
from llamalite.data_care.personal import PersonalConfig, Site, personal_fault
from llamalite.data_care.quality import QualityConfig, quality_fault

STAGES = ("readable", "personal data", "language", "quality", "exact copies", "near copies")
"""What a document must pass, in order."""


class Verdict(NamedTuple):
    """What became of a document."""

    stage: str
    """The stage that rejected it; empty when it stays."""
    reason: str
    language: str
    """Its language, `UNKNOWN` where that is not sure, empty where a stage before rejected it."""


@dataclass(frozen=True)
class Rules:
    """The settings of all stages."""

    language: LanguageConfig = field(default_factory=LanguageConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    personal: PersonalConfig = field(default_factory=PersonalConfig)


def judge(
    document: RawDocument, rules: Rules, sites: dict[str, Site], index: DuplicateIndex
) -> Verdict:
    """Pass a document through all stages; one that stays is remembered in the index."""
    if document.fault:
        return Verdict("readable", document.fault, "")
    if reason := personal_fault(document, rules.personal, sites):
        return Verdict("personal data", reason, "")
    language = named(identify(document.text), rules.language.confidence)
    if reason := language_fault(language, rules.language):
        return Verdict("language", reason, language)
    if reason := quality_fault(document.text, rules.quality):
        return Verdict("quality", reason, language)
    marks = Marks(document.text, rules.duplicates)
    if twin := index.exact_twin(marks):
        return Verdict("exact copies", f"copy: {twin.place}", language)
    if twin := index.near_twin(marks):
        return Verdict("near copies", f"near copy: {twin.place} ({twin.similarity:.2f})", language)
    index.keep(marks, document.place)
    return Verdict("", "", language)


class Tally(NamedTuple):
    """Documents and their characters."""

    documents: int = 0
    characters: int = 0

    def plus(self, documents: int, characters: int) -> Tally:
        return Tally(self.documents + documents, self.characters + characters)


@dataclass
class Counts:
    """What came in and what each stage took out, by source."""

    seen: dict[str, Tally] = field(default_factory=dict)
    removed: dict[str, dict[str, Tally]] = field(default_factory=dict)
    """Source -> stage -> what the stage took out."""
    languages: dict[str, Counter[str]] = field(default_factory=dict)
    """Source -> language -> documents, of those whose language was looked at."""
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    """Stage -> reason, without its details -> documents."""

    def count(self, document: RawDocument, verdict: Verdict) -> None:
        """One more document and what became of it."""
        source, size = document.source, document.characters
        self.seen[source] = self.seen.get(source, Tally()).plus(1, size)
        if verdict.language:
            self.languages.setdefault(source, Counter())[verdict.language] += 1
        if verdict.stage:
            taken = self.removed.setdefault(source, {})
            taken[verdict.stage] = taken.get(verdict.stage, Tally()).plus(1, size)
            self.reasons.setdefault(verdict.stage, Counter())[verdict.reason.split(":")[0]] += 1

    def kept(self, source: str) -> Tally:
        """What is left of a source after all stages."""
        left = self.seen.get(source, Tally())
        for taken in self.removed.get(source, {}).values():
            left = left.plus(-taken.documents, -taken.characters)
        return left

    def rows(self) -> list[dict[str, Any]]:
        """The table: for each source and stage, documents and characters before and after."""
        out = []
        for source, left in self.seen.items():
            for stage in STAGES:
                taken = self.removed.get(source, {}).get(stage, Tally())
                after = left.plus(-taken.documents, -taken.characters)
                row = {"source": source, "stage": stage}
                out.append(row | {"before": left._asdict(), "after": after._asdict()})
                left = after
        return out

    def state_dict(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        return {
            "seen": self.seen,
            "removed": self.removed,
            "languages": self.languages,
            "reasons": self.reasons,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Counts:
        """Undo `state_dict`, out of JSON."""
        return cls(
            {source: Tally(*pair) for source, pair in state["seen"].items()},
            {
                source: {stage: Tally(*pair) for stage, pair in taken.items()}
                for source, taken in state["removed"].items()
            },
            {source: Counter(each) for source, each in state["languages"].items()},
            {stage: Counter(each) for stage, each in state["reasons"].items()},
        )
