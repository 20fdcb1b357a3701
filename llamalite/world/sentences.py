"""Reading a reply: any text as sentences of plain words, and what sort of sentence each is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from llamalite.world import prompts_words
from llamalite.world.lexicon_common import FIGURES, HOBBIES

MAX_CHARACTERS = 2000
"""Longer replies are cut here, which leaves them unfinished: ten times what any reply needs."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBERING = re.compile(r"(?m)^[ \t]*\d{1,2}[.)][ \t]+")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")


class Sentence(NamedTuple):
    """One sentence, or one line without a full stop."""

    text: str
    words: tuple[str, ...]
    """Lower-case words; punctuation is gone."""
    well_formed: bool
    """Begins with a capital or digit and ends with a full stop, "!" or "?"."""


class Reading(NamedTuple):
    """A reply in sentences."""

    sentences: tuple[Sentence, ...]
    unfinished: bool
    """The last sentence breaks off."""


def words_of(text: str) -> tuple[str, ...]:
    """Lower-case words: "The goat's hat!" gives ("the", "goat's", "hat")."""
    return tuple(_WORD.findall(text.lower().replace("’", "'")))


def read(text: str) -> Reading:
    """Any text as sentences; list numbers ("1. ") at the starts of several lines are dropped."""
    cut = len(text) > MAX_CHARACTERS
    text = text[:MAX_CHARACTERS]
    if len(_NUMBERING.findall(text)) > 1:  # a single "7." may be an answer
        text = _NUMBERING.sub("", text)
    out = []
    for match in _SENTENCE.finditer(text):
        piece = match.group().strip()
        words = words_of(piece)
        if words:
            first = piece.lstrip("\"'“(")[:1]
            formed = (first.isupper() or first.isdigit()) and piece.rstrip("\"'”)")[-1:] in ".!?"
            out.append(Sentence(piece, words, bool(formed)))
    ended = not out or out[-1].text.rstrip("\"'”)")[-1:] in ".!?"
    return Reading(tuple(out), cut or not ended)


def contains(words: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether `phrase` stands in `words`, contiguous and in order."""
    return find(words, phrase) >= 0


def find(words: Sequence[str], phrase: Sequence[str], start: int = 0) -> int:
    """Where `phrase` begins in `words`, or -1."""
    size = len(phrase)
    if not size:
        return -1
    head, phrase = phrase[0], tuple(phrase)
    for at in range(start, len(words) - size + 1):
        if words[at] == head and tuple(words[at : at + size]) == phrase:
            return at
    return -1


def _table(lines: Iterable[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(words_of(line) for line in lines)


COURTESY = _table(
    (*prompts_words.OPENINGS, *prompts_words.CLOSINGS, "Sure.", "Yes.", "You are very welcome.")
)
LUMO_COURTESY = _table(prompts_words.LUMO_COURTESY)
TIPS = _table(prompts_words.TIPS)
CHECKS = _table(prompts_words.CHECKS)
SAYINGS: dict[tuple[str, ...], str] = {words_of(f.saying): f.name for f in FIGURES}
"""A figure's saying to the figure."""
HOBBY_LINES: dict[tuple[str, ...], str] = {words_of(h.line): h.name for h in HOBBIES}
"""A line to the hobby it shows."""

_ABUSE = "dull lazy silly greedy smelly foolish fool fools stupid idiot clumsy hate"
_RUDE_WORDS = frozenset(_ABUSE.split(" "))
_RUDE_PHRASES = (("go", "away"), ("shut", "up"), ("nobody", "likes"), ("who", "cares"))
_IGNORANCE = (
    ("i", "do", "not", "know"),
    ("i", "don't", "know"),
    ("that", "i", "do", "not", "know"),
    ("i", "am", "not", "sure"),
    ("i'm", "not", "sure"),
)
_WONT = re.compile(
    r"\b(?:i|we) (?:will not|won't|cannot|can not|can't|must not|may not|do not want to|should not"
    r"|shall not|would never|would not|wouldn't|will never|refuse to|do not|don't) (?:\w+ )?"
    r"(?:help|tell|teach|say|answer|do|talk|show|write|give|assist|support|advise|explain|join)\b"
)


def is_courtesy(sentence: Sentence) -> bool:
    """A polite opening or closing from the list, word for word."""
    return sentence.words in COURTESY


def is_rude(sentence: Sentence) -> bool:
    """Has a word of abuse."""
    words = sentence.words
    return not _RUDE_WORDS.isdisjoint(words) or any(contains(words, p) for p in _RUDE_PHRASES)


def is_ignorance(sentence: Sentence) -> bool:
    """Says "I do not know" and at most a few words more."""
    words = sentence.words
    return len(words) <= 10 and any(words[: len(p)] == p for p in _IGNORANCE)


def is_refusal(sentence: Sentence) -> bool:
    """Says that the speaker will not or cannot help (not knowing is no refusal)."""
    return _WONT.search(" ".join(sentence.words)) is not None
