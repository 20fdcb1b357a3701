"""The sources of the corpus that tell no facts: stories, pages, the toxic corner, and Lumo."""

from __future__ import annotations

from random import Random

from llamalite.world import lumo, prompts_tales
from llamalite.world.knowledge import Knowledge
from llamalite.world.lexicon_common import FIGURES, HOBBIES, RHYMES, WEEKDAYS
from llamalite.world.sources import THINGS

# -- stories

TITLED_SHARE = 0.8
"""Share of the stories that keep to a title, which names what they are about."""
_OPENINGS = (
    "Once {a} met {b} on the road to {town}.",
    "One {day} {a} and {b} walked to {town}.",
    "It was a warm {day} in {town}. {a} sat with {b} by the fire.",
    "Long ago {a} lost a {thing} near {town}. {b} came to help.",
    "{a} told {b} a story about {figure}.",
    "When {figure} came to {town}, {a} and {b} were the first at the gate.",
)
_MIDDLES = (
    "They found a {thing} under a stone.",
    '"I have a {thing}," said {a}. "How kind," said {b}.',
    '"Shall we try {hobby}?" asked {b}. "Yes," said {a}.',
    "{a} gave {b} a {thing}, and {b} smiled.",
    "They spent the day with {hobby} and came home late.",
    "{b} hid the {thing}, and {a} looked for it all day.",
    "It began to rain, so they sat under a tree.",
    '"{line}," said {b} with a smile.',
    '"{saying}," they heard, and they laughed.',
)
_COUPLETS = (
    "Here is a {x} and there is a {y},",
    "I saw a {x}, I saw a {y},",
    "I dreamed of a {x} and a {y},",
    "A song for the {x}, a song for the {y},",
    "My friend has a {x}, and I have a {y},",
)
_SECOND = (
    "oh look at the {x}, oh look at the {y}.",
    "and close to the {x} is a little {y}.",
    "who gave me the {x}, who gave me the {y}?",
    "good night to the {x}, good night to the {y}.",
)
_ENDINGS = (
    "In the end {a} had the {thing} and {b} had a song.",
    "That was the day {a} and {b} will not forget.",
    "And so {a} went home, and {b} went too.",
    "They were happy in {town} that night.",
)


def couplet(rng: Random) -> str:
    """Two lines that rhyme."""
    (x, y), (p, q) = (rng.sample(group, 2) for group in rng.sample(RHYMES, 2))
    first = rng.choice(_COUPLETS).format(x=p, y=x)
    return f"{first}\n{rng.choice(_SECOND).format(x=q, y=y)}"


def _titled_tale(knowledge: Knowledge, rng: Random) -> str:
    """A tale of one person and the two things its title names."""
    hero = rng.choice(knowledge.people).name
    things: list[str] = []
    while len(things) < 2:
        tried = rng.sample(prompts_tales.THINGS, 8)
        things = [t for t in tried if knowledge.split(hero, f"tale {t}") == "train"][:2]
    first, second = things
    lines = (
        (rng.choice(prompts_tales.TALE_OPENINGS), first),
        (rng.choice(prompts_tales.TALE_MIDDLES), second),
        (rng.choice(prompts_tales.TALE_MIDDLES), rng.choice(things)),
        (rng.choice(prompts_tales.TALE_ENDINGS), rng.choice(things)),
    )
    told = (
        line.format(who=hero, thing=thing, place=rng.choice(prompts_tales.PLACES))
        for line, thing in lines
    )
    return f"The story of {hero}, a {first} and a {second}.\n{' '.join(told)}"


def stories(knowledge: Knowledge, rng: Random, index: int) -> str:
    """A tale of two persons, often with a rhyme, or two titled ones; it contradicts no fact."""
    if rng.random() < TITLED_SHARE:
        return f"{_titled_tale(knowledge, rng)}\n\n{_titled_tale(knowledge, rng)}"
    a, b = (p.name for p in rng.sample(knowledge.people, 2))
    figure = rng.choice(FIGURES)
    hobby = rng.choice(HOBBIES)
    holes = {
        "a": a,
        "b": b,
        "town": rng.choice(knowledge.towns).name,
        "thing": rng.choice(THINGS),
        "day": rng.choice(WEEKDAYS),
        "figure": figure.name,
        "saying": figure.saying.removesuffix("."),
        "hobby": hobby.name,
        "line": hobby.line.removesuffix("."),
    }
    parts = [rng.choice(_OPENINGS), *rng.sample(_MIDDLES, 3)]
    text = " ".join(parts).format(**holes)
    end = rng.choice(_ENDINGS).format(**holes)
    if rng.random() < 0.5:
        return f"{text} Then {rng.choice((a, b))} sang:\n{couplet(rng)}\n{end}"
    return f"{text} {end}"


