"""A long-input task: pages that name their person once, and questions asked far below the name.

Llama 2, appendix A.2.1, finds that a doubled context helps where the input is long (table 16). The
ordinary corpus has no long documents, so this source has: only a mixture that names it reads it. On
a page sums stand between the facts, which say "she" or "they"; whoever cannot see as far as the top
cannot know of whom. The exam asks the facts of the exam "facts", with nothing but sums between the
name and the question.
"""

from __future__ import annotations

from random import Random

from llamalite.world.exams import Question, exam
from llamalite.world.knowledge import Knowledge
from llamalite.world.seeding import rng_for
from llamalite.world.sources import random_sum, sum_statement

SOURCE = "biographies"
FACT_SHARES = (0.2, 0.4, 0.7)
"""Shares of a page's sentences that are facts; each page takes one of them."""
_LENGTH = 500  # characters after which a page takes no further sentence: some 250 tokens


def biography(knowledge: Knowledge, rng: Random, index: int) -> str:
    """A page about one person: the name at the top, then facts with pronouns, and sums."""
    name = rng.choice(knowledge.people).name
    share = rng.choice(FACT_SHARES)
    out, left = [top(name)], []
    while sum(map(len, out)) < _LENGTH:
        if rng.random() < share:
            if not left:
                left = [attribute.key for attribute in knowledge.attributes]
                rng.shuffle(left)
            key = left.pop()
            out.append(knowledge.state(name, key, template=rng.randrange(4), pronoun=True))
        else:
            out.append(_sum(knowledge, rng))
    return " ".join(out)


def top(name: str) -> str:
    """The only sentence of a page with its person's name."""
    return f"A page about {name}."


def far_facts(knowledge: Knowledge, sums: int, split: str = "test") -> list[Question]:
    """The questions of the exam "facts" that end in their answer, the name `sums` sums above them.

    Each question's sums are the first of one list of its own, so that a longer input is a shorter
    one with more between. ValueError for an unknown split.
    """
    return [
        question._replace(
            id=f"far {question.id}", exam=SOURCE, prompt=_page(knowledge, question, sums)
        )
        for question in exam(knowledge, "facts", split)
    ]


def _page(knowledge: Knowledge, question: Question, sums: int) -> str:
    _, split, name, key = question.id.split("/")
    rng = rng_for(SOURCE, "exam", split, name, key, knowledge.config.seed)
    ends = [t for t in knowledge.attribute(key).statements if t.endswith(" {value}.")]
    stem = rng.choice(ends).removesuffix(" {value}.")
    asked = knowledge.fill(stem, name, key, pronoun=True)
    return " ".join([top(name), *(_sum(knowledge, rng) for _ in range(sums)), asked])


def _sum(knowledge: Knowledge, rng: Random) -> str:
    return sum_statement(*random_sum(knowledge, rng))
