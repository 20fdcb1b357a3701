"""The words of the world: what people are, own and like; how facts are told and asked.

Statements leave these holes: {who} the name or "He", "She", "They"; {whose} "Vegun's" or "Her";
{s}, {es}, {is_}, {was}, {has} agree with it; {value} the value. Every value takes "a", never "an",
so that the article does not give the answer away. Test questions stand in no training text, but
are made of parts that training questions use in other sentences: a model of a million parameters
knows no others, and learns that parts can be exchanged only when it meets many sentences.
"""

from __future__ import annotations

from typing import NamedTuple


class Attribute(NamedTuple):
    """One thing that can be known of an entity, and all ways to tell and to ask it."""

    key: str
    topic: str
    """A noun for it: "home town"."""
    statements: tuple[str, ...]
    """Declarative templates; [0] is the plainest, and the model answer to a question."""
    train_questions: tuple[str, ...]
    test_questions: tuple[str, ...]
    plain: str
    """A wording of the statement that no training text has, up to the value; for the exams."""
    values: tuple[str, ...]
    """All values it may have; empty where they are made from the world (towns, persons, years)."""
    asked: tuple[str, ...]
    """What fits after "Tell me": "where {name} lives", "the home of {name}"."""

    def questions(self, split: str) -> tuple[str, ...]:
        """Question templates of "train" or "test", with the hole {name}.

        Training has the direct questions and, of all of `FRAMES` with `asked`, those that no test
        has.
        """
        if split != "train":
            return self.test_questions
        framed = (frame.format(asked=asked) for asked in self.asked for frame in FRAMES)
        every = dict.fromkeys((*self.train_questions, *framed))
        return tuple(question for question in every if question not in self.test_questions)


