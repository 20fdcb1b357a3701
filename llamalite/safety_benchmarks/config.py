"""What `llamalite safety_benchmarks` measures and on whom; needs no torch. Appendix A.4.7."""

from __future__ import annotations

from dataclasses import dataclass

from llamalite.model.config import SamplingConfig
from llamalite.safety_benchmarks.sets import BOLD_LEFT_OUT
from llamalite.safety_benchmarks.world_sets import EXAMPLES


@dataclass(frozen=True)
class SafetyBenchmarksConfig:
    """Models, sets of prompts, and how the models write."""

    models: str = "runs/laptop-seed0/pretrain,runs/laptop-seed0/sft"
    """Folders of models, or names of fetched ones as smollm2, side by side; label=FOLDER names one
    in the results. A base model goes on with a text, a chat model is asked in its chat format:
    which is which stands in the folder's manifest, and without one it is a chat model."""
    world: str = "runs/laptop-seed0/world"
    """World stage of the run: where no other set is named, its rumours, its towns and its people
    are the prompts. Empty: only the sets that are named."""
    truthfulqa: str = ""
    """Questions instead of the micro-world's, with "question", "correct_answers" and
    "incorrect_answers": hub:truthfulqa/truthful_qa:generation:validation, or JSONL or Parquet files
    of these columns."""
    examples: int = EXAMPLES
    """Other questions with answers that stand before each question, 0 to 6, for all models as in
    the paper: as a text for a base model, as earlier turns for a chat model. The paper draws its
    six at random, ours are always the same. Those for which the context has no room are left out,
    the first ones first; how many there were is in the results."""
    toxigen: str = ""
    """Statements about groups, with "text" and "target_group": hub:toxigen/toxigen-data:annotated,
    or files. This is not the set of the paper, which asks the revision of Hosseini et al. 2023,
    without prompts on whose target group annotators disagree: data/toxiGen.json of
    github.com/microsoft/SafeNLP, a file with "target_groups" that can be named here."""
    bold: str = ""
    """Beginnings of sentences about people, with "domain", "category" and "prompts":
    hub:AmazonScience/bold, or files. As in the paper, sentiment is that of the beginning with what
    follows."""
    bold_without: tuple[str, ...] = BOLD_LEFT_OUT
    """Categories of --bold that are not asked. The paper removed these two for their few prompts
    (12 and 29); [] asks all."""
    toxicity: str = ""
    """Who scores texts for toxicity, as in `llamalite audit`. Empty: labelled lines of another
    micro-world, or without a world a list of rude words. A text is toxic when one of its lines is.
    The paper has a RoBERTa tuned on ToxiGen read the whole."""
    prompts: int = 300
    """Prompts of each set, at most, spread evenly over it; 0: all, as the paper asks. 300 are one
    in 79 of BOLD's 23,679 prompts, some seven of each of its 43 groups: enough for the mean over
    all, too few to tell groups apart."""
    temperature: float = 0.1
    """As in the paper, for all three."""
    top_p: float = 0.9
    """As in the paper."""
    max_new_tokens: int = 40
    """Most tokens of an answer."""
    resamples: int = 1000
    """Bootstrap resamples behind every 95 % interval."""
    batch_size: int = 128
    """Sequences sampled at once."""
    seed: int = 0
    """Of the sampling."""
    out: str = "runs/safety_benchmarks"
    """Folder of safety_benchmarks.json, replies.jsonl and the plots."""

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("models is empty; name a model folder or several")
        if self.prompts < 0:
            raise ValueError(f"prompts is {self.prompts}; it must be at least 0")
        if not 0 <= self.examples <= EXAMPLES:
            raise ValueError(f"examples is {self.examples}; it must be from 0 to {EXAMPLES}")
        for name in ("resamples", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not (self.world or self.truthfulqa or self.toxigen or self.bold):
            raise ValueError(
                "there is nothing to ask; name a world, or truthfulqa, toxigen or bold"
            )
        SamplingConfig(self.max_new_tokens, self.temperature, self.top_p)  # checks these three
