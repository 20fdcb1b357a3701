"""Which language a text is in. Llama 2, section 2.1 and table 10.

The paper identifies languages with fastText and a threshold of 0.5, below which a text counts as
"unknown" (8.4 % of its corpus). Here py3langid does it, whose model comes with the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

UNKNOWN = "unknown"
_SAMPLE = 1000
"""Characters from the start of a text that are looked at: enough to tell, and quick."""


@dataclass(frozen=True)
class LanguageConfig:
    """Which languages stay."""

    keep: tuple[str, ...] = ("en",)
    """ISO 639 codes of the languages that stay, such as en or de; none: all stay."""
    confidence: float = 0.5
    """Probability, 0 to 1, below which a text's language is unknown, as in the paper's table 10."""
    keep_unknown: bool = True
    """Whether texts of unknown language stay; the paper's corpus has 8.4 % of them."""

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence}; it must lie between 0 and 1")


def identify(text: str) -> tuple[str, float]:
    """Likeliest language of a text as an ISO 639 code, and its probability, 0 to 1."""
    language, probability = _identifier().classify(text[:_SAMPLE])
    return str(language), float(probability)


def named(found: tuple[str, float], confidence: float) -> str:
    """The language found, or `UNKNOWN` where its probability is below the threshold."""
    return found[0] if found[1] >= confidence else UNKNOWN


def language_fault(language: str, config: LanguageConfig) -> str:
    """Why a text in a language goes; empty when it stays."""
    if not config.keep or language in config.keep:
        return ""
    if language == UNKNOWN:
        return "" if config.keep_unknown else "unknown language"
    return f"other language: {language}"


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError:
        raise ValueError(
            "telling languages needs py3langid; pip install 'llamalite[data]' or 'llamalite[audit]'"
        ) from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
