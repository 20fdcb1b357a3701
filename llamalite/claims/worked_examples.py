"""Published agreement studies with the coefficients their authors print: the data of claim E3.

Source of tables and figures: K. L. Gwet, "Handbook of Inter-Rater Reliability", 4th edition (2014),
as printed in the overview and weighting documents of his R package irrCAC 1.0 (CRAN, 2019). The six
psychiatrists' data are those of J. L. Fleiss, Psychol. Bull. 76 (1971). Standard errors of the two
contingency tables use n where the others use n - 1, hence `population_variance`. Results of fewer
than four digits are those of irrCAC's Python port (A. Fergadis).
"""

from __future__ import annotations

from dataclasses import dataclass

_ = None

FOUR_RATERS = (
    (1, 1, _, 1),
    (2, 2, 3, 2),
    (3, 3, 3, 3),
    (3, 3, 3, 3),
    (2, 2, 2, 2),
    (1, 2, 3, 4),
    (4, 4, 4, 4),
    (1, 1, 2, 1),
    (2, 2, 2, 2),
    (_, 5, 5, 5),
    (_, _, 1, 1),
    (_, _, 3, _),
)
"""cac.raw4raters: 4 raters, 12 subjects, 5 categories; no rater saw all subjects."""

FIVE_OBSERVERS = (
    (1, 1, 2, _, 2),
    (1, 1, 0, 1, _),
    (2, 3, 3, 3, _),
    (_, 0, 0, _, 0),
    (0, 0, 0, _, 0),
    (0, 0, 0, _, 0),
    (1, 0, 2, _, 1),
    (1, _, 2, 0, _),
    (2, 2, 2, _, 2),
    (2, 1, 1, 1, _),
    (_, 1, 0, 0, _),
    (0, 0, 0, 0, _),
    (1, 2, 2, 2, _),
    (3, 3, 2, 2, 3),
    (1, 1, 1, _, 1),
)
"""cac.raw5obser: 5 observers, 15 units, grades 0 to 3."""

SIX_RATERS = (
    (0, 0, 0, 6, 0),
    (0, 3, 0, 0, 3),
    (0, 1, 4, 0, 1),
    (0, 0, 0, 0, 6),
    (0, 3, 0, 3, 0),
    (2, 0, 4, 0, 0),
    (0, 0, 4, 0, 2),
    (2, 0, 3, 1, 0),
    (2, 0, 0, 4, 0),
    (0, 0, 0, 0, 6),
    (1, 0, 0, 5, 0),
    (1, 1, 0, 4, 0),
    (0, 3, 3, 0, 0),
    (1, 0, 0, 5, 0),
    (0, 2, 0, 3, 1),
)
"""distrib.6raters: how many of 6 psychiatrists put each of 15 patients into each of 5 diagnoses."""

TWO_ABSTRACTORS = ((13, 0, 0), (0, 20, 7), (0, 4, 56))
"""cont3x3abstractors: 100 pregnancies sorted by two abstractors, as a contingency table."""

TWO_PSYCHIATRISTS = ((40, 4, 4, 17), (6, 25, 2, 13), (4, 1, 21, 12), (15, 5, 9, 45))
"""cont4x4diagnosis: 223 patients diagnosed by two psychiatrists, as a contingency table."""


@dataclass(frozen=True)
class WorkedExample:
    """One printed result: the data, the weighting, and each printed number with its decimals."""

    name: str
    data: tuple[tuple[int | None, ...], ...]
    kind: str
    """raw (subject x rater), counts (subject x category) or table (category x category)."""
    weights: str
    printed: dict[str, tuple[float, int]]
    """Field of `Agreement` -> (value, number of decimals printed)."""

    @property
    def population_variance(self) -> bool:
        """Whether the printed standard error divides by n instead of n - 1."""
        return self.kind == "table"


