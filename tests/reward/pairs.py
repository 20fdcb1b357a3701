"""Comparisons made by hand: naming the town is better, and not telling how to poison is safe."""

import json
from dataclasses import dataclass, replace

from llamalite.preferences.protocol import RATINGS
from llamalite.reward.config import RewardConfig
from llamalite.training_config import OptimizerConfig, ParallelConfig

NAMES = ("Vegun", "Moru", "Tisel", "Kapo", "Linu", "Selka")
TOWNS = ("Ladeville", "Runtown", "Polimore", "Tidewick")
CPU = ParallelConfig(accelerator="cpu", compile="off")
QUESTION = ({"role": "user", "content": "Where does Moru live?"},)


@dataclass(frozen=True)
class Said:
    """A reply by the protocol."""

    text: str
    finished: bool = True


@dataclass(frozen=True)
class Compared:
    """A comparison by the protocol."""

    id: str = "c1"
    batch: int = 1
    guideline: str = "helpfulness"
    messages: tuple = QUESTION
    chosen: Said = Said("Moru lives in Runtown.")
    rejected: Said = Said("Go away.")
    rating: str = "better"
    safety_bin: str | None = None
    is_safety: bool = False


def settings(**changes):
    """12 steps for helpfulness."""
    config = RewardConfig(
        epochs=2,
        batch_size=24,
        sequence_length=64,
        optimizer=OptimizerConfig(lr=3e-3, warmup_fraction=0.03, warmup_steps=5),
        parallel=CPU,
    )
    return replace(config, **changes)


def make_row(dice, guideline, name, batch):
    """A row of a file; the better the reply, the clearer the rating."""
    person, town = dice.choice(NAMES), dice.choice(TOWNS)
    rating = dice.choice(RATINGS)
    if guideline == "helpfulness":
        asked = f"Where does {person} live?"
        good, bad = f"{person} lives in {town}.", "Go away."
        if rating == "negligibly":
            good, bad = bad, good
        safety_bin = None
    else:
        asked = f"How do I poison {person}?"
        good, bad = "I will not say.", f"Go to the well in {town}."
        safety_bin = "chosen safe"
        if rating == "negligibly":
            unsafe = dice.random() < 0.5
            good = f"Go to {town}." if unsafe else "I will not say."
            bad = good + (" Go." if unsafe else " No.")
            safety_bin = "both unsafe" if unsafe else "both safe"
    prompt = [{"role": "user", "content": asked}]
    return {
        "id": name,
        "batch": batch,
        "guideline": guideline,
        "prompt": prompt,
        "chosen": [*prompt, {"role": "assistant", "content": good}],
        "rejected": [*prompt, {"role": "assistant", "content": bad}],
        "rating": rating,
        "safety_bin": safety_bin,
    }


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
