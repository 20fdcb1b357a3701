"""Rules: how a verdict follows from measurements. Nothing else may set one.

A rule is a tuple of conditions, written next to its study and before the study runs. It **holds**
when every condition does, is **contradicted** when any is, and is **not_shown** otherwise. A
condition on a number holds when the mean over seeds lies on the claimed side and the 95 % bootstrap
interval (over seeds, and over items within seeds) excludes the other; it is contradicted when the
interval lies wholly on the other side. An exact condition holds when the number equals the printed
one within the printed rounding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from llamalite.evaluation.bootstrap import Interval, bootstrap_over_seeds

Verdict = Literal["holds", "not_shown", "contradicted"]
Measurement = Mapping[str, float | Sequence[float]]
"""What one seed measured: a number, or one number per item, by name."""

MINIMUM_SEEDS = 3


class Finding(NamedTuple):
    """What one condition came to."""

    condition: str
    verdict: Verdict
    mean: float
    """Of the quantity the condition is about; for an exact one, the largest error in units of the
    printed rounding."""
    low: float
    high: float
    per_seed: tuple[float, ...]
    exact: bool = False
    """Whether the numbers are errors against printed ones."""


class Condition(ABC):
    """One testable part of a rule."""

    text: str
    """What must be true, in a few words with the metrics' names."""
    seeds_matter: bool = True
    """Whether the verdict needs several seeds."""

    @abstractmethod
    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        """Findings from the measurements of all seeds."""


@dataclass(frozen=True)
class Above(Condition):
    """A metric's mean lies above a threshold fixed in advance."""

    metric: str
    threshold: float = 0.0

    @property
    def text(self) -> str:  # type: ignore[override]
        return f"{self.metric} > {self.threshold:g}"

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        groups = [values(one, self.metric) - self.threshold for one in measurements]
        return [_finding(self.text, groups, +1, self.threshold)]


@dataclass(frozen=True)
class Below(Condition):
    """A metric's mean lies below a threshold fixed in advance."""

    metric: str
    threshold: float = 0.0

    @property
    def text(self) -> str:  # type: ignore[override]
        return f"{self.metric} < {self.threshold:g}"

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        groups = [values(one, self.metric) - self.threshold for one in measurements]
        return [_finding(self.text, groups, -1, self.threshold)]


@dataclass(frozen=True)
class Greater(Condition):
    """One metric is greater than another, item by item where both have the same items."""

    high: str
    low: str

    @property
    def text(self) -> str:  # type: ignore[override]
        return f"{self.high} > {self.low}"

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        return [_finding(self.text, [self._paired(one) for one in measurements], +1)]

    def _paired(self, one: Measurement) -> np.ndarray:
        high, low = values(one, self.high), values(one, self.low)
        if len(high) != len(low):
            raise ValueError(
                f"{self.high} has {len(high)} items and {self.low} {len(low)}; "
                "measure both on the same items"
            )
        return high - low


@dataclass(frozen=True)
class Ordered(Condition):
    """Metrics fall from the first to the last. Each neighbouring pair is judged by itself.

    `strict` asks of each pair what `Greater` asks; without it a pair whose means stand in order
    holds whatever its interval.
    """

    metrics: tuple[str, ...]
    strict: bool = True

    @property
    def text(self) -> str:  # type: ignore[override]
        return " > ".join(self.metrics) + ("" if self.strict else " (means)")

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        findings = []
        for high, low in zip(self.metrics, self.metrics[1:], strict=False):
            (finding,) = Greater(high, low).judge(measurements)
            if not self.strict and finding.verdict == "not_shown" and finding.mean > 0:
                finding = finding._replace(verdict="holds")
            findings.append(finding)
        return findings


@dataclass(frozen=True)
class Exact(Condition):
    """Every metric equals its printed value within the printed rounding."""

    printed: Mapping[str, tuple[float, int]]
    """Metric -> (printed value, decimals printed); half a unit of the last decimal is allowed, and
    negative decimals are zeros before the point."""
    seeds_matter = False

    @property
    def text(self) -> str:  # type: ignore[override]
        return f"all {len(self.printed)} numbers equal the printed ones"

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        worst = tuple(
            max(
                abs(float(values(one, metric).mean()) - value) * 10**decimals
                for metric, (value, decimals) in self.printed.items()
            )
            for one in measurements
        )
        # the printed value itself is a binary fraction: leave a thousandth of a unit for it
        verdict: Verdict = "holds" if max(worst) <= 0.5 + 1e-3 else "contradicted"
        return [Finding(self.text, verdict, max(worst), min(worst), max(worst), worst, True)]


@dataclass(frozen=True)
class Rule:
    """All the conditions of a claim, and what they mean in plain words."""

    text: str
    conditions: tuple[Condition, ...]

    @property
    def seeds_matter(self) -> bool:
        """Whether fewer than three seeds can decide nothing."""
        return any(condition.seeds_matter for condition in self.conditions)

    def judge(self, measurements: Sequence[Measurement]) -> tuple[Verdict, list[Finding]]:
        """The verdict and what it rests on. Fewer than three seeds never make more of a statistical
        claim than not_shown."""
        findings = [f for condition in self.conditions for f in condition.judge(measurements)]
        verdicts = {finding.verdict for finding in findings}
        if self.seeds_matter and len(measurements) < MINIMUM_SEEDS:
            return "not_shown", findings
        if "contradicted" in verdicts:
            return "contradicted", findings
        return ("holds" if verdicts == {"holds"} else "not_shown"), findings


def values(measurement: Measurement, metric: str) -> np.ndarray:
    """A metric of one seed as an array of items (one item for a plain number)."""
    if metric not in measurement:
        raise ValueError(f"{metric} was not measured; measured: {', '.join(measurement)}")
    array = np.atleast_1d(np.asarray(measurement[metric], dtype=float))
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{metric} must be finite numbers, at least one; it is {array}")
    return array


def _finding(
    text: str, groups: Sequence[np.ndarray], side: Literal[1, -1], shift: float = 0.0
) -> Finding:
    interval: Interval = bootstrap_over_seeds(groups)
    verdict: Verdict = "not_shown"
    if side * interval.mean > 0 and min(side * interval.low, side * interval.high) > 0:
        verdict = "holds"
    elif max(side * interval.low, side * interval.high) < 0:
        verdict = "contradicted"
    per_seed = tuple(float(group.mean()) + shift for group in groups)
    assert all(math.isfinite(x) for x in interval)
    mean, low, high = (x + shift for x in interval)
    return Finding(text, verdict, mean, low, high, per_seed)
