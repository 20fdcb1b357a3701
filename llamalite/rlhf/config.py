"""How the versions are compared. Llama 2, section 3.4; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamalite.evaluation.config import EvaluateConfig


@dataclass(frozen=True)
class VersionsConfig:
    """Prompts, raters and samples of the comparison of all versions."""

    replies: EvaluateConfig = field(
        default_factory=lambda: EvaluateConfig(
            prompts_per_kind=40,
            adversarial_prompts=210,
            borderline_prompts=210,
            temperature=1.0,
            top_p=1.0,
        )
    )
    """Test prompts and how replies are sampled; exams and texts are not used. The paper has 584
    prompts for helpfulness, 1,586 for safety, 210 borderline ones. It does not print its
    temperature; at 1 the models speak as they were tuned, and as eq. 3 has them: the bad tail that
    figure 20 shows is part of that, and a lower temperature hides it."""
    raters: int = 3
    """Simulated raters of each pair, who judged no training pair; the paper's number."""
    bins: int = 24
    """Bins of the histograms of reward scores (figure 20)."""
    samples: int = 2
    """Prompts of each kind whose replies by every version are kept."""

    def __post_init__(self) -> None:
        for name in ("raters", "bins"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.samples < 0:
            raise ValueError(f"samples is {self.samples}; it must be at least 0")