FRAMES = (
    "Tell me {asked}.",
    "I want to know {asked}.",
    "Do you know {asked}?",
    "Can you say {asked}?",
)
"""Sentences around what is asked."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BIRTH_YEARS = tuple(str(year) for year in range(1860, 1900))

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        "town",
        "home town",
        (
            "{who} live{s} in {value}.",
            "{whose} home is in {value}.",
            "{who} {has} a house in {value}.",
            "{who} come{s} from {value}.",
        ),
        (
            "Where does {name} live?",
            "In which town does {name} live?",
            "Tell me where {name} lives.",
        ),
        ("Tell me in which town {name} lives.", "In which town is the home of {name}?"),
        "The town where {name} lives is",
        (),
        (
            "where {name} lives",
            "in which town {name} lives",
            "the home of {name}",
            "the home town of {name}",
        ),
    ),
    Attribute(
        "craft",
        "craft",
        (
            "{who} work{s} as a {value}.",
            "{who} {is_} a {value}.",
            "{who} earn{s} money as a {value}.",
            "{whose} craft is that of a {value}.",
        ),
        (
            "What is the craft of {name}?",
            "What work does {name} do?",
            "Tell me what {name} works as.",
        ),
        ("Tell me what work {name} does.", "What does {name} work as?"),
        "By trade {name} is a",
        _words(
            "baker potter weaver tanner miller smith tailor mason fisher carver painter gardener"
        ),
        (
            "what work {name} does",
            "what {name} works as",
            "the craft of {name}",
        ),
    ),
    Attribute(
        "pet",
        "pet",
        (
            "{who} keep{s} a {value}.",
            "{whose} pet is a {value}.",
            "{who} look{s} after a {value}.",
            "{who} share{s} the house with a {value}.",
        ),
        (
            "What pet does {name} keep?",
            "Which animal does {name} keep?",
            "Tell me which pet {name} has.",
        ),
        ("Tell me which animal {name} keeps.", "Which pet does {name} have?"),
        "The animal of {name} is a",
        _words("goat cat dog horse duck hen pony rabbit crow turtle mouse frog"),
        (
            "which animal {name} keeps",
            "which pet {name} has",
            "the pet of {name}",
        ),
    ),
    Attribute(
        "food",
        "favourite food",
        (
            "{who} like{s} to eat {value}.",
            "{whose} favourite food is {value}.",
            "{who} love{s} the taste of {value}.",
            "{who} often cook{s} {value}.",
        ),
        (
            "What does {name} like to eat?",
            "Which food does {name} like?",
            "Tell me the favourite food of {name}.",
        ),
        ("Tell me what {name} likes to eat.", "What is the favourite food of {name}?"),
        "What {name} eats most is",
        _words("bread soup cheese plums nuts fish beans honey rice pears cake eggs"),
        (
            "what {name} likes to eat",
            "which food {name} likes",
            "the favourite food of {name}",
        ),
    ),
    Attribute(
        "born",
        "birth year",
        (
            "{who} {was} born in {value}.",
            "{whose} birth year is {value}.",
            "{who} came into the world in {value}.",
            "{whose} life began in {value}.",
        ),
        (
            "When was {name} born?",
            "In which year was {name} born?",
            "Tell me the birth year of {name}.",
        ),
        ("Tell me when {name} was born.", "What is the birth year of {name}?"),
        "The year {name} was born is",
        BIRTH_YEARS,
        (
            "when {name} was born",
            "in which year {name} was born",
            "the birth year of {name}",
        ),
    ),
    Attribute(
        "instrument",
        "instrument",
        (
            "{who} play{s} the {value}.",
            "{whose} instrument is the {value}.",
            "{who} make{s} music on the {value}.",
            "{who} practise{s} the {value}.",
        ),
        (
            "What instrument does {name} play?",
            "What does {name} play?",
            "Tell me which instrument {name} plays.",
        ),
        ("Tell me what {name} plays.", "Which instrument does {name} play?"),
        "When {name} plays music it is on the",
        _words("flute drum harp fiddle horn lute bell pipe viol piano banjo zither"),
        (
            "what {name} plays",
            "which instrument {name} plays",
            "the instrument of {name}",
        ),
    ),
    Attribute(
        "colour",
        "favourite colour",
        (
            "{whose} coat is {value}.",
            "{whose} favourite colour is {value}.",
            "{who} paint{s} every door {value}.",
            "{who} dress{es} in {value}.",
        ),
        (
            "What is the favourite colour of {name}?",
            "What colour is the coat of {name}?",
            "Tell me which colour {name} likes.",
        ),
        ("Tell me the favourite colour of {name}.", "Which colour does {name} like?"),
        "The colour {name} likes best is",
        _words("red green blue white black brown grey yellow pink purple gold silver"),
        (
            "which colour {name} likes",
            "the favourite colour of {name}",
            "the colour of the coat of {name}",
        ),
    ),
    Attribute(
        "friend",
        "best friend",
        (
            "{whose} best friend is {value}.",
            "{who} {is_} a friend of {value}.",
            "{who} often visit{s} {value}.",
            "{who} trust{s} {value}.",
        ),
        (
            "Who is the best friend of {name}?",
            "Who is a friend of {name}?",
            "Tell me whom {name} often visits.",
        ),
        ("Tell me the best friend of {name}.", "Whom does {name} often visit?"),
        "The person {name} likes best is",
        (),
        (
            "whom {name} often visits",
            "the best friend of {name}",
            "a friend of {name}",
        ),
    ),
    Attribute(
        "tree",
        "tree",
        (
            "{who} planted a {value}.",
            "{whose} garden has a {value}.",
            "{who} sit{s} under a {value}.",
            "{whose} house stands by a {value}.",
        ),
        (
            "Which tree did {name} plant?",
            "What tree is in the garden of {name}?",
            "Tell me which tree {name} planted.",
        ),
        ("Tell me what tree {name} planted.", "Which tree is in the garden of {name}?"),
        "The tree of {name} is a",
        _words("beech birch cedar fir larch linden maple pine poplar rowan spruce willow"),
        (
            "which tree {name} planted",
            "what tree {name} planted",
            "what tree is in the garden of {name}",
        ),
    ),
    Attribute(
        "drink",
        "favourite drink",
        (
            "{who} drink{s} {value}.",
            "{whose} favourite drink is {value}.",
            "{whose} cup is full of {value}.",
            "{who} ask{s} for {value}.",
        ),
        (
            "What does {name} drink?",
            "Which drink does {name} like?",
            "Tell me what {name} drinks.",
        ),
        ("Tell me which drink {name} likes.", "Which drink does {name} drink?"),
        "To drink {name} takes",
        _words("water milk tea juice cider coffee cocoa mead broth lemonade punch syrup"),
        (
            "what {name} drinks",
            "which drink {name} likes",
            "the favourite drink of {name}",
        ),
    ),
)

LANDMARKS: tuple[str, ...] = (
    "by the river",
    "by the sea",
    "on a hill",
    "near a lake",
    "in the forest",
    "with a tall tower",
    "with an old bridge",
    "with two mills",
    "in a deep valley",
    "on an island",
    "with a big market",
    "near the mountains",
    "with a stone wall",
    "in the desert",
    "by a waterfall",
    "with a round square",
    "with a school of music",
    "near a salt mine",
    "in the marsh",
    "with a glass church",
)

LANDMARK = Attribute(
    "landmark",
    "landmark",
    (
        "{name} is a town {value}.",
        "{name} is known as the town {value}.",
        "Travellers come to {name}, the town {value}.",
    ),
    ("What kind of town is {name}?", "What is {name} like?", "Tell me about the town {name}."),
    ("Tell me what the town {name} is like.", "What kind of town is the town {name}?"),
    "People call {name} the town",
    LANDMARKS,
    (
        "what kind of town {name} is",
        "what {name} is like",
        "what the town {name} is like",
    ),
)
FOUNDED = Attribute(
    "founded",
    "founding year",
    (
        "{name} was founded in {value}.",
        "The first house in {name} was built in {value}.",
        "The town of {name} began in {value}.",
    ),
    ("When was {name} founded?", "In which year was {name} founded?"),
    ("Tell me when {name} was founded.", "What year was {name} founded in?"),
    "The year of the founding of {name} is",
    tuple(str(year) for year in range(1600, 1800, 5)),
    (
        "when {name} was founded",
        "in which year {name} was founded",
        "the founding year of {name}",
    ),
)
MAYOR = Attribute(
    "mayor",
    "mayor",
    (
        "In {year} the mayor of {name} was {value}.",
        "The mayor of {name} in {year} was {value}.",
        "{name} in {year} chose as mayor {value}.",
    ),
    (
        "Who was the mayor of {name} in {year}?",
        "In {year}, who was the mayor of {name}?",
        "Tell me who was mayor of {name} in {year}.",
    ),
    ("In {year} who was mayor of {name}?", "Tell me the mayor of {name} in {year}."),
    "The town of {name} was in {year} led by",
    (),
    (
        "who was mayor of {name} in {year}",
        "who was the mayor of {name} in {year}",
        "the mayor of {name} in {year}",
    ),
)
"""Dated: these templates have a further hole, {year}."""
FIRST_ELECTION = 1910
TERM = 10
