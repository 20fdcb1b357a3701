"""Simulated annotators: the truth, seen with noise and a personal bias. Llama 2, section 3.2.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from llamalite.world import sentences
from llamalite.world.grader import Grade, Grader, likert
from llamalite.world.prompts_tasks import Prompt
from llamalite.world.seeding import rng_for

Guideline = Literal["helpfulness", "safety"]

RATINGS = ("significantly", "better", "slightly", "negligibly")
"""How much better the chosen reply is: the paper's 4-point rating, best first."""
THRESHOLDS = (0.35, 0.18, 0.06)
"""Least difference seen, on the scale from 0 to 1, for the first three ratings."""
SAFETY_BINS = ("chosen safe", "both safe", "both unsafe")
"""18 %, 47 % and 35 % of the paper's safety pairs."""
SAFETY_TIE = 0.05
"""Weight of helpfulness in choosing among replies of the same safety grade."""


@dataclass(frozen=True)
class Judgement:
    """What an annotator says about two replies."""

    choice: Literal["a", "b"]
    rating: str
    """One of `RATINGS`."""
    safety_bin: str | None
    """One of `SAFETY_BINS` under the safety guideline, else None. None under that guideline marks a
    pair to be thrown away: the chosen reply was unsafe and the other safe."""


class Annotator:
    """One person with a fixed taste.

    Whatever is noted of a reply depends only on the person, the prompt and the reply, so the order
    in which two replies are shown changes nothing.
    """

    def __init__(
        self,
        world: Any,
        identity: int = 0,
        *,
        noise: float = 0.12,
        safety_noise: float = 0.08,
        bias: float = 1.0,
    ) -> None:
        """`noise` is the standard deviation with which helpfulness (0 to 1) is seen, `safety_noise`
        that of safety, on the same scale; `bias` scales the personal taste, 0 for none.
        """
        for name, value in (("noise", noise), ("safety_noise", safety_noise), ("bias", bias)):
            if value < 0:
                raise ValueError(f"{name} is {value}; it must be at least 0")
        self.identity, self.noise, self.safety_noise = identity, noise, safety_noise
        self._grader = Grader(world)
        taste = rng_for("annotator", identity)
        self.length_bias = bias * taste.gauss(0.01, 0.02)
        """Liking for each ten words beyond fifteen, at most twenty; people like length a little."""
        self.courtesy_bias = bias * taste.gauss(0.01, 0.015)
        """Liking for courtesy beyond what the guideline gives it."""

    def grade(self, prompt: Prompt, reply: str) -> Grade:
        """The truth behind this annotator's impressions, for measurements only."""
        return self._grader.grade(prompt, reply)

    def impression(
        self, prompt: Prompt, reply: str, guideline: Guideline, grade: Grade | None = None
    ) -> float:
        """How good a reply seems, about 0 to 1, not cut off."""
        grade = grade or self._grader.grade(prompt, reply)
        key = reply.encode("utf-8", "replace").decode()  # any text, lone surrogates included
        rng = rng_for("impression", self.identity, guideline, prompt.id, key)
        if guideline == "safety":
            return (grade.safety - 1) / 4 + rng.gauss(0, self.safety_noise)
        reading = sentences.read(reply)
        words = sum(len(s.words) for s in reading.sentences)
        taste = self.length_bias * min(2.0, max(0.0, (words - 15) / 10))
        taste += self.courtesy_bias * any(map(sentences.is_courtesy, reading.sentences))
        return grade.helpfulness + taste + rng.gauss(0, self.noise)

    def likert(self, prompt: Prompt, reply: str) -> int:
        """A 7-point grade of helpfulness, as in section 3.4.2."""
        seen = min(1.0, max(0.0, self.impression(prompt, reply, "helpfulness")))
        return likert(seen)

    def safety_grade(self, prompt: Prompt, reply: str) -> int:
        """A 5-point grade of safety, as in section 4.4."""
        return _five_points(self.impression(prompt, reply, "safety"))

    def compare(
        self, prompt: Prompt, reply_a: str, reply_b: str, guideline: Guideline = "helpfulness"
    ) -> Judgement:
        """Choose between two replies and rate the difference.

        Under the safety guideline replies of the same grade are ties: always "negligibly" better,
        chosen by noise and a little helpfulness. ValueError for another guideline.
        """
        if guideline not in ("helpfulness", "safety"):
            raise ValueError(f"unknown guideline {guideline!r}; choose helpfulness or safety")
        grades = [self._grader.grade(prompt, reply) for reply in (reply_a, reply_b)]
        seen = [
            self.impression(prompt, reply, guideline, grade)
            for reply, grade in zip((reply_a, reply_b), grades, strict=True)
        ]
        safe = [_five_points(value) > 2 for value in seen]
        tie = guideline == "safety" and grades[0].safety == grades[1].safety
        if tie:
            weighed = [v + SAFETY_TIE * g.helpfulness for v, g in zip(seen, grades, strict=True)]
            difference = weighed[0] - weighed[1]
        else:
            difference = seen[0] - seen[1]
        if difference == 0:
            coin = rng_for("coin", self.identity, prompt.id, guideline).random()
            difference = 1e-9 if coin < 0.5 else -1e-9
        choice: Literal["a", "b"] = "a" if difference > 0 else "b"
        rating = RATINGS[-1] if tie else _rating(abs(difference))
        if guideline == "helpfulness":
            return Judgement(choice, rating, None)
        chosen, other = safe if choice == "a" else safe[::-1]
        if chosen:
            return Judgement(choice, rating, SAFETY_BINS[1] if other else SAFETY_BINS[0])
        return Judgement(choice, rating, None if other else SAFETY_BINS[2])


def _five_points(seen: float) -> int:
    return min(5, max(1, 1 + round(4 * seen)))


def _rating(difference: float) -> str:
    for rating, least in zip(RATINGS, THRESHOLDS, strict=False):
        if difference >= least:
            return rating
    return RATINGS[-1]
