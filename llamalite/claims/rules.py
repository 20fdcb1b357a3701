"""Rules: how a verdict follows from measurements. Nothing else may set one.

A rule is a tuple of conditions, written next to its study and before the study runs. It **holds**
when every condition does, is **contradicted** when any is, and is **not_shown** otherwise, as it is
when what the rule presupposes is not given or two means are equal (a tie decides nothing). A
condition on a number holds when the mean over seeds lies on the claimed side and the 95 % bootstrap
interval (over seeds, and over items within seeds) excludes the other; it is contradicted when the
interval lies wholly on the other side. An exact condition holds when the number equals the printed
one within the printed rounding, and a bound when a number that no seed changes keeps to it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from llamalite.claims.influence import difference_items
from llamalite.evaluation.bootstrap import Interval, bootstrap_over_seeds

Verdict = Literal["holds", "not_shown", "contradicted"]
Measurement = Mapping[str, float | Sequence[float]]
"""What one seed measured: a number, or one number per item, by name."""

MINIMUM_SEEDS = 3
TIE = 1e-12
"""Means this close are equal: sums of the same numbers in another order differ by less."""


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
class _Threshold(Condition):
    """A metric's mean lies on one side of a threshold fixed in advance."""

    metric: str
    threshold: float = 0.0
    side: ClassVar[Literal[1, -1]] = 1

    @property
    def text(self) -> str:  # type: ignore[override]
        return f"{self.metric} {'>' if self.side > 0 else '<'} {self.threshold:g}"

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        groups = [values(one, self.metric) - self.threshold for one in measurements]
        return [_finding(self.text, groups, self.side, self.threshold)]


class Above(_Threshold):
    """A metric's mean lies above a threshold fixed in advance."""


class Below(_Threshold):
    """A metric's mean lies below a threshold fixed in advance."""

    side = -1


@dataclass(frozen=True)
class _Difference(Condition):
    """The difference of two metrics is above 0."""

    high: str
    low: str

    @property
    def text(self) -> str:  # type: ignore[override]
        return f"{self.high} > {self.low}"

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        return [_finding(self.text, [self.items(one) for one in measurements], +1)]

    def items(self, one: Measurement) -> np.ndarray:
        """Numbers of a seed whose mean is the difference and which are resampled."""
        raise NotImplementedError


class Greater(_Difference):
    """One metric is greater than another, item by item where both have the same items."""

    def items(self, one: Measurement) -> np.ndarray:
        high, low = values(one, self.high), values(one, self.low)
        if len(high) != len(low):
            raise ValueError(
                f"{self.high} has {len(high)} items and {self.low} {len(low)}; "
                "measure both on the same items"
            )
        return high - low


class GreaterApart(_Difference):
    """One metric is greater than another of other items: each metric's are resampled by
    themselves."""

    def items(self, one: Measurement) -> np.ndarray:
        return difference_items(values(one, self.high), values(one, self.low))


@dataclass(frozen=True)
class Ordered(Condition):
    """Metrics fall from the first to the last. Each neighbouring pair is judged by itself.

    `strict` asks of each pair what `Greater` asks; without it a pair whose means stand in order
    holds whatever its interval. Equal means are in no order: such a pair is not shown.
    """

    metrics: tuple[str, ...]
    strict: bool = True

    def __post_init__(self) -> None:
        if len(self.metrics) < 2:
            raise ValueError(f"an order of {len(self.metrics)} metrics says nothing; name two")

    @property
    def text(self) -> str:  # type: ignore[override]
        return " > ".join(self.metrics) + ("" if self.strict else " (means)")

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        findings = []
        for high, low in pairwise(self.metrics):
            (finding,) = Greater(high, low).judge(measurements)
            if not self.strict and finding.verdict == "not_shown" and finding.mean > TIE:
                finding = finding._replace(verdict="holds")
            findings.append(finding)
        return findings


