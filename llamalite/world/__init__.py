"""The micro-world: generators, truth, grader and annotators. It knows nothing of models.

Standard library and numpy only; everything follows from a `WorldConfig`.
"""

from llamalite.world.config import MIXTURE, WorldConfig
from llamalite.world.corpus import World
from llamalite.world.exams import Question
from llamalite.world.knowledge import Fact, Knowledge, Misconception, Person, Town
from llamalite.world.sources import Document

__all__ = [
    "MIXTURE",
    "Document",
    "Fact",
    "Knowledge",
    "Misconception",
    "Person",
    "Question",
    "Town",
    "World",
    "WorldConfig",
]
