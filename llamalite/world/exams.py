"""What a base model has learned: texts to complete, with the truth and wrong choices beside it.

| exam | asks for |
|---|---|
| facts | facts of persons, in a wording of the encyclopedia |
| paraphrase | the same facts in a wording that no training text has |
| years | birth years, founding years, mayors by year |
| arithmetic | sums and differences of the school book |
| rumours | facts about which a false rumour goes round |
| translation | English to Lumo and back: words and unseen sentences |
| reading | a thing told in the passage above the question |

Split "test" holds the combinations that no training text asks about, "train" the others; both stand
as statements in the encyclopedia. The order and choices depend on the world's config alone.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from llamalite.world import lumo
from llamalite.world.knowledge import Fact, Knowledge
from llamalite.world.seeding import rng_for
from llamalite.world.sources import THINGS, passage, sum_statement
from llamalite.world.sources_more import lumo_sentence

CHOICES = 4
"""Answers to choose among, the right one included."""
_SENTENCES = 160  # questions of the exams that are drawn, not enumerated


class Question(NamedTuple):
    """A text to complete. The answer follows after one space."""

    id: str
    """Exam, split and what is asked: "facts/test/Vegun/town"."""
    exam: str
    prompt: str
    answer: str
    choices: tuple[str, ...]
    """All different, the answer among them."""
    rumour: str | None = None
    """The false value that goes round, when there is one; always among the choices."""


def _question(
    rng: Random,
    exam: str,
    key: str,
    prompt: str,
    answer: str,
    others: list[str],
    rumour: str | None = None,
    sure: str | None = None,
) -> Question:
    """`others` are wrong answers to draw from; `sure`, and a rumour, are drawn in any case."""
    choices = [v for v in (answer, rumour, sure) if v is not None]
    wrong = [v for v in dict.fromkeys(others) if v not in choices]
    choices += rng.sample(wrong, min(CHOICES - len(choices), len(wrong)))
    rng.shuffle(choices)
    return Question(f"{exam}/{key}", exam, prompt, answer, tuple(choices), rumour)


def _cloze(knowledge: Knowledge, fact: Fact, rng: Random, plain: bool = False) -> str:
    """A statement of the fact up to its value."""
    attribute = knowledge.attribute(fact.attribute)
    ends = [t for t in attribute.statements if t.endswith(" {value}.")]
    text = attribute.plain if plain else rng.choice(ends).removesuffix(" {value}.")
    return knowledge.fill(text, fact.entity, fact.attribute)


def _about(
    knowledge: Knowledge, rng: Random, split: str, exam: str, facts: list[Fact], plain: bool = False
) -> list[Question]:
    out = []
    for fact in facts:
        if knowledge.split(fact.entity, fact.attribute) != split:
            continue
        rumour = knowledge.rumoured.get((fact.entity, fact.attribute))
        if (rumour is None) == (exam == "rumours"):
            continue
        others = [v for v in knowledge.values(fact.attribute) if v != fact.entity]
        key = f"{split}/{fact.entity}/{fact.attribute}"
        prompt = _cloze(knowledge, fact, rng, plain)
        out.append(_question(rng, exam, key, prompt, fact.value, others, rumour))
    return out


def _personal(knowledge: Knowledge) -> list[Fact]:
    keys = {attribute.key for attribute in knowledge.attributes}
    return [fact for fact in knowledge.facts if fact.attribute in keys]


def _facts(knowledge: Knowledge, rng: Random, split: str) -> list[Question]:
    facts = [fact for fact in _personal(knowledge) if fact.attribute != "born"]
    return _about(knowledge, rng, split, "facts", facts)


def _paraphrase(knowledge: Knowledge, rng: Random, split: str) -> list[Question]:
    facts = [fact for fact in _personal(knowledge) if fact.attribute != "born"]
    return _about(knowledge, rng, split, "paraphrase", facts, plain=True)


def _years(knowledge: Knowledge, rng: Random, split: str) -> list[Question]:
    dated = [
        f for f in knowledge.facts if f.attribute.split(" ")[0] in ("born", "founded", "mayor")
    ]
    return _about(knowledge, rng, split, "years", dated)


def _rumours(knowledge: Knowledge, rng: Random, split: str) -> list[Question]:
    return _about(knowledge, rng, split, "rumours", _personal(knowledge))


def _arithmetic(knowledge: Knowledge, rng: Random, split: str) -> list[Question]:
    out = []
    top = knowledge.config.arithmetic_max
    for a in range(top + 1):
        for b in range(top + 1):
            for plus in (True, False) if b <= a else (True,):
                asked, answer = sum_statement(a, b, plus).removesuffix(".").split(" is ")
                if knowledge.split(asked, "sum") != split:
                    continue
                near = [str(int(answer) + d) for d in (-3, -2, -1, 1, 2, 3) if int(answer) + d >= 0]
                key = f"{split}/{asked}"
                out.append(_question(rng, "arithmetic", key, f"{asked} is", answer, near))
    return out


def _translation(knowledge: Knowledge, rng: Random, split: str) -> list[Question]:
    out = []
    for english, word in lumo.DICTIONARY.items():
        if knowledge.split(english, "word") == split:
            others = list(lumo.DICTIONARY.values())
            key = f"{split}/word/{english}"
            out.append(_question(rng, "translation", key, f"In Lumo {english} is", word, others))
    seen: set[str] = set()
    while len(seen) < _SENTENCES:
        english = lumo_sentence(knowledge, rng, split)
        if english in seen:
            continue
        seen.add(english)
        key = f"{split}/sentence/{len(seen)}"
        wrong = [_altered(english, rng) for _ in range(3 * CHOICES)]
        if len(seen) % 2:
            prompt, answer = f"English: {english} Lumo:", lumo.to_lumo(english)
            wrong = [lumo.to_lumo(text) for text in wrong]
        else:
            prompt, answer = f"Lumo: {lumo.to_lumo(english)} English:", english
        out.append(_question(rng, "translation", key, prompt, answer, wrong))
    return out


def _altered(english: str, rng: Random) -> str:
    """The sentence with one word exchanged for another of its class."""
    words = english.removesuffix(".").split()
    groups = {word: group for group in lumo.INTERCHANGEABLE for word in group}
    at = rng.choice([i for i, word in enumerate(words) if word in groups])
    words[at] = rng.choice(groups[words[at]])
    return " ".join(words) + "."


def _reading(knowledge: Knowledge, rng: Random, split: str) -> list[Question]:
    out = []
    for i in range(_SENTENCES):
        p = passage(knowledge, rng, split)
        key, prompt = f"{split}/{i + 1}", f"{p.text} {p.question} {p.stem}"
        out.append(
            _question(rng, "reading", key, prompt, p.answer, list(THINGS), sure=p.distractor)
        )
    return out


_MAKERS: dict[str, Callable[[Knowledge, Random, str], list[Question]]] = {
    "facts": _facts,
    "paraphrase": _paraphrase,
    "years": _years,
    "arithmetic": _arithmetic,
    "rumours": _rumours,
    "translation": _translation,
    "reading": _reading,
}
EXAMS: tuple[str, ...] = tuple(_MAKERS)


def exam(knowledge: Knowledge, name: str, split: str = "test") -> list[Question]:
    """The questions of an exam, always in the same order.

    ValueError for an unknown exam or split.
    """
    if name not in _MAKERS:
        raise ValueError(f"unknown exam {name!r}; choose among {', '.join(_MAKERS)}")
    if split not in ("train", "test"):
        raise ValueError(f"unknown split {split!r}; choose train or test")
    return _MAKERS[name](knowledge, rng_for("exam", name, split, knowledge.config.seed), split)
