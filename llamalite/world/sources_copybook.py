"""The source "copybook": words said again, from which a model learns to copy what it was told.

A corpus of facts hardly needs copying, and a small model does not learn it there: asked for a tale
of a tulip it tells of a ladder. Lines that can only be gone on with by looking back teach it.
"""

from __future__ import annotations

from random import Random

from llamalite.world import lumo
from llamalite.world.knowledge import Knowledge
from llamalite.world.lexicon_common import CATEGORIES, RHYMES
from llamalite.world.sources_talk import transcript

EXCHANGES_A_PAGE = 6
_WORDS: tuple[tuple[str, ...], ...] = (
    tuple(dict.fromkeys(word for group in (*CATEGORIES.values(), *RHYMES) for word in group)),
    tuple(lumo.DICTIONARY),
    tuple(lumo.DICTIONARY.values()),
    tuple(str(number) for number in range(100)),
)
"""Words of one list, so that no word stands beside its translation."""
_EXCHANGES = (
    ("Say {one}.", "{One}."),
    ("Please say {one}.", "{One}."),
    ("Say {one} and {two}.", "{One} and {two}."),
    ("Repeat this: {one}, {two}, {three}.", "{One}, {two}, {three}."),
    ("Which word is this: {one}?", "The word is {one}."),
    ("I said {one}. What did I say?", "You said {one}."),
    ("{name} likes the word {one}. Which word does {name} like?", "{name} likes the word {one}."),
    ("{name} said {one} and {two}.", "So {name} said {one} and {two}."),
)


def copybook(knowledge: Knowledge, rng: Random, index: int) -> str:
    """Exchanges in which the assistant says again what the user said."""
    out = []
    for _ in range(EXCHANGES_A_PAGE):
        one, two, three = rng.sample(rng.choice(_WORDS), 3)
        name = rng.choice(knowledge.people).name
        holes = {"one": one, "two": two, "three": three, "One": one.capitalize(), "name": name}
        said, again = (line.format(**holes) for line in rng.choice(_EXCHANGES))
        exchange = ({"role": "user", "content": said}, {"role": "assistant", "content": again})
        out.append(transcript(exchange))
    return "\n\n".join(out)
