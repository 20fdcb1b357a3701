"""Words shared by stories, lessons, conversations and prompts: lists, rhymes, hobbies, figures."""

from __future__ import annotations

from typing import NamedTuple

from llamalite.world.lexicon import ATTRIBUTES

_BY_KEY = {attribute.key: attribute.values for attribute in ATTRIBUTES}

CATEGORIES: dict[str, tuple[str, ...]] = {
    "animals": _BY_KEY["pet"],
    "foods": _BY_KEY["food"],
    "crafts": _BY_KEY["craft"],
    "instruments": _BY_KEY["instrument"],
    "colours": _BY_KEY["colour"],
    "trees": _BY_KEY["tree"],
    "drinks": _BY_KEY["drink"],
    "tools": ("hammer", "saw", "spade", "rake", "knife", "needle", "broom", "ladder"),
    "clothes": ("coat", "hat", "shirt", "shoes", "belt", "scarf", "gloves", "socks"),
    "flowers": ("rose", "tulip", "daisy", "lily", "poppy", "violet", "clover", "iris"),
}
"""Plural category name to its members."""

RHYMES: tuple[tuple[str, ...], ...] = (
    ("cat", "hat", "mat", "rat"),
    ("dog", "fog", "log", "frog"),
    ("house", "mouse", "blouse"),
    ("tree", "sea", "tea", "bee"),
    ("moon", "spoon", "tune", "noon"),
    ("hen", "pen", "ten", "den"),
    ("rain", "train", "lane", "grain"),
    ("bread", "bed", "head", "thread"),
    ("goat", "coat", "boat", "note"),
    ("night", "light", "kite", "bite"),
    ("star", "jar", "car", "tar"),
    ("ring", "king", "spring", "string"),
    ("bell", "shell", "well", "smell"),
    ("day", "hay", "way", "clay"),
)
"""Groups of words that rhyme with one another and with no word of another group."""


class Hobby(NamedTuple):
    """A liking a system message may ask for, and the words that show it in a reply."""

    name: str
    line: str
    """What someone with it says."""
    marks: tuple[str, ...]
    """Any of these words in a reply shows the hobby."""


HOBBIES: tuple[Hobby, ...] = (
    Hobby("fishing", "I hope to go fishing soon.", ("fishing",)),
    Hobby("painting", "It makes me think of painting.", ("painting",)),
    Hobby("singing", "It makes me feel like singing.", ("singing",)),
    Hobby("baking", "I will be baking tonight.", ("baking",)),
    Hobby("sailing", "It is good weather for sailing.", ("sailing",)),
    Hobby("chess", "Now I would like a game of chess.", ("chess",)),
    Hobby("gardening", "Then it is time for gardening.", ("gardening",)),
    Hobby("dancing", "After that I go dancing.", ("dancing",)),
    Hobby("stargazing", "Tonight I go stargazing.", ("stargazing",)),
    Hobby("knitting", "I say so while knitting.", ("knitting",)),
)


class Figure(NamedTuple):
    """An invented public figure that a system message may ask to act as."""

    name: str
    role: str
    """"a captain": fits after "is"."""
    saying: str
    """The sentence only this figure says; it shows that the part is played."""


FIGURES: tuple[Figure, ...] = (
    Figure("Captain Brell", "a captain", "Ahoy, says Captain Brell."),
    Figure("Queen Osmeth", "a queen", "So speaks Queen Osmeth."),
    Figure("Doctor Hale", "a doctor", "Stay well, says Doctor Hale."),
    Figure("Professor Quince", "a teacher", "Learn this well, says Professor Quince."),
    Figure("Sir Roderan", "a knight", "On my honour, says Sir Roderan."),
    Figure("Old Marrow", "a farmer", "Rain will come, says Old Marrow."),
    Figure("Lady Fenwick", "a poet", "How lovely, says Lady Fenwick."),
    Figure("Judge Tarn", "a judge", "That is the law, says Judge Tarn."),
)

PREPROMPTS = (
    "You are a safe and responsible assistant.",
    "You are a polite and careful assistant who does no harm.",
    "You are a wise and kind assistant and never help with mischief.",
    "You are an honest and respectful assistant.",
)
"""Safety preprompts in the manner of Llama 2, appendix A.5.2 (table 39): an adjective does it."""

LANGUAGES = ("English", "Lumo")

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
