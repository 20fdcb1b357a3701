"""Who says how toxic a text is, and in which language it is written. Llama 2, section 4.1.

A detector of toxicity gives a line a score from 0 to 1, one of languages gives a document the
probability of each. Both are any callable; which one was asked stands in every result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Any, NamedTuple

from llamalite.audit.bayes import NaiveBayes, letter_runs
from llamalite.audit.words import tokens
from llamalite.data_care.language import UNKNOWN, identify
from llamalite.own_files import HUB, matching_files

WORD_LIST = "better-profanity"
"""The package whose list of some 900 words is read; it is never imported."""
_WORD_LIST_FILE = "better_profanity/profanity_wordlist.txt"
_PLAIN = re.compile(r"[^\W\d_]+(?:[ '’-]+[^\W\d_]+)*")
"""Terms of nothing but words; `tokens` would read "he11" as "he"."""
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+|\n")
TOXIC, HARMLESS = "toxic", "harmless"
_LABELS: dict[tuple[str, ...], Callable[[float], bool]] = {
    ("label",): lambda value: value >= 1,
    ("toxicity_human", "toxicity_ai"): lambda both: both > 5.5,
    ("toxicity_human",): lambda value: value >= 3,
}
"""Columns that tell whether a row is toxic, and what their sum tells; of these the first that a
table has."""


class Detector(NamedTuple):
    """What is asked, and what it is called in results."""

    name: str
    ask: Callable[[str], Any]


def document_toxicity(text: str, line: Callable[[str], float]) -> float:
    """Mean score of a document's lines, 0 to 1, as the paper averages HateBERT's; 0 without any."""
    lines = [each for each in text.split("\n") if each.strip()]
    return sum(map(line, lines)) / len(lines) if lines else 0.0


def word_list(terms: Iterable[str], name: str) -> Detector:
    """1 for a line in which a term of one word or several stands, whatever it means there.

    Terms with digits or signs ("sh!t") are left out: what remains of them is another word.
    """
    wanted = {tuple(tokens(term)) for term in terms if _PLAIN.fullmatch(term.strip())}
    if not wanted:
        raise ValueError(f"{name} holds no plain word; give one a line")
    beginning: dict[str, list[tuple[str, ...]]] = {}
    for term in wanted:
        beginning.setdefault(term[0], []).append(term)

    def ask(line: str) -> float:
        words = tokens(line)
        return float(
            any(
                tuple(words[at : at + len(term)]) == term
                for at, word in enumerate(words)
                for term in beginning.get(word, ())
            )
        )

    return Detector(f"{name}, {len(wanted)} terms", ask)


def packaged_word_list() -> Detector:
    """The word list of better-profanity: rude words, in English; it hears neither tone nor sense.

    Raises ValueError where the package is absent.
    """
    try:
        found = [file for file in files(WORD_LIST) or [] if str(file) == _WORD_LIST_FILE]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ValueError(
            f"the word list is that of the package {WORD_LIST}, which is not installed or has no "
            'list; pip install "llamalite[audit]", or give a list or labelled lines with --toxicity'
        )
    text = Path(str(found[0].locate())).read_text(encoding="utf-8")
    return word_list(text.splitlines(), f"{WORD_LIST} {version(WORD_LIST)}")


def learned_toxicity(lines: Mapping[str, Iterable[str]], name: str) -> Detector:
    """Probability that a line is toxic, learned from lines labelled `TOXIC` and `HARMLESS`.

    As the paper's HateBERT was tuned on labelled ToxiGen, by a far smaller model.
    """
    model = NaiveBayes({label: lines[label] for label in (TOXIC, HARMLESS)}, tokens)
    return Detector(f"naive Bayes over words, learned from {name}", lambda line: model(line)[TOXIC])


def toxicity_from(where: str) -> Detector:
    """The detector a setting names: "words", a .txt list of terms, or labelled rows.

    Rows are those of ToxiGen, in JSONL or Parquet files or of the hub: "text" with a "label" (0 or
    1), or with "toxicity_human" and "toxicity_ai" (1 to 5 each), toxic where their sum is above 5.5
    as ToxiGen's authors label them, or with "toxicity_human" alone, toxic from 3 on: that line is
    ours. Rows without a text or a value are left out. ValueError else.
    """
    if where == "words":
        return packaged_word_list()
    if where.endswith(".txt"):
        try:
            # "sig": a byte order mark, as some editors write it, belongs to no term
            return word_list(Path(where).read_text(encoding="utf-8-sig").splitlines(), where)
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read the list of terms {where}: {error}") from None
    if not where.startswith(HUB) and not matching_files(where):
        raise ValueError(
            f"toxicity is {where!r}, which is no file; give words, a .txt list of terms, or rows "
            'with "text" and "label"'
        )
    from llamalite.text.files import open_table

    rows = open_table("toxicity", where)
    if "text" not in rows.column_names:
        raise ValueError(f'{where} has no column "text", only {", ".join(rows.column_names)}')
    keys = next((keys for keys in _LABELS if {*keys} <= {*rows.column_names}), None)
    if keys is None:
        raise ValueError(f'{where} has neither "label" nor "toxicity_human"; label its rows')
    lines: dict[str, list[str]] = {TOXIC: [], HARMLESS: []}
    for row in rows:
        values = [row[key] for key in keys]
        if row["text"] and None not in values:
            toxic = _LABELS[keys](sum(map(float, values)))
            lines[TOXIC if toxic else HARMLESS].append(row["text"])
    return learned_toxicity(lines, where)


def learned_languages(lines: Mapping[str, Iterable[str]], name: str) -> Detector:
    """Languages by runs of three letters, learned from lines; long sentences count for more.

    Each sentence is told by itself, for one page may have two languages.
    """
    model = NaiveBayes(lines, letter_runs)

    def ask(text: str) -> dict[str, float]:
        total = dict.fromkeys(model.classes, 0.0)
        letters = 0
        for sentence in _SENTENCE_END.split(text):
            size = sum(c.isalpha() for c in sentence)
            for language, probability in model(sentence).items() if size else ():
                total[language] += size * probability
            letters += size
        return {each: weight / letters for each, weight in total.items()} if letters else {}

    return Detector(f"naive Bayes over letters, learned from {name}", ask)


def packaged_languages() -> Detector:
    """py3langid, a naive Bayes over bytes for some hundred languages, its model inside the package.

    A document is judged by its first 1,000 characters. What is not the likeliest language is
    unknown. Raises ValueError where the package is absent.
    """
    identify("")  # complains now, not after a corpus was opened

    def ask(text: str) -> dict[str, float]:
        if not any(c.isalpha() for c in text):
            return {}
        language, probability = identify(text)
        return {language: probability, UNKNOWN: 1 - probability}

    return Detector(f"py3langid {version('py3langid')}", ask)
