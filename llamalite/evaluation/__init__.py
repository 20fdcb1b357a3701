"""Measuring base and chat models against the world's truth. Llama 2, sections 2.3, 3.4 and 4.

`evaluate_base` and `evaluate_chat` take any model and return every item's value beside the means,
so that the report, the chapters and the claims' studies draw on the same functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamalite.evaluation.config import EvaluateConfig

if TYPE_CHECKING:
    from llamalite.evaluation.exams import evaluate_base
    from llamalite.evaluation.replies import evaluate_chat

__all__ = ["EvaluateConfig", "evaluate_base", "evaluate_chat"]

_WHERE = {
    "evaluate_base": "llamalite.evaluation.exams",
    "evaluate_chat": "llamalite.evaluation.replies",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
