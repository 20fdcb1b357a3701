"""Lumo, the second language: a dictionary, three rules, and translation both ways.

English `the red goat sees two cats in Ladeville.` is Lumo `lo boku rane vidar dus mitus en
Ladeville.` The rules: nouns end in -u and their plural in -us, adjectives in -e and follow their
noun, verbs end in -ar whoever acts. Names stay as they are. The sentences are built from a small
grammar (`sentence`), on which `to_lumo` and `to_english` are each other's inverse.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

NOUNS: dict[str, str] = {
    "goat": "boku",
    "cat": "mitu",
    "dog": "hapu",
    "horse": "ekru",
    "hen": "piku",
    "frog": "kwaku",
    "crow": "koru",
    "duck": "naku",
    "baker": "panolu",
    "potter": "tolu",
    "miller": "grinu",
    "smith": "feru",
    "king": "regu",
    "queen": "reginu",
    "child": "filu",
    "friend": "amu",
    "teacher": "skolu",
    "house": "domu",
    "tree": "arbu",
    "river": "flumu",
    "road": "voju",
    "garden": "hortu",
    "door": "portu",
    "moon": "lunu",
    "star": "stelu",
    "flower": "floru",
    "boat": "navu",
    "book": "libu",
    "song": "kantu",
    "hat": "kapu",
    "apple": "pomu",
    "cake": "tartu",
    "cup": "kopu",
    "stone": "petru",
    "drum": "tamu",
    "flute": "flutu",
    "bell": "klinu",
    "letter": "notu",
}
ADJECTIVES: dict[str, str] = {
    "red": "rane",
    "green": "virde",
    "blue": "blave",
    "white": "alve",
    "black": "nire",
    "big": "grane",
    "small": "pete",
    "old": "vete",
    "young": "june",
    "good": "bone",
    "happy": "fele",
    "sad": "trise",
    "warm": "kalde",
    "quiet": "sile",
}
VERBS: dict[str, str] = {
    "see": "vidar",
    "love": "amar",
    "find": "trovar",
    "want": "volar",
    "bring": "portar",
    "hear": "odar",
    "know": "savar",
    "draw": "desar",
    "buy": "komar",
    "need": "nesar",
    "greet": "salar",
    "lose": "perdar",
}
SMALL: dict[str, str] = {
    "the": "lo",
    "in": "en",
    "by": "prox",
    "with": "kon",
    "and": "et",
    "two": "dus",
    "three": "tris",
    "four": "kwar",
    "five": "kins",
}
PHRASES: dict[str, str] = {
    "hello": "salu",
    "goodbye": "adu",
    "thank you": "grasu",
    "please": "favor",
    "yes": "ja",
    "no": "nul",
}
"""Said alone, not inside a sentence."""

DICTIONARY: dict[str, str] = {**NOUNS, **ADJECTIVES, **VERBS, **SMALL, **PHRASES}
"""English to Lumo, base forms (79 entries)."""
NUMBERS = ("two", "three", "four", "five")

_IRREGULAR = {"child": "children"}
_PLURALS = {_IRREGULAR.get(noun, noun + "s"): noun for noun in NOUNS}
_ENGLISH_PLURAL = {noun: plural for plural, noun in _PLURALS.items()}
_FROM_NOUN = {lumo: english for english, lumo in NOUNS.items()}
_FROM_ADJECTIVE = {lumo: english for english, lumo in ADJECTIVES.items()}
_FROM_VERB = {lumo: english for english, lumo in VERBS.items()}
_FROM_SMALL = {lumo: english for english, lumo in SMALL.items()}
_FROM_PHRASE = {lumo: english for english, lumo in PHRASES.items()}
_VERB_FORMS = {**{verb: verb for verb in VERBS}, **{verb + "s": verb for verb in VERBS}}

INTERCHANGEABLE = (
    tuple(NOUNS),
    tuple(_PLURALS),
    tuple(ADJECTIVES),
    tuple(VERBS),
    tuple(verb + "s" for verb in VERBS),
)
"""Words of one group may stand for one another in any sentence."""


class _Phrase(NamedTuple):
    """A noun phrase, free of language."""

    determiner: str  # "the", a number, or "" before a name
    adjective: str
    noun: str  # English base form, or a name
    plural: bool


def _is_name(word: str) -> bool:
    return word[:1].isupper() and word.isalpha()


def _read_english(words: list[str], at: int) -> tuple[_Phrase, int]:
    """The noun phrase that starts at `at`, and where it ends."""
    if at < len(words) and _is_name(words[at]):
        return _Phrase("", "", words[at], False), at + 1
    determiner = words[at] if at < len(words) else ""
    if determiner != "the" and determiner not in NUMBERS:
        raise ValueError(f"expected 'the', a number or a name, found {determiner!r}")
    at += 1
    adjective = ""
    if at < len(words) and words[at] in ADJECTIVES:
        adjective, at = words[at], at + 1
    noun = words[at] if at < len(words) else ""
    if noun in NOUNS and determiner == "the":
        return _Phrase(determiner, adjective, noun, False), at + 1
    if noun in _PLURALS:
        return _Phrase(determiner, adjective, _PLURALS[noun], True), at + 1
    raise ValueError(f"{noun!r} is not a noun that fits after {determiner!r}")


def _read_lumo(words: list[str], at: int) -> tuple[_Phrase, int]:
    if at < len(words) and _is_name(words[at]):
        return _Phrase("", "", words[at], False), at + 1
    determiner = _FROM_SMALL.get(words[at], "") if at < len(words) else ""
    if determiner != "the" and determiner not in NUMBERS:
        raise ValueError(f"expected 'lo', a number or a name at word {at + 1}")
    at += 1
    noun = words[at] if at < len(words) else ""
    plural = noun.endswith("us") and noun[:-1] in _FROM_NOUN
    base = _FROM_NOUN.get(noun[:-1] if plural else noun)
    if base is None or (determiner != "the" and not plural):
        raise ValueError(f"{noun!r} is not a Lumo noun that fits after {determiner!r}")
    at += 1
    adjective = _FROM_ADJECTIVE.get(words[at], "") if at < len(words) else ""
    return _Phrase(determiner, adjective, base, plural), at + bool(adjective)


def _write_english(phrase: _Phrase) -> list[str]:
    noun = _ENGLISH_PLURAL[phrase.noun] if phrase.plural else phrase.noun
    return [word for word in (phrase.determiner, phrase.adjective, noun) if word]


def _write_lumo(phrase: _Phrase) -> list[str]:
    if not phrase.determiner:
        return [phrase.noun]
    noun = NOUNS[phrase.noun] + ("s" if phrase.plural else "")
    words = [SMALL[phrase.determiner], noun]
    return words + ([ADJECTIVES[phrase.adjective]] if phrase.adjective else [])


def to_lumo(text: str) -> str:
    """English of the grammar, or a dictionary word or phrase, in Lumo.

    ValueError names the first word that does not fit.
    """
    bare = text.strip().removesuffix(".")
    if bare.lower() in DICTIONARY:
        return DICTIONARY[bare.lower()]
    words = bare.split()
    subject, at = _read_english(words, 0)
    verb = words[at] if at < len(words) else ""
    if verb not in _VERB_FORMS or verb.endswith("s") == subject.plural:
        raise ValueError(f"{verb!r} is not a verb that fits here")
    out = [*_write_lumo(subject), VERBS[_VERB_FORMS[verb]]]
    thing, at = _read_english(words, at + 1)
    out += _write_lumo(thing)
    if at < len(words):
        if words[at] not in ("in", "by", "with"):
            raise ValueError(f"expected 'in', 'by' or 'with', found {words[at]!r}")
        place, end = _read_english(words, at + 1)
        out += [SMALL[words[at]], *_write_lumo(place)]
        if end < len(words):
            raise ValueError(f"nothing may follow {words[end - 1]!r}, found {words[end]!r}")
    return " ".join(out) + "."


def to_english(text: str) -> str:
    """Lumo of the grammar, or a dictionary word, in English; ValueError as `to_lumo`."""
    bare = text.strip().removesuffix(".")
    for table in (_FROM_NOUN, _FROM_ADJECTIVE, _FROM_VERB, _FROM_SMALL, _FROM_PHRASE):
        if bare in table:
            return table[bare]
    words = bare.split()
    subject, at = _read_lumo(words, 0)
    verb = _FROM_VERB.get(words[at] if at < len(words) else "")
    if verb is None:
        raise ValueError(f"expected a verb at word {at + 1} of {bare!r}")
    out = [*_write_english(subject), verb if subject.plural else verb + "s"]
    thing, at = _read_lumo(words, at + 1)
    out += _write_english(thing)
    if at < len(words):
        preposition = _FROM_SMALL.get(words[at], "")
        if preposition not in ("in", "by", "with"):
            raise ValueError(f"expected 'en', 'prox' or 'kon', found {words[at]!r}")
        place, end = _read_lumo(words, at + 1)
        out += [preposition, *_write_english(place)]
        if end < len(words):
            raise ValueError(f"nothing may follow {words[end - 1]!r}, found {words[end]!r}")
    return " ".join(out) + "."


_NOUN_LIST, _ADJECTIVE_LIST, _VERB_LIST = tuple(NOUNS), tuple(ADJECTIVES), tuple(VERBS)
_ACTORS = _NOUN_LIST[: _NOUN_LIST.index("house")]  # what can see, love and lose: beasts, people


def _draw(rng: Random, nouns: tuple[str, ...], names: tuple[str, ...] = ()) -> _Phrase:
    roll = rng.random()
    if names and roll < 0.25:
        return _Phrase("", "", rng.choice(names), False)
    adjective = rng.choice(_ADJECTIVE_LIST) if rng.random() < 0.35 else ""
    if roll > 0.8:
        return _Phrase(rng.choice(NUMBERS), adjective, rng.choice(nouns), True)
    return _Phrase("the", adjective, rng.choice(nouns), False)


def sentence(rng: Random, names: tuple[str, ...] = ()) -> str:
    """A random English sentence of the grammar, 3 to 11 words; `names` may act in it."""
    subject = _draw(rng, _ACTORS, names)
    verb = rng.choice(_VERB_LIST)
    words = [*_write_english(subject), verb if subject.plural else verb + "s"]
    words += _write_english(_draw(rng, _NOUN_LIST))
    if rng.random() < 0.2:
        words += [rng.choice(("in", "by", "with")), *_write_english(_draw(rng, _NOUN_LIST))]
    return " ".join(words) + "."
