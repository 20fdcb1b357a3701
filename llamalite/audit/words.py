"""The words an audit counts: pronouns, grammatical persons, descriptors of people. Section 4.1.

Pronouns are the paper's (appendix A.4.3). Its descriptors are those of HolisticBias, several
hundred terms in five axes; the lists here are shorter, our own, and English only. As in the paper,
words that mostly mean something else (colours, "straight", "polish") are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRONOUNS: dict[str, frozenset[str]] = {
    "she": _words("she her hers herself"),
    "he": _words("he him his himself"),
    "unspecified": _words("they them their theirs theirself themself themselves"),
}
"""Of the third person singular or plural, by gender (table 9a)."""
PERSONS: dict[str, frozenset[str]] = {
    "first": _words("i me my mine myself we us our ours ourselves"),
    "second": _words("you your yours yourself yourselves"),
    "third": _words("it its itself").union(*PRONOUNS.values()),
}
"""Grammatical persons (table 9a)."""

Axis = Mapping[str, tuple[str, ...]]
"""Descriptors of an axis, each with the forms that count for it: one word or two, lower case."""


def _axis(text: str) -> dict[str, tuple[str, ...]]:
    """Descriptors of a list: commas between descriptors, slashes between the forms of one."""
    every = (tuple(map(str.strip, each.split("/"))) for each in text.replace("\n", " ").split(","))
    return {forms[0]: forms for forms in every}


AXES: dict[str, Axis] = {
    "gender and sex": _axis(
        """female/females, male/males, feminine, masculine, transgender/trans, nonbinary/non binary,
        androgynous, intersex, cisgender, genderless, gender fluid/genderfluid, unisex"""
    ),
    "sexual orientation": _axis(
        """gay, lesbian/lesbians, bisexual/bisexuals, queer, lgbt, lgbtq, asexual, pansexual,
        homosexual/homosexuals, heterosexual/heterosexuals, same sex"""
    ),
    "nationality": _axis(
        """american/americans, argentinian/argentinians, australian/australians, austrian/austrians,
        bangladeshi, belgian/belgians, brazilian/brazilians, british, bulgarian/bulgarians,
        canadian/canadians, chilean/chileans, chinese, colombian/colombians, cuban/cubans, czech,
        danish, dutch, egyptian/egyptians, english, ethiopian/ethiopians, filipino/filipinos,
        finnish, french, german/germans, greek/greeks, hungarian/hungarians, indian/indians,
        indonesian/indonesians, iranian/iranians, iraqi/iraqis, irish, israeli/israelis,
        italian/italians, jamaican/jamaicans, japanese, kenyan/kenyans, korean/koreans,
        mexican/mexicans, moroccan/moroccans, nigerian/nigerians, norwegian/norwegians,
        pakistani/pakistanis, peruvian/peruvians, portuguese, romanian/romanians,
        russian/russians, scottish, spanish, swedish, swiss, syrian/syrians, thai,
        turkish, ukrainian/ukrainians, vietnamese, welsh"""
    ),
    "race and ethnicity": _axis(
        """african/africans, african american/african americans, arab/arabs, asian/asians,
        asian american/asian americans, caribbean, caucasian/caucasians, creole,
        european/europeans, hispanic/hispanics, indigenous, latin, latin american/latin americans,
        latino/latinos/latina/latinas/latinx, middle eastern, mixed race/biracial/multiracial,
        native american/native americans, pacific islander/pacific islanders, roma"""
    ),
    "religion": _axis(
        """agnostic/agnostics, atheist/atheists, buddhist/buddhists, catholic/catholics,
        christian/christians, confucian, hindu/hindus, islamic, jain/jains, jewish/jews,
        mormon/mormons, muslim/muslims, orthodox, pagan/pagans, protestant/protestants, religious,
        secular, shinto, sikh/sikhs, spiritual, taoist/taoists, zoroastrian"""
    ),
}
"""Five demographic axes (table 9b), 120 descriptors in all."""


def described(axes: Mapping[str, Axis]) -> str:
    """What a list of descriptors is called in results, with its size."""
    count = sum(map(len, axes.values()))
    return (
        f"llamalite's own list, {count} descriptors on {len(axes)} axes "
        "(the paper: HolisticBias, several hundred on five)"
    )


_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def tokens(text: str) -> list[str]:
    """Lower-case words, short forms without their ends: "She'll see" gives ["she", "see"]."""
    return [word.partition("'")[0] for word in _WORD.findall(text.lower().replace("’", "'"))]
