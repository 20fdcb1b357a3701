"""A second, independent reading of the world's sentences: patterns written by hand, from what the
text looks like, so that the generator's templates are not their own oracle."""

import re

NAME = r"(?P<who>[A-Z]\w+)"
WHOSE = r"(?P<who>[A-Z]\w+?)(?:'s)?"  # "Vegun's" as well as "Her"
PATTERNS = {
    "town": [
        rf"{NAME} lives? in (?P<value>\w+)",
        rf"{WHOSE} home is in (?P<value>\w+)",
        rf"{NAME} (?:has|have) a house in (?P<value>\w+)",
        rf"{NAME} comes? from (?P<value>\w+)",
    ],
    "craft": [
        rf"{NAME} works? as a (?P<value>\w+)",
        rf"{NAME} (?:is|are) a (?P<value>\w+)",
        rf"{NAME} earns? money as a (?P<value>\w+)",
        rf"{WHOSE} craft is that of a (?P<value>\w+)",
    ],
    "pet": [
        rf"{NAME} keeps? a (?P<value>\w+)",
        rf"{WHOSE} pet is a (?P<value>\w+)",
        rf"{NAME} looks? after a (?P<value>\w+)",
        rf"{NAME} shares? the house with a (?P<value>\w+)",
    ],
    "food": [
        rf"{NAME} likes? to eat (?P<value>\w+)",
        rf"{WHOSE} favourite food is (?P<value>\w+)",
        rf"{NAME} loves? the taste of (?P<value>\w+)",
        rf"{NAME} often cooks? (?P<value>\w+)",
    ],
    "born": [
        rf"{NAME} (?:was|were) born in (?P<value>\d+)",
        rf"{WHOSE} birth year is (?P<value>\d+)",
        rf"{NAME} came into the world in (?P<value>\d+)",
        rf"{WHOSE} life began in (?P<value>\d+)",
    ],
    "instrument": [
        rf"{NAME} plays? the (?P<value>\w+)",
        rf"{WHOSE} instrument is the (?P<value>\w+)",
        rf"{NAME} makes? music on the (?P<value>\w+)",
        rf"{NAME} practises? the (?P<value>\w+)",
    ],
    "colour": [
        rf"{WHOSE} coat is (?P<value>\w+)",
        rf"{WHOSE} favourite colour is (?P<value>\w+)",
        rf"{NAME} paints? every door (?P<value>\w+)",
        rf"{NAME} dress(?:es)? in (?P<value>\w+)",
    ],
    "friend": [
        rf"{WHOSE} best friend is (?P<value>\w+)",
        rf"{NAME} (?:is|are) a friend of (?P<value>\w+)",
        rf"{NAME} often visits? (?P<value>\w+)",
        rf"{NAME} trusts? (?P<value>\w+)",
    ],
    "tree": [
        rf"{NAME} planted a (?P<value>\w+)",
        rf"{WHOSE} garden has a (?P<value>\w+)",
        rf"{NAME} sits? under a (?P<value>\w+)",
        rf"{WHOSE} house stands by a (?P<value>\w+)",
    ],
    "drink": [
        rf"{NAME} drinks? (?P<value>\w+)",
        rf"{WHOSE} favourite drink is (?P<value>\w+)",
        rf"{WHOSE} cup is full of (?P<value>\w+)",
        rf"{NAME} asks? for (?P<value>\w+)",
    ],
    "landmark": [
        rf"{NAME} is a town (?P<value>[a-z ]+)",
        rf"{NAME} is known as the town (?P<value>[a-z ]+)",
        rf"Travellers come to {NAME}, the town (?P<value>[a-z ]+)",
    ],
    "founded": [
        rf"{NAME} was founded in (?P<value>\d+)",
        rf"The first house in {NAME} was built in (?P<value>\d+)",
        rf"The town of {NAME} began in (?P<value>\d+)",
    ],
    "mayor": [
        rf"In (?P<year>\d+) the mayor of {NAME} was (?P<value>\w+)",
        rf"The mayor of {NAME} in (?P<year>\d+) was (?P<value>\w+)",
        rf"{NAME} in (?P<year>\d+) chose as mayor (?P<value>\w+)",
    ],
}
_COMPILED = {key: [re.compile(p + r"\.") for p in group] for key, group in PATTERNS.items()}


def read(sentence: str) -> tuple[str, str, str] | None:
    """(who, attribute, value) of a statement, "mayor 1920" for dated ones; None if it is none."""
    for key, group in _COMPILED.items():
        for pattern in group:
            found = pattern.fullmatch(sentence)
            if found:
                parts = found.groupdict()
                dated = f" {parts['year']}" if "year" in parts else ""
                return parts["who"], key + dated, parts["value"]
    return None


def sentences(text: str) -> list[str]:
    """The sentences of a text; a full stop ends one when a space or the end follows."""
    return re.findall(r"\S[^.]*(?:\.(?!\s|$)[^.]*)*\.", text)
