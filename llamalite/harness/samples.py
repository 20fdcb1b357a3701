"""A task question by question: what `llamalite contamination` compares with a corpus.

Llama 2, appendix A.6, looks at "fully verbalized samples", each with the model's score on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Sample(NamedTuple):
    """A question of a task."""

    text: str
    """The question and its right answer, as a model is shown them."""
    score: float
    """The task's first metric, of this question alone."""


def verbalised(task: Any, doc: Mapping[str, Any]) -> str:
    """A question of one of lm-eval's tasks with its right answer, the first where there are more.

    Without the solved examples and the description, which stand before every question: they would
    be found in the corpus, or not, with all questions alike.
    """
    question, answer = task.doc_to_text(doc), task.doc_to_target(doc)
    answer = answer[0] if isinstance(answer, list | tuple) else answer
    if task.OUTPUT_TYPE == "multiple_choice":
        choices = task.doc_to_choice(doc)
        if isinstance(question, int):  # as WinoGrande: one answer, and a question for each choice
            question = choices[question]
        else:
            answer = choices[answer] if isinstance(answer, int) else answer
    told = task.OUTPUT_TYPE in ("multiple_choice", "generate_until")
    return f"{question}{task.config.target_delimiter if told else ''}{answer}"


def question_by_question(
    task: Any, logged: Iterable[Mapping[str, Any]], metric: str
) -> list[Sample]:
    """What lm-eval logged of a task, as samples; `metric` perhaps with a filter, "acc,strict".

    Raises ValueError where the metric is none of a single question, as a perplexity of all.
    """
    name, _, filtered = metric.partition(",")
    found = []
    for row in logged:
        if row["filter"] != (filtered or "none"):
            continue
        score = row.get(name)
        if not isinstance(score, int | float):
            raise ValueError(
                f"{name} of {task.task_name} is no number for each question; leave --samples out, "
                "or choose other tasks"
            )
        found.append(Sample(verbalised(task, row["doc"]), float(score)))
    return found
