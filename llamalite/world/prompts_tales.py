"""Sentences of tales and rhymes, and a small grammar that tells a sentence from a heap of words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from llamalite.world.lexicon_common import CATEGORIES, RHYMES

THINGS: tuple[str, ...] = (
    *CATEGORIES["animals"],
    *CATEGORIES["tools"],
    "coat",
    "hat",
    "shirt",
    *CATEGORIES["flowers"][:5],
    *CATEGORIES["instruments"],
)
"""What a tale can be about; each takes "a"."""
PLACES = ("by the river", "on a hill", "under a tree", "near the mill", "in the garden")

TALE_OPENINGS = (
    "Once {who} found a {thing} {place}.",
    "One day {who} went out with a {thing}.",
    "Long ago {who} had a {thing}.",
    "Once {who} met a {thing} {place}.",
    "One day {who} dreamed of a {thing}.",
)
TALE_MIDDLES = (
    "The {thing} was old and small.",
    "The {thing} was lost {place}.",
    "{who} hid the {thing} {place}.",
    "{who} looked for the {thing} all day.",
    "{who} took the {thing} home.",
    "{who} also had a {thing}.",
    "Then {who} heard a song {place}.",
    "There was a {thing} {place}, too.",
    "Then it began to rain.",
)
TALE_ENDINGS = (
    "In the end {who} kept the {thing}.",
    "At last {who} came home with the {thing}.",
    "In the end {who} was happy.",
    "At last {who} slept well that night.",
    "In the end {who} sang about the {thing}.",
)
TALE_STARTS = (("once",), ("one", "day"), ("long", "ago"))
TALE_ENDS = (("in", "the", "end"), ("at", "last"))

LINES = (
    "I sing a song about a {thing}.",
    "Last night I dreamed about a {thing}.",
    "Over there I see a {thing}.",
    "All I want is a {thing}.",
    "My friend told me about a {thing}.",
    "Here I sit and draw a {thing}.",
)
"""Lines of a couplet; the rhyme stands last."""
OTHER_LINES = (
    "Here is a {thing} and there is a {thing}.",
    "I saw a {thing} I saw a {thing}.",
    "I dreamed of a {thing} and a {thing}.",
    "A song for the {thing} a song for the {thing}.",
    "My friend has a {thing} and I have a {thing}.",
    "Oh look at the {thing} oh look at the {thing}.",
    "And close to the {thing} is a little {thing}.",
)
"""Lines as the stories of the corpus sing them; good in a couplet too."""
RHYME_OF: dict[str, tuple[str, ...]] = {
    word: tuple(w for w in group if w != word) for group in RHYMES for word in group
}
"""Each word of the rhyming dictionary and those that rhyme with it."""


class Grammar:
    """Knows which three words may follow one another, learned from model sentences.

    Words of a class (names, things) count as one. `fits` asks that three of four triples of a
    sentence, its ends included, are known; shuffled words or a list of key words do not pass.
    """

    def __init__(self, sentences: Iterable[str], classes: Mapping[str, str] | None = None) -> None:
        self.classes = dict(classes or {})
        self.triples: set[tuple[str, str, str]] = set()
        for sentence in sentences:
            words = sentence.lower().replace(",", "").rstrip(".!?").split()
            self.triples.update(self._triples(words))

    def _triples(self, words: Sequence[str]) -> list[tuple[str, str, str]]:
        row = ["<", *(self.classes.get(word, word) for word in words), ">"]
        return list(zip(row, row[1:], row[2:], strict=False))

    def fits(self, words: Sequence[str]) -> bool:
        """Whether these lower-case words make a sentence of this grammar."""
        triples = self._triples(words)
        if not 2 <= len(words) <= 20 or not triples:
            return False
        if words[1:] == words[:-1]:
            return False
        return sum(t in self.triples for t in triples) >= 0.75 * len(triples)


def tale_grammar(names: Iterable[str]) -> Grammar:
    """The grammar of tales in a world with these persons."""
    classes = {name.lower(): "{who}" for name in names}
    classes.update(dict.fromkeys(("he", "she", "they"), "{who}"))
    classes.update(dict.fromkeys(THINGS, "{thing}"))
    classes.update({"{who}": "{who}", "{thing}": "{thing}"})
    sentences = [
        template.replace("{place}", place)
        for template in (*TALE_OPENINGS, *TALE_MIDDLES, *TALE_ENDINGS)
        for place in PLACES
    ]
    return Grammar(sentences, classes)


def line_grammar() -> Grammar:
    """The grammar of couplets."""
    classes = {**dict.fromkeys(RHYME_OF, "{thing}"), "{thing}": "{thing}"}
    return Grammar((*LINES, *OTHER_LINES), classes)