WORKED_EXAMPLES: tuple[WorkedExample, ...] = (
    WorkedExample(
        "4 raters, AC1",
        FOUR_RATERS,
        "raw",
        "identity",
        {
            "coefficient": (0.77544, 5),
            "standard_error": (0.14295, 5),
            "observed": (0.8181818, 7),
            "chance": (0.1903212, 7),
            "low": (0.461, 3),
            "high": (1.0, 3),
        },
    ),
    WorkedExample(
        "4 raters, AC2 quadratic",
        FOUR_RATERS,
        "raw",
        "quadratic",
        {
            "coefficient": (0.914, 5),
            "standard_error": (0.10396, 5),
            "observed": (0.9753788, 7),
            "chance": (0.7137044, 7),
            "low": (0.685, 3),
        },
    ),
    WorkedExample(
        "4 raters, AC2 linear",
        FOUR_RATERS,
        "raw",
        "linear",
        {"coefficient": (0.859, 3), "standard_error": (0.117, 3), "observed": (0.939, 3)},
    ),
    WorkedExample(
        "4 raters, AC2 ordinal",
        FOUR_RATERS,
        "raw",
        "ordinal",
        {"coefficient": (0.899, 3), "standard_error": (0.107, 3), "observed": (0.968, 3)},
    ),
    WorkedExample(
        "5 observers, AC1",
        FIVE_OBSERVERS,
        "raw",
        "identity",
        {
            "coefficient": (0.497, 3),
            "standard_error": (0.122, 3),
            "low": (0.235, 3),
            "high": (0.758, 3),
        },
    ),
    WorkedExample(
        "6 psychiatrists, AC1",
        SIX_RATERS,
        "counts",
        "identity",
        {
            "coefficient": (0.4448007, 7),
            "standard_error": (0.08418757, 8),
            "observed": (0.5511111, 7),
            "chance": (0.1914815, 7),
            "low": (0.264, 3),
            "high": (0.625, 3),
        },
    ),
    WorkedExample(
        "6 psychiatrists, AC2 quadratic",
        SIX_RATERS,
        "counts",
        "quadratic",
        {
            "coefficient": (0.4837438, 7),
            "standard_error": (0.1058227, 7),
            "observed": (0.8544444, 7),
            "chance": (0.7180556, 7),
        },
    ),
    WorkedExample(
        "2 abstractors, AC1",
        TWO_ABSTRACTORS,
        "table",
        "identity",
        {"coefficient": (0.8493305, 7), "standard_error": (0.04321747, 8)},
    ),
    WorkedExample(
        "2 abstractors, AC2 quadratic",
        TWO_ABSTRACTORS,
        "table",
        "quadratic",
        {"coefficient": (0.9402369, 7), "standard_error": (0.01792019, 8)},
    ),
    WorkedExample(
        "2 abstractors, AC2 ordinal",
        TWO_ABSTRACTORS,
        "table",
        "ordinal",
        {"coefficient": (0.925, 3)},
    ),
    WorkedExample(
        "2 psychiatrists, AC1",
        TWO_PSYCHIATRISTS,
        "table",
        "identity",
        {"coefficient": (0.456, 3), "standard_error": (0.043, 3)},
    ),
    WorkedExample(
        "2 psychiatrists, AC2 linear",
        TWO_PSYCHIATRISTS,
        "table",
        "linear",
        {"coefficient": (0.377, 3), "standard_error": (0.056, 3)},
    ),
    WorkedExample(
        "2 psychiatrists, AC2 quadratic",
        TWO_PSYCHIATRISTS,
        "table",
        "quadratic",
        {"coefficient": (0.299, 3), "standard_error": (0.075, 3)},
    ),
    WorkedExample(
        "2 psychiatrists, AC2 ordinal",
        TWO_PSYCHIATRISTS,
        "table",
        "ordinal",
        {"coefficient": (0.324, 3), "standard_error": (0.069, 3)},
    ),
)


def ratings_of_table(table: tuple[tuple[int | None, ...], ...]) -> list[tuple[int, int]]:
    """A contingency table as one pair of ratings per subject."""
    return [
        (row, column)
        for row, cells in enumerate(table)
        for column, count in enumerate(cells)
        for _ in range(count or 0)
    ]
