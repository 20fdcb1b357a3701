"""What one batch of preference collection consists of. Llama 2, section 3.2.1; needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, get_args

from llamalite.training_config import Compile, check_choice


@dataclass(frozen=True)
class PreferencesConfig:
    """Which pairs are made and who judges them.

    The paper collected 14 weekly batches, 1,418,091 comparisons in all, from 5,561 in the first to
    249,356 in the last; how they divide into helpfulness and safety it does not print.
    """

    batch: int = 1
    """Which "week" this is, from 1."""
    helpfulness: int = 1_800
    """Prompts whose replies are compared by helpfulness."""
    safety: int = 900
    """Prompts whose replies are compared by safety, adversarial ones."""
    first_prompt: int = 0
    """Index of the first prompt of each kind, so that batches can have prompts of their own."""
    borderline_share: float = 0.1
    """Share of harmless prompts that sound like mischief among those for helpfulness. Not in the
    paper, whose section 4.2.3 finds that models learn to refuse such prompts."""
    safety_borderline_share: float = 0.1
    """The same among those for safety: it shows the reward model that answers to them are safe."""
    multi_turn_share: float | None = None
    """Share of prompts with earlier turns, of each guideline; None: as they come. The paper's grew
    from batch to batch."""
    temperatures: tuple[float, ...] = (0.9, 1.1)
    """The two replies of a pair are drawn at two different ones of these. The paper varies the
    temperature and does not print it."""
    top_p: float = 1.0
    """Draw only among the likeliest tokens that together reach this probability."""
    max_new_tokens: int = 48
    """Most tokens of a reply, its end included."""
    previous_share: float = 1.0
    """Share of pairs between the newest model and the previous one, where there is one; the others
    are both by the newest. The paper's pairs are from two different variants."""
    redraws: int = 3
    """How often a reply is drawn again that is empty or the same as the other; a pair that stays so
    is left out and counted."""
    prompts_at_once: int = 256
    """Prompts sampled between two files of the draft: at most so much work is lost to a kill."""
    compile: Compile = "auto"
    """Compiled operations while replies are sampled; auto where there are enough to pay for it."""
    judged: str = ""
    """People's verdicts, which take the simulated annotators' place: the store that `llamalite
    annotate` serves (an SQLite file or a database's URL), or a file as its --export writes one
    (.jsonl, .parquet). A round takes those of its batch; rows that name none are round 1's. Where
    a round has none yet, its pairs are put there for people to judge, and the stage ends with what
    to do. "": simulated annotators judge."""
    annotators: int = 8
    """Simulated annotators, each with a taste of their own; they take turns."""
    judgements_each: int = 1
    """How many of them judge the same pair; more than 1 shows how far they agree."""
    noise: float = 0.12
    """Standard deviation with which they see helpfulness, on the scale from 0 to 1."""
    safety_noise: float = 0.08
    """The same of safety."""
    bias: float = 1.0
    """Strength of their personal taste (length, courtesy); 0: none."""
    test_share: float = 0.1
    """Share of each guideline's pairs kept apart to test reward models by, never to train them."""
    test_pairs: int = 1000
    """At most so many; the paper kept 1000 of each batch."""

    def __post_init__(self) -> None:
        for name in (
            *("batch", "max_new_tokens", "prompts_at_once", "annotators", "judgements_each"),
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("helpfulness", "safety", "first_prompt", "redraws", "test_pairs"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        check_choice("compile", self.compile, get_args(Compile))
        if re.search(r"://[^:/@]*:[^@]*@|[?&]password=", self.judged):
            raise ValueError(
                "judged holds a password, which every manifest would show; leave it to PGPASSWORD "
                "or to the file ~/.pgpass"
            )
        if not self.helpfulness and not self.safety:
            raise ValueError("helpfulness and safety are both 0; ask for some pairs")
        for name in ("borderline_share", "safety_borderline_share", "previous_share", "test_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.multi_turn_share is not None and not 0 <= self.multi_turn_share <= 1:
            raise ValueError(
                f"multi_turn_share is {self.multi_turn_share}; it must lie between 0 and 1, or be "
                "null"
            )
        for name in ("noise", "safety_noise", "bias"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if not all(0 <= t < float("inf") for t in self.temperatures):
            raise ValueError(f"temperatures is {self.temperatures}; give numbers of 0 or more")
        if len(set(self.temperatures)) < max(2, len(self.temperatures)):
            raise ValueError(
                f"temperatures is {self.temperatures}; give at least two, all different"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if self.judgements_each > self.annotators:
            raise ValueError(
                f"judgements_each {self.judgements_each} is more than there are annotators "
                f"({self.annotators}); nobody judges a pair twice"
            )

    def held(self, setting: str) -> dict[str, Any] | None:
        """What stands in a store that a setting names; None where it is a file."""
        from llamalite.preferences.judged import content

        return content(getattr(self, setting), self.batch)


@dataclass(frozen=True)
class AnnotateConfig:
    """The page on which people compare replies, and files in and out of its store."""

    store: str = "annotations.db"
    """Where judgements are kept: an SQLite file, or the URL of a database
    (postgresql+psycopg://user@host/name)."""
    pairs: str = ""
    """Pairs to put up first: items.parquet of a preferences stage, or JSONL with "prompt", "a" and
    "b" in each row. Those that are there already stay as they are."""
    judgements_each: int = 1
    """People who judge each of these pairs."""
    guideline: str = ""
    """Show only helpfulness, or only safety."""
    annotators: tuple[str, ...] = ()
    """The only codes let in, as [ann,bo]; all when there are none."""
    port: int = 8866
    """Port of the page."""
    ip: str = "127.0.0.1"
    """Address to listen on. Nothing is encrypted: for other machines put a proxy before it."""
    token: str = ""
    """What opens the page; a new one unless given."""
    export: str = ""
    """Write all judgements so far to this .jsonl or .parquet file, and serve nothing."""
