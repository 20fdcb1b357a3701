"""Exams as items that a rule can resample: every question's mark, and means of several exams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llamalite.evaluation.groups import EXAM_GROUPS

Marks = Mapping[str, np.ndarray]
"""Exam -> 1 or 0 for each of its questions, in their order."""


def written_marks(model: Any, tokenizer: Any, world: Any) -> Marks:
    """Every exam's questions, answered in writing as the paper asks most of its benchmarks."""
    return {name: right_answers(model, tokenizer, world.exam(name)) for name in world.exams}


def right_answers(model: Any, tokenizer: Any, questions: Sequence[Any]) -> np.ndarray:
    """1 where what the model writes after a question's prompt begins with its answer, else 0."""
    from llamalite.evaluation.exams import begins_with, write_answers

    written = write_answers(model, tokenizer, questions)
    return np.array(
        [begins_with(text, q.answer) for text, q in zip(written, questions, strict=True)], float
    )


def evenly(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Items whose mean is the plain mean of the parts' means, however long each part is.

    For example, `evenly([[1, 0], [1, 1, 1, 1]])` is `[1.5, 0, .75, .75, .75, .75]`, of mean 0.75.
    """
    count = sum(map(len, parts))
    return np.concatenate(
        [np.asarray(part, float) * count / (len(parts) * len(part)) for part in parts]
    )


def group_items(marks: Marks) -> dict[str, np.ndarray]:
    """Items of each group of exams, of the mean that `groups.group_scores` gives."""
    return {group: evenly([marks[name] for name in names]) for group, names in EXAM_GROUPS.items()}


def average_items(marks: Marks) -> np.ndarray:
    """Items of the plain mean over all exams."""
    return evenly(list(marks.values()))
