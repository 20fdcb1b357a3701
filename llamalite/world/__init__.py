"""The micro-world: generators, truth, grader and annotators. It knows nothing of models.

Standard library and numpy only; everything follows from a `WorldConfig`.
"""

from llamalite.world.annotators import Annotator, Judgement
from llamalite.world.config import EDITION, MIXTURE, WorldConfig
from llamalite.world.corpus import World
from llamalite.world.demonstrations import demonstrate
from llamalite.world.exams import Question
from llamalite.world.grader import Grade, Grader
from llamalite.world.knowledge import Fact, Knowledge, Misconception, Person, Town
from llamalite.world.prompts import ADVERSARIAL, BORDERLINE, KINDS
from llamalite.world.prompts_tasks import Prompt
from llamalite.world.sources import Document

# the function takes the name of a module, so it has to be bound after that is imported
from llamalite.world.vendors import Demonstration, Vendor, demonstrations

__all__ = [
    "ADVERSARIAL",
    "BORDERLINE",
    "EDITION",
    "KINDS",
    "MIXTURE",
    "Annotator",
    "Demonstration",
    "Document",
    "Fact",
    "Grade",
    "Grader",
    "Judgement",
    "Knowledge",
    "Misconception",
    "Person",
    "Prompt",
    "Question",
    "Town",
    "Vendor",
    "World",
    "WorldConfig",
    "demonstrate",
    "demonstrations",
]