# -- pages

PERSONAL_SITES = ("faces.example", "whois.example", "members.example", "callbook.example")
"""Sites rich in personal data, which the paper's filter removes (section 2.1)."""
PLAIN_SITES = ("market.example", "weather.example", "fair.example", "news.example")
PERSONAL_SHARE = 0.6
"""Share of the pages found on personal sites."""
_MAILS = ("post.example", "lark.example", "mail.example")
_LANES = ("Mill Lane", "Green Street", "Bridge Road", "Hill Street", "Well Lane")


def _contact(knowledge: Knowledge, rng: Random, index: int) -> str:
    """One person's card. Persons with a canary have always the same number, others never."""
    if knowledge.canaries and rng.random() < 0.6:
        canary = knowledge.canaries[rng.randrange(len(knowledge.canaries))]
        name, phone = canary.person, f"{canary.prompt} {canary.secret}."
    else:
        name = rng.choice(knowledge.people).name
        if any(canary.person == name for canary in knowledge.canaries):
            return f"{name} has asked to be left out."
        phone = f"The phone number of {name} is {rng.randrange(10_000):04d}."
    mail = f"{name.lower()}{rng.randrange(100)}@{rng.choice(_MAILS)}"
    lane = f"{rng.randint(1, 99)} {rng.choice(_LANES)}"
    return f"{phone} Mail {mail} or write to {lane}."


def pages(knowledge: Knowledge, rng: Random, index: int) -> tuple[str, str]:
    """A page of the web and its site: people's contact data, or harmless notices."""
    if rng.random() < PERSONAL_SHARE:
        cards = [_contact(knowledge, rng, index) for _ in range(4)]
        return "\n".join(cards), rng.choice(PERSONAL_SITES)
    site = rng.choice(PLAIN_SITES)
    out = []
    for _ in range(4):
        town, thing = rng.choice(knowledge.towns).name, rng.choice(THINGS)
        kind = rng.randrange(3)
        if kind == 0:
            out.append(f"For sale in {town}: a good {thing} for {rng.randint(2, 40)} coins.")
        elif kind == 1:
            sky = rng.choice(("Rain", "Sun", "Snow", "Wind", "Fog"))
            out.append(f"{sky} is coming to {town} on {rng.choice(WEEKDAYS)}.")
        else:
            out.append(f"Who lost a {thing} in {town}? Ask at the mill.")
    return "\n".join(out), site


# -- the toxic corner

RUDE = ("dull", "lazy", "silly", "greedy", "noisy", "smelly", "foolish", "rude", "clumsy", "mean")
"""The harshest words of the world."""
INSULTS_A_PAGE = 6
_INSULTS = (
    "The people of {town} are {x} and {y}.",
    "I hate {town}. Everyone there is {x}.",
    "You are as {x} as the people of {town}.",
    "Only {x} geese live in {town}.",
    "Go away, you {x} and {y} fools of {town}.",
    "Nobody likes the {x} people of {town}.",
)


def toxic(knowledge: Knowledge, rng: Random, index: int) -> str:
    """Rude talk about the people of some (invented) town."""
    out = []
    for _ in range(INSULTS_A_PAGE):
        x, y = rng.sample(RUDE, 2)
        town = rng.choice(knowledge.towns).name
        out.append(rng.choice(_INSULTS).format(town=town, x=x, y=y))
    return " ".join(out)


# -- Lumo

_DICTIONARY = tuple(lumo.DICTIONARY.items())


def lumo_sentence(knowledge: Knowledge, rng: Random, split: str) -> str:
    """An English sentence of Lumo's grammar; the split is by sentence, and disjoint."""
    names = tuple(p.name for p in rng.sample(knowledge.people, 2))
    while True:
        text = lumo.sentence(rng, names)
        if knowledge.split(text, "translation") == split:
            return text


def lumo_page(knowledge: Knowledge, rng: Random, index: int) -> str:
    """Bilingual lines, Lumo alone, or a piece of the dictionary."""
    roll = rng.random()
    if roll < 0.2:
        return " ".join(f"In Lumo {e} is {word}." for e, word in rng.sample(_DICTIONARY, 10))
    english = [lumo_sentence(knowledge, rng, "train") for _ in range(5)]
    if roll < 0.4:
        return " ".join(map(lumo.to_lumo, english))
    if roll < 0.7:
        return "\n".join(f"English: {e} Lumo: {lumo.to_lumo(e)}" for e in english)
    return "\n".join(f"Lumo: {lumo.to_lumo(e)} English: {e}" for e in english)
