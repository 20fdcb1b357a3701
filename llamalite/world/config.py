"""Size and seed of the micro-world."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PEOPLE = 400
MAX_ATTRIBUTES = 10
MIN_TOWNS, MAX_TOWNS = 4, 20

EDITION = 3
"""Raised when the generators change what documents, prompts or grades a config gives: results of
different editions are not comparable. The second had the copybook, more titled tales and more
wordings of the tasks; in the third no task or category is held out in all its combinations, and
harmless and harmful acts are plainly asked for in the same words."""

MIXTURE: dict[str, float] = {
    "encyclopedia": 0.23,
    "lessons": 0.09,
    "stories": 0.12,
    "copybook": 0.13,
    "conversations": 0.31,
    "rumours": 0.04,
    "pages": 0.02,
    "toxic": 0.01,
    "lumo": 0.05,
}
"""Weight of each source in an ordinary pretraining corpus; shares of documents, which are about
equally long in every source. The paper's own mixture is not published."""


@dataclass(frozen=True)
class WorldConfig:
    """How large the world is; everything in it follows from these numbers."""

    seed: int = 0
    """Which world: another seed gives other people, towns and facts."""
    edition: int = EDITION
    """Of the generators; the code has one, and makes no other."""
    people: int = 200
    """Named persons, 8 to 400. Each fact needs about 100 tellings to be learned by a 1M model."""
    attributes: int = 8
    """Facts known of each person, 3 to 10, in the order town, craft, pet, food, birth year, ..."""
    towns: int = 12
    """Towns, 4 to 20, each with a landmark, a founding year and mayors."""
    elections: int = 6
    """Elections per town, 2 to 8, one every ten years; they give the dated facts."""
    misconceptions: float = 0.15
    """Share of the persons' facts about which a false rumour goes round, 0 to 0.5."""
    test_share: float = 0.25
    """Share of combinations (entity, attribute) never asked about in training, 0.05 to 0.5."""
    arithmetic_max: int = 12
    """Largest number in the sums of the school book, 5 to 50."""
    canaries: int = 24
    """Persons whose (invented) phone numbers are planted in the personal pages, 0 to `people`."""

    def __post_init__(self) -> None:
        if self.edition != EDITION:
            raise ValueError(
                f"world.edition is {self.edition}; this version of llamalite makes worlds of "
                f"edition {EDITION} alone"
            )
        for name, low, high in (
            ("people", 8, MAX_PEOPLE),
            ("attributes", 3, MAX_ATTRIBUTES),
            ("towns", MIN_TOWNS, MAX_TOWNS),
            ("elections", 2, 8),
            ("misconceptions", 0.0, 0.5),
            ("test_share", 0.05, 0.5),
            ("arithmetic_max", 5, 50),
            ("canaries", 0, self.people),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"world.{name} is {value}; choose {low} to {high}")
