"""A classifier of lines that is learned in a second: naive Bayes over words or letters.

Not in the paper, which has HateBERT for toxicity and fastText for languages: large models, learned
from labelled text like this small one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

LETTERS = 3
"""Length of the runs of letters that tell languages apart."""
TWICE = 2
"""A feature seen less often tells nothing."""


def letter_runs(text: str) -> list[str]:
    """All runs of three letters of a line, with the borders of its words as letters."""
    plain = f" {' '.join(''.join(c if c.isalpha() else ' ' for c in text.lower()).split())} "
    return [plain[i : i + LETTERS] for i in range(len(plain) - LETTERS + 1)]


class NaiveBayes:
    """Probabilities of classes from the features of a text.

    Beforehand a class is as likely as it was among the lines.
    """

    def __init__(
        self, lines: Mapping[str, Iterable[str]], features: Callable[[str], Sequence[str]]
    ) -> None:
        """Learn from labelled lines; ValueError for fewer than two classes, or one without text."""
        self.features = features
        texts = {name: list(given) for name, given in lines.items()}
        counts = {
            name: Counter(found for line in given for found in features(line))
            for name, given in texts.items()
        }
        self.classes = tuple(counts)
        empty = [name for name, found in counts.items() if not found]
        if len(counts) < 2 or empty:
            raise ValueError(
                f"labelled lines of {', '.join(counts) or 'no class'} do not do"
                + (f" ({', '.join(empty)} has no text)" if empty else "")
                + "; give lines of two classes or more"
            )
        whole = sum(counts.values(), Counter())
        known = [feature for feature, count in whole.items() if count >= TWICE]
        sizes = np.array([len(given) for given in texts.values()])
        self._before = np.log(sizes / sizes.sum())
        table = np.array([[counts[name][each] for each in known] for name in counts]) + 1.0
        logs = np.log(table / table.sum(1, keepdims=True))
        self._logs = {feature: logs[:, i] for i, feature in enumerate(known)}

    def evidence(self, one: str, other: str) -> dict[str, float]:
        """By how many nats each feature speaks for a class rather than another, most first."""
        i, j = self.classes.index(one), self.classes.index(other)
        found = {each: float(logs[i] - logs[j]) for each, logs in self._logs.items()}
        return dict(sorted(found.items(), key=lambda each: -each[1]))

    def before(self, one: str, other: str) -> float:
        """By how many nats a class is likelier than another before any feature is seen."""
        i, j = self.classes.index(one), self.classes.index(other)
        return float(self._before[i] - self._before[j])

    def __call__(self, text: str) -> dict[str, float]:
        """Class -> probability. Features never learned are passed over: a name tells nothing."""
        found = [self._logs[each] for each in self.features(text) if each in self._logs]
        total = np.sum([self._before, *found], axis=0)
        weights = np.exp(total - total.max())
        return dict(zip(self.classes, (weights / weights.sum()).tolist(), strict=True))
