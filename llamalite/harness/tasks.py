"""From names to tasks: the micro-world's and lm-eval's own, with errors that say what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partialmethod
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval.tasks import TaskManager
from tqdm import tqdm

from llamalite.artifacts import Artifact
from llamalite.evaluation.recipe import open_world
from llamalite.harness.world_tasks import EVERYTHING, write_tasks
from llamalite.own_files import without_bars


class Loaded(NamedTuple):
    """Tasks and groups that were asked for, with all that stand in them."""

    tasks: Mapping[str, Any]
    """lm-eval's tasks by name, in the order they were named."""
    groups: Mapping[str, Any]
    """lm-eval's groups by name."""
    members: Mapping[str, Sequence[str]]
    """Group -> tasks and groups right below it."""


def is_world(name: str) -> bool:
    """Whether a name is one of the micro-world's tasks or groups."""
    return name == EVERYTHING or name.startswith(f"{EVERYTHING}_")


def load_tasks(
    names: Sequence[str], world: Path, folder: Path, questions: int, shots: int | None = None
) -> Loaded:
    """The tasks of some names; the micro-world's are written to `folder` when one is asked for.

    `shots` are the solved examples before each question; None: what each task says, else none. A
    task that says 0 keeps to it, as in lm-eval. Raises ValueError in one line for a name nobody
    knows, a task whose data cannot be had, and a task named twice.
    """
    include = None
    if any(map(is_world, names)):
        truth, _, _ = open_world(Artifact.open(world))
        write_tasks(truth, folder, questions)
        include = str(folder)
    theirs = [name for name in names if not is_world(name) and not Path(name).is_file()]
    manager = TaskManager(include_path=include, include_defaults=bool(theirs))
    found: dict[str, dict[str, Any]] = {"tasks": {}, "groups": {}, "group_map": {}}
    for name in names:
        if name not in manager.task_index and not Path(name).is_file():
            raise ValueError(_unknown(name, manager.all_tasks))
        for part, loaded in _load(manager, name).items():
            twice = sorted(found[part].keys() & loaded.keys())
            if twice:
                raise ValueError(f"{twice[0]} stands twice in --tasks; name it once")
            found[part] |= loaded
    for task in found["tasks"].values():
        said = task.get_config("num_fewshot")
        task.set_config("num_fewshot", (said or 0) if said == 0 or shots is None else shots)
    return Loaded(found["tasks"], found["groups"], found["group_map"])


def _load(manager: TaskManager, name: str) -> Mapping[str, Any]:
    try:
        return manager.load([name])
    except ConnectionError as error:
        raise ValueError(
            f"task {name} needs data of the Hugging Face hub, and there is no reaching it "
            f"({_first_line(error)}); connect and unset HF_HUB_OFFLINE, or choose tasks whose data "
            f"is here, as those of the micro-world: {EVERYTHING}"
        ) from None
    except ImportError as error:
        raise ValueError(
            f"task {name} needs a package that is not installed: {_first_line(error)}"
        ) from None
    except Exception as error:  # whatever a task's own code and data may raise
        raise ValueError(f"task {name} cannot be loaded: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _unknown(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=3)
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"no task is called {name!r}{meant} (`lm-eval ls tasks` lists lm-eval's)"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep lm-eval's notes and bars, and those of `datasets`, to themselves; errors are raised."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    bars: Any = tqdm
    with_bar = bars.__init__
    logger.setLevel(logging.ERROR)
    bars.__init__ = partialmethod(with_bar, disable=True)  # lm-eval shows one for every task
    try:
        with without_bars():
            yield
    finally:
        logger.setLevel(before)
        bars.__init__ = with_bar