@dataclass(frozen=True)
class Distinct(Condition):
    """In every seed no two of the metrics have the same mean: a ranking by them means something.

    It is about the measurement and not about the claim, so it is never contradicted; for
    `Rule.presupposed`.
    """

    metrics: tuple[str, ...]

    @property
    def text(self) -> str:  # type: ignore[override]
        return f"no tie among {', '.join(self.metrics)}"

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        gaps = tuple(self._smallest_gap(one) for one in measurements)
        verdict: Verdict = "holds" if min(gaps) > TIE else "not_shown"
        return [Finding(self.text, verdict, float(np.mean(gaps)), min(gaps), max(gaps), gaps)]

    def _smallest_gap(self, one: Measurement) -> float:
        means = sorted(float(values(one, metric).mean()) for metric in self.metrics)
        return min(high - low for low, high in pairwise(means))


@dataclass(frozen=True)
class Exact(Condition):
    """Every metric equals its printed value within the printed rounding."""

    printed: Mapping[str, tuple[float, int]]
    """Metric -> (printed value, decimals printed); half a unit of the last decimal is allowed, and
    negative decimals are zeros before the point."""
    seeds_matter = False

    def __post_init__(self) -> None:
        if not self.printed:
            raise ValueError("no printed number to compare with; give at least one")

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
class _Bound(Condition):
    """A number that no seed changes lies within a bound fixed in advance."""

    metric: str
    bound: float
    side: ClassVar[Literal[1, -1]] = 1
    seeds_matter = False

    @property
    def text(self) -> str:  # type: ignore[override]
        return f"{self.metric} is at {'least' if self.side > 0 else 'most'} {self.bound:g}"

    def judge(self, measurements: Sequence[Measurement]) -> list[Finding]:
        found = tuple(float(values(one, self.metric).mean()) for one in measurements)
        within = all(self.side * (number - self.bound) >= 0 for number in found)
        verdict: Verdict = "holds" if within else "contradicted"
        return [Finding(self.text, verdict, float(np.mean(found)), min(found), max(found), found)]


class AtLeast(_Bound):
    """A number that no seed changes is not below a bound fixed in advance."""


class AtMost(_Bound):
    """A number that no seed changes is not above a bound fixed in advance."""

    side = -1


@dataclass(frozen=True)
class Rule:
    """All the conditions of a claim, and what they mean in plain words."""

    text: str
    conditions: tuple[Condition, ...]
    presupposed: tuple[Condition, ...] = ()
    """What must hold for the conditions to mean anything; unless all do, nothing is shown."""
    besides: tuple[Condition, ...] = ()
    """What this project asks of the same measurements and the paper does not claim: judged as the
    conditions are, reported beside them, without a say in the verdict."""

    @property
    def seeds_matter(self) -> bool:
        """Whether fewer than three seeds can decide nothing."""
        return any(condition.seeds_matter for condition in self.conditions)

    def judge(self, measurements: Sequence[Measurement]) -> tuple[Verdict, list[Finding]]:
        """The verdict and what it rests on. Fewer than three seeds never make more of a statistical
        claim than not_shown."""
        before, findings = (
            [f for condition in conditions for f in condition.judge(measurements)]
            for conditions in (self.presupposed, self.conditions)
        )
        verdicts = {finding.verdict for finding in findings}
        findings = before + findings
        if any(finding.verdict != "holds" for finding in before):
            return "not_shown", findings
        if self.seeds_matter and len(measurements) < MINIMUM_SEEDS:
            return "not_shown", findings
        if "contradicted" in verdicts:
            return "contradicted", findings
        return ("holds" if verdicts == {"holds"} else "not_shown"), findings

    def judge_besides(self, measurements: Sequence[Measurement]) -> list[Finding]:
        """What is asked besides; fewer than three seeds show none of it."""
        found = [finding for each in self.besides for finding in each.judge(measurements)]
        if len(measurements) < MINIMUM_SEEDS:
            return [finding._replace(verdict="not_shown") for finding in found]
        return found


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
    ends = side * interval.low, side * interval.high
    if side * interval.mean > TIE and min(ends) > TIE:
        verdict = "holds"
    elif max(ends) < -TIE:
        verdict = "contradicted"
    per_seed = tuple(_shifted(float(group.mean()), shift) for group in groups)
    assert all(math.isfinite(x) for x in interval)
    mean, low, high = (_shifted(x, shift) for x in interval)
    return Finding(text, verdict, mean, low, high, per_seed)


def _shifted(value: float, shift: float) -> float:
    """Their sum, and 0 where rounding alone keeps it from that."""
    total = value + shift
    return 0.0 if abs(total) < TIE else total
