"""Personal data in a text, found by its form. Llama 2, section 2.1.

The paper says neither what it took for personal information nor how it was found; this is not in
the paper. What has a form of its own is found: see `KINDS`. Not found are names alone, dates of
birth, numbers written as words, addresses in another order than "12 Mill Lane" or of another
country, identity, tax and passport numbers of other countries than the United States unless they
stand with a name after a word such as "passport", account numbers (IBAN), and telephone numbers
written as the digits of any table unless a word such as "call" says what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("mail", "phone", "social_security", "payment_card", "named_number", "address")
"""What is looked for: e-mail addresses; telephone numbers (with a plus or brackets, with hyphens or
dots throughout and a country's area code before them, or after a word such as "call"); social
security numbers of the United States (078-05-1120, or after "SSN" or "social security" in any
grouping); payment cards (13 to 19 digits, grouped as on a card or not at all, which an issuer's
beginning and the check digit bear out: of rows of numbers that look so, one in ten passes that);
a name with a number ("the phone number of Ann is 1234"); and street addresses."""

_STREETS = "Street|St|Road|Rd|Lane|Avenue|Ave|Drive|Square|Way|Boulevard|Close|Court"
# the numbers that were never given out: of the area, the group, the serial
_SSN = r"(?!000|666|9)\d{3}%s(?!00)\d{2}%s(?!0000)\d{4}\b(?![ .-]?\d)"
# on a card: fours, of 19 digits with a three after them; or a four, a six, and a five or a four
_CARD = "|".join(
    rf"\d{{4}}{gap}(?:\d{{4}}{gap}\d{{4}}{gap}\d{{4}}(?:{gap}\d{{3}})?|\d{{6}}{gap}\d{{4,5}})"
    for gap in " -"
)
# an area code of North America begins with 2 to 9, elsewhere one is dialled with a 0 before it
_HYPHENS = r"(?:(?:1-)?[2-9]\d{2}-\d{3}-\d{4}|0\d{1,3}-\d{3,4}-\d{3,4}|[2-9]\d-\d{4}-\d{4})"
_DOTS = r"(?:(?:1\.)?[2-9]\d{2}\.\d{3}|0\d{1,3}\.\d{3,4})\.\d{4}"
# every repetition is bounded: on a hostile text an open one takes time in the square of its length
_PATTERN = re.compile(
    r"(?P<mail>\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})"
    r"|(?<![\w.-])(?:(?P<phone>\+\d{1,3}[ .-]?\(?\d{1,5}\)?(?:[ .-]?\d{2,8}){1,4}\b"
    r"|\(\d{2,5}\)[ .-]?\d{3,4}[ .-]\d{3,4}\b"
    rf"|{_HYPHENS}\b(?!-\d)|(?<!ersion ){_DOTS}\b(?!\.\d))"
    rf"|(?P<social_security>{_SSN % ('-', '-')})"
    rf"|(?P<payment_card>(?=[2-6])(?:{_CARD}|\d{{13,19}})\b(?![ .-]?\d)))"
    r"|(?P<named_number>\b(?:[Tt]ele)?(?:[Pp]hone|[Mm]obile|[Cc]ell|[Ff]ax|[Aa]ccount|[Pp]assport)\b"
    r"[^.!?\n\d]{0,40}\b[A-Z][\w'-]{1,30}\b[^.!?\n\d]{0,20}\b\d{4,16}\b)"
    r"|[Ss](?<!\w.)(?i:sn|ocial security)\b[^!?\n\d]{0,30}"
    rf"(?<![\w.-])(?P<secured>{_SSN % ('[ -]?', '[ -]?')})"
    # three numbers in a row are a telephone's where a word says so, and else of any table
    r"|(?i:\b(?:tel|telephone|phone|mobile|fax|call|dial|ring)\b)[^!?\n\d]{0,30}"
    r"(?<![\w.])(?<!ersion )(?P<called>\d{2,5}[ .-]\d{3,4}[ .-]\d{3,4}\b(?![ .-]?\d))"
    r"|(?P<address>\b\d{1,5} (?:[A-Z][a-z]{1,20} ){1,3}(?:" + _STREETS + r")\b)"
)
_AFTER_A_WORD = {"called": "phone", "secured": "social_security"}
"""Groups before which the match holds the word that says what they are -> their kinds."""
_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3[068]\d{12}|35\d{14}|6\d{15,18}"
)
"""Beginnings and lengths of the numbers of Visa, Mastercard, American Express, Diners, JCB, and of
Discover, UnionPay and Maestro together."""


class Found(NamedTuple):
    """A piece of personal data in a text."""

    kind: str
    start: int
    end: int


def personal_data(text: str) -> Iterator[Found]:
    """Every piece of personal data in a text, in order, none inside another."""
    at = 0
    while match := _PATTERN.search(text, at):
        at, group = match.end(), match.lastgroup
        assert group is not None, "every branch of the pattern has a name"
        if group == "payment_card" and not is_card(re.sub("[ -]", "", match[0])):
            at = match.start() + 1  # something else may begin inside it
            continue
        if group not in _AFTER_A_WORD:
            yield Found(group, *match.span())
            continue
        before = match.start()  # the word that says so, and what stands between it and the number
        for found in personal_data(text[before : match.start(group)]):
            yield Found(found.kind, before + found.start, before + found.end)
        yield Found(_AFTER_A_WORD[group], *match.span(group))


def is_card(digits: str) -> bool:
    """Whether digits can be a payment card's: an issuer's, with the check digit of ISO/IEC 7812.

    The check digit is Luhn's: every second digit from the right is doubled, and the digits of all
    that come to a multiple of ten.
    """
    doubled = "".join(str(int(digit) * (1 + n % 2)) for n, digit in enumerate(reversed(digits)))
    return bool(_ISSUERS.fullmatch(digits)) and sum(map(int, doubled)) % 10 == 0
