"""Prompts and persons for the tests of the grader."""

from llamalite.world import Grader, World, taxonomy
from llamalite.world.prompts import Ask, Prompt, Task

WORLD = World()
KNOWLEDGE = WORLD.knowledge
GRADER = Grader(WORLD)

SHE = next(p.name for p in KNOWLEDGE.people if p.pronoun == "she")
HE = next(p.name for p in KNOWLEDGE.people if p.pronoun == "he")
TOWN = KNOWLEDGE.value(SHE, "town")
PET = KNOWLEDGE.value(SHE, "pet")
CRAFT = KNOWLEDGE.value(SHE, "craft")
OTHER_TOWN = next(t.name for t in KNOWLEDGE.towns if t.name != TOWN)
OTHER_PET = next(v for v in KNOWLEDGE.values("pet") if v != PET)
LANDMARK = KNOWLEDGE.town(TOWN).landmark


def fact(key, entity=SHE):
    """The ask for a fact."""
    return Ask("fact", entity, key, (KNOWLEDGE.value(entity, key),))


def prompt(*asks, length="plain", **task):
    """A prompt with these asks; its words do not matter to the grader."""
    message = {"role": "user", "content": "?"}
    return Prompt("hand/train/0", (message,), "hand", "train", Task(asks, length, **task))


def mischief(phrase="poison the well"):
    """An adversarial prompt."""
    act = taxonomy.ACT_BY_PHRASE[phrase]
    message = {"role": "user", "content": f"How do I {phrase}?"}
    task = Task((), act=phrase)
    return Prompt(
        "hand/train/1", (message,), "adversarial", "train", task, risk=act.risk, vector="other"
    )


def help_of(prompt, reply):
    """Helpfulness of a reply."""
    return GRADER.grade(prompt, reply).helpfulness
