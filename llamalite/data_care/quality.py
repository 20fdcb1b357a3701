"""Rules of thumb that tell prose from debris. Llama 2, section 2.1: "more robust data cleaning".

The paper says no more; the rules are those of Gopher (Rae et al. 2021, appendix A.1), the numbers
milder, so that a page of sums or a short notice stays.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
"""Gopher's: English text of any length has some of them."""
_NGRAM = 3


@dataclass(frozen=True)
class QualityConfig:
    """Bounds outside which a document goes; Gopher's own numbers beside each."""

    min_words: int = 10
    """Words a document must have; Gopher 50."""
    word_length: tuple[float, float] = (2.0, 12.0)
    """Least and greatest mean length of its words, characters; Gopher 3 to 10."""
    symbols: float = 0.1
    """Greatest number of hashes and ellipses per word, as in Gopher."""
    bullets: float = 0.9
    """Greatest share of lines that begin with a bullet, as in Gopher."""
    ellipses: float = 0.3
    """Greatest share of lines that end with an ellipsis, as in Gopher."""
    alphabetic: float = 0.25
    """Least share of words with a letter in them; Gopher 0.8."""
    stop_words: int = 0
    """How many of the, be, to, of, and, that, have, with must occur; Gopher 2."""
    repeated_lines: float = 0.3
    """Greatest share of characters in lines that stand there before; Gopher 0.2."""
    repeated_words: float = 0.3
    """Greatest share of characters in the words that the commonest three in a row cover; Gopher
    0.18."""
    blanks: float = 0.6
    """Greatest share of white space among the characters; not in Gopher."""


def quality_fault(text: str, config: QualityConfig) -> str:
    """Why a document is not fit to learn from, with the number; empty when it is."""
    words = text.split()
    if len(words) < config.min_words:
        return f"few words: {len(words)}"
    letters = sum(map(len, words))
    low, high = config.word_length
    mean = letters / len(words)
    if not low <= mean <= high:
        return f"mean word length: {mean:.1f}"
    blanks = 1 - letters / len(text)
    if blanks > config.blanks:
        return f"white space: {blanks:.2f}"
    symbols = (text.count("#") + text.count("...") + text.count("…")) / len(words)
    if symbols > config.symbols:
        return f"symbols per word: {symbols:.2f}"
    alphabetic = sum(any(map(str.isalpha, word)) for word in words) / len(words)
    if alphabetic < config.alphabetic:
        return f"words with letters: {alphabetic:.2f}"
    found = len(STOP_WORDS.intersection(word.strip(".,;:!?\"'").lower() for word in words))
    if found < config.stop_words:
        return f"stop words: {found}"
    return _line_fault(text, config) or _repetition_fault(words, config)


def _line_fault(text: str, config: QualityConfig) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    bullets = sum(line.startswith(("-", "*", "•")) for line in lines) / len(lines)
    if bullets > config.bullets:
        return f"bullet lines: {bullets:.2f}"
    ellipses = sum(line.endswith(("...", "…")) for line in lines) / len(lines)
    if ellipses > config.ellipses:
        return f"ellipsis lines: {ellipses:.2f}"
    again = sum(len(line) * (count - 1) for line, count in Counter(lines).items())
    share = again / sum(map(len, lines))
    return f"repeated lines: {share:.2f}" if share > config.repeated_lines else ""


def _repetition_fault(words: list[str], config: QualityConfig) -> str:
    """The commonest three words in a row, by the characters of all words that they cover.

    Where they overlap ("ha ha ha ha") a word counts once, so that the share is one.
    """
    if len(words) < _NGRAM:
        return ""
    rows = list(zip(*(islice(words, start, None) for start in range(_NGRAM)), strict=False))
    [(common, count)] = Counter(rows).most_common(1)
    if count == 1:
        return ""
    covered = {
        place + step for place, row in enumerate(rows) if row == common for step in range(_NGRAM)
    }
    share = sum(len(words[place]) for place in covered) / sum(map(len, words))
    return f"repeated words: {share:.2f}" if share > config.repeated_words else ""
