"""Exams in groups, as the columns of Llama 2, table 3; no torch is needed to read it.

Three of the paper's eight columns can be asked here: world knowledge (there NaturalQuestions and
TriviaQA), reading comprehension (SQuAD, QuAC, BoolQ) and math (GSM8K, MATH). The micro-world has no
code and no common sense beyond its own facts, so nothing stands for HumanEval and MBPP, for
commonsense reasoning, MMLU, BBH and AGI Eval. Truthfulness is the paper's table 11 (TruthfulQA);
translation is not in the paper and shows what a corpus does for its second language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXAM_GROUPS: dict[str, tuple[str, ...]] = {
    "world knowledge": ("facts", "paraphrase", "years"),
    "reading comprehension": ("reading",),
    "math": ("arithmetic",),
    "truthfulness": ("rumours",),
    "translation": ("translation",),
}
"""Group -> the exams it is the mean of. The first three are columns of table 3."""

TABLE_3: tuple[str, ...] = ("world knowledge", "reading comprehension", "math")
"""The groups that are columns of the paper's table 3."""


def group_scores(exams: Mapping[str, Mapping[str, Any]], measure: str = "greedy") -> dict[str, Any]:
    """A model's score in each group: the plain mean over the group's exams, 0 to 1.

    `exams` are results of `llamalite.evaluation.exams.evaluate_base`; `measure` is one of theirs:
    "greedy", as the paper asks questions with a written answer, "choice" or "choice_normalised".
    The paper averages over benchmarks whatever their lengths, and so does this. A group of which an
    exam is missing is left out.
    """
    return {
        group: sum(exams[name][measure]["mean"] for name in names) / len(names)
        for group, names in EXAM_GROUPS.items()
        if all(name in exams for name in names)
    }
