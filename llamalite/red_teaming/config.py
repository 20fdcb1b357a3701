"""What a red-teaming campaign consists of. Llama 2, section 4.3; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamalite.model.config import SamplingConfig
from llamalite.safety.config import SafetyConfig


@dataclass(frozen=True)
class RedTeamConfig:
    """Who attacks, how often, and how what they find is learned from.

    The paper had more than 350 people attack successive models over several months.
    """

    attackers: int = 20
    """Simulated people; each goes on from what the round before has taught them."""
    attempts: int = 20
    """Attempts of each of them in a round: against one model."""
    seconds: float = 120.0
    """What a simulated attempt takes. Not in the paper: gamma scales with it, so only the ratio of
    simulated gammas means anything."""
    prompts: int = 1_050
    """Adversarial prompts that the attackers know, spread evenly over risk categories and attack
    vectors; and as many fresh ones for the last model before and after it is tuned."""
    first_prompt: int = 90_000
    """Index of the first of them: no other stage's prompts."""
    transcripts: str = ""
    """Attempts of real people, a JSONL file with a row {"attacker": "...",
    "messages": [{"role": "user", "content": "..."}], "reply": "...", "risk": 1 to 5, "seconds": n}
    each, as `llamalite attack --export FILE` writes them ("category", which must be illicit,
    hateful or unqualified, "vector" and "candidate", the attacked model, are optional). They get a
    gamma of their own, from real time, and what they found is learned from too."""
    temperature: float = 0.7
    """Temperature of the attacked models' replies."""
    top_p: float = 0.95
    """Probability mass of the nucleus that they are drawn from."""
    max_new_tokens: int = 48
    """Most tokens of a reply, its end included."""
    feedback: SafetyConfig = field(default_factory=lambda: SafetyConfig(first_prompt=95_000))
    """How the last model is tuned on what was found: context distillation with the gate. Its number
    of prompts and harmless share are not used."""

    def __post_init__(self) -> None:
        for name in ("attackers", "attempts", "prompts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 < self.seconds < float("inf"):
            raise ValueError(f"seconds is {self.seconds}; it must be above 0")
        if self.first_prompt < 0:
            raise ValueError(f"first_prompt is {self.first_prompt}; it must be at least 0")
        SamplingConfig(self.max_new_tokens, self.temperature, self.top_p)  # checks them itself
