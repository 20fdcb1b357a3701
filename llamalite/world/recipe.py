"""The stage `world`: write down which world it is, and look at it."""

from __future__ import annotations

import json
from typing import Any

from llamalite.world.config import WorldConfig
from llamalite.world.corpus import World, summary

_SAMPLES = 6


def run(config: WorldConfig, inputs: dict[str, Any], draft: Any, seed: int) -> None:
    """Write world.json (the config) and samples.json (texts to look at); counts go to metrics.

    The world's own seed, not the run's, decides which world it is, so that runs with other seeds
    train on the same world; `seed` is unused.
    """
    world = World(config)
    world.save(draft.path / "world.json")
    text = json.dumps(samples(world), indent=1, ensure_ascii=False)
    (draft.path / "samples.json").write_text(text + "\n", encoding="utf-8")
    draft.metrics.update(summary(world))


def samples(world: World, count: int = _SAMPLES) -> dict[str, Any]:
    """A few documents of every source, prompts of every kind and questions of every exam."""
    from llamalite.world.prompts import ADVERSARIAL, BORDERLINE

    kinds = (*world.kinds, ADVERSARIAL, BORDERLINE)
    return {
        "documents": {s: [world.document(s, i).text for i in range(count)] for s in world.sources},
        "prompts": {
            k: [list(world.prompt(k, i, "train").messages) for i in range(count)] for k in kinds
        },
        "questions": {
            name: [q._asdict() for q in world.exam(name)[:count]] for name in world.exams
        },
    }
