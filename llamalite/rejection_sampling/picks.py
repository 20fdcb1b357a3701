"""What another model's round has picked, to learn from. Llama 2, section 3.2.3; needs no torch.

"We perform rejection sampling only with our largest 70B Llama 2-Chat. All smaller models are
fine-tuned on rejection sampled data from the larger model, thus distilling the large-model
capabilities into the smaller ones."
"""

from __future__ import annotations

import json
from pathlib import Path

from llamalite.artifacts import MANIFEST, Artifact
from llamalite.rejection_sampling.candidates import Candidate, read_candidates
from llamalite.rejection_sampling.select import usable


def read_picks(path: str | Path, world: Artifact | None = None) -> list[Candidate]:
    """The replies that a round has picked, from its selected.parquet.

    They are text: whoever learns from them splits it into tokens of its own. Raises ValueError when
    the file is missing, holds no picks or one that cannot be learned from, or when the manifest
    beside it names another world than `world`: one of facts that the learner has never read.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(
            f"there are no picks in {path}; picks_from names the folder of a run that has finished "
            f"{path.parent.name}, as runs/laptop-seed0"
        )
    picks = read_candidates(path)
    if not picks:
        raise ValueError(f"{path} is empty: nothing was picked; name another run in picks_from")
    bad = [each for each in picks if not usable(each)]
    if bad:
        raise ValueError(
            f"{len(bad)} of {len(picks)} replies in {path} are empty, cut or hold chat tags, the "
            f"first to prompt {bad[0].prompt_id}; give a round's selected.parquet, which has none"
        )
    theirs = _world_of(path)
    if world is not None and theirs is not None and theirs != world.content_hash:
        raise ValueError(
            f"the picks in {path} are about another world than this run's; give both runs the "
            "same settings of world"
        )
    return picks


def _world_of(path: Path) -> str | None:
    """Hash of the world that a file of picks is about; None where no manifest beside it says."""
    try:
        manifest = json.loads(path.with_name(MANIFEST).read_text(encoding="utf-8"))
        return manifest["inputs"]["world"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
