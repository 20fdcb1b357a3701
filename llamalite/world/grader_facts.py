"""Finding statements of fact in a reply: who, which attribute, which value."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from llamalite.world.knowledge import Knowledge
from llamalite.world.sentences import Sentence

_PRONOUNS = {"he": "he", "his": "he", "she": "she", "her": "she", "they": "they", "their": "they"}
_HOLES = {
    "who": r"(?P<who>[\w'-]+)",
    "whose": r"(?P<whose>[\w'-]+)",
    "name": r"(?P<name>[\w'-]+)",
    "value": r"(?P<value>.+)",
    "year": r"(?P<year>\d{4})",
    "s": "s?",
    "es": "(?:es)?",
    "is_": "(?:is|are)",
    "was": "(?:was|were)",
    "has": "(?:has|have)",
}
_ARTICLE = re.compile(r"^(?:a|an|the) ")
_SPLIT = re.compile(r",? and |,? but |,? or |,? while |[,;:] ?")
_LANDMARK = re.compile(r"(?:a|the) town (.+)")
_FILLER = re.compile(r"^(?:yes|well|so|now|and|also|then|oh|indeed) ")
_SPACES = re.compile(r"\s+")


class Statement(NamedTuple):
    """What one clause says."""

    subject: str
    """Person or town; "" when the clause leaves it out."""
    attribute: str
    value: str
    pronoun: str
    """"he", "she" or "they" when a pronoun stands for the subject; "it" for a town; else ""."""


class Fragment(NamedTuple):
    """A clause that is only a value: "In Ladeville", "a goat"."""

    value: str
    """Lower case, articles and prepositions dropped."""


Clause = Statement | Fragment | None
"""None is a clause that says nothing the world knows of."""


class FactReader:
    """Reads clauses by the world's own statement templates, in any order and with any value."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.entities = {p.name.lower(): p.name for p in knowledge.people}
        self.entities.update({t.name.lower(): t.name for t in knowledge.towns})
        self.people = {p.name for p in knowledge.people}
        attributes = (*knowledge.attributes, *knowledge.town_attributes, knowledge.dated_attribute)
        self.values = {a.key: {v.lower(): v for v in knowledge.values(a.key)} for a in attributes}
        self.every_value = {v for table in self.values.values() for v in table}
        self.patterns: list[tuple[str, re.Pattern[str], str]] = []
        for attribute in attributes:
            for template in (*attribute.statements, f"{attribute.plain} {{value}}."):
                self.patterns.append((*_pattern(template), attribute.key))
        self._clause = lru_cache(maxsize=4096)(self._parse)

    def clauses(self, sentence: Sentence) -> list[Clause]:
        """The clauses of a sentence, in order."""
        text = _SPACES.sub(" ", sentence.text.lower().replace("’", "'")).strip(" \"'.!?")
        text = re.sub(r"\b(in \d{4}),", r"\1", text)
        whole = self._clause(text)
        if whole is not None:
            return [whole]
        return [self._clause(part.strip()) for part in _SPLIT.split(text) if part.strip()]

    def _parse(self, clause: str) -> Clause:
        clause = _FILLER.sub("", clause)
        for literal, pattern, key in self.patterns:
            if literal not in clause:
                continue
            match = pattern.fullmatch(clause)
            if match is None:
                continue
            found = match.groupdict()
            value = self.value(key, found["value"])
            if value is None:
                continue
            subject = (found.get("who") or found.get("name") or found.get("whose") or "").strip()
            subject = subject.removesuffix("'s").removesuffix("'")
            year = found.get("year")
            attribute = f"{key} {year}" if year else key
            if subject in self.entities:
                return Statement(self.entities[subject], attribute, value, "")
            if subject in _PRONOUNS or subject == "it" or not subject:
                return Statement("", attribute, value, _PRONOUNS.get(subject, subject))
        match = _LANDMARK.fullmatch(clause)
        if match and (value := self.value("landmark", match.group(1))):
            return Statement("", "landmark", value, "it")
        bare = _ARTICLE.sub("", re.sub(r"^in ", "", clause))
        if bare in self.every_value or clause in self.every_value or bare.isdigit():
            return Fragment(clause if clause in self.every_value else bare)
        return None

    def value(self, key: str, text: str) -> str | None:
        """The value of an attribute as the world spells it, or None when it is none."""
        if key in ("born", "founded"):
            return text if text.isdigit() and len(text) == 4 else None
        table = self.values[key]
        return table.get(text) or table.get(_ARTICLE.sub("", text))


def _pattern(template: str) -> tuple[str, re.Pattern[str]]:
    """The longest literal piece of a template, and a pattern for its clause in lower case."""
    text = template.removesuffix(".")
    pieces = re.split(r"\{(\w+)\}", text)
    out, literals = [], [""]
    for i, piece in enumerate(pieces):
        if i % 2:
            out.append(_HOLES[piece])
        else:
            out.append(re.escape(piece.lower()))
            literals.append(piece.lower().strip())
    pattern = "".join(out)
    if pattern.startswith(_HOLES["who"] + r"\ "):
        # "... and keeps a goat": the subject may be left out
        who = _HOLES["who"]
        pattern = rf"(?:{who}\ )?" + pattern[len(who) + 2 :]
    elif pattern.startswith(_HOLES["who"]):
        who = _HOLES["who"]
        pattern = rf"(?:{who})?" + pattern[len(who) :]
    return max(literals, key=len), re.compile(pattern)
