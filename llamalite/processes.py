"""Several processes of one run, as torchrun or srun starts them: the first leads, others follow.

Only the leader holds the run folder, makes drafts, finishes them and prints; it tells the others
which stage to train, and waits for them. They talk through torch's key-value store, which is there
before and between the trainings. Where one process fails the others end within seconds. What is no
training, as sampling, they share out file by file (`Share`). Not in the paper.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from llamalite.progress import pieces

ARRIVE_WITHIN = 300.0
"""Seconds for which the processes of a run wait for one another at the start."""
SILENT_FOR = 120.0
"""Seconds without a sign of life after which a process counts as dead."""
GRACE = 5.0
"""Seconds in which a process may end by itself after another has failed."""
_LOOK_EVERY = 0.1
_USER_ERROR = 2

Piece = TypeVar("Piece")


def started() -> tuple[int, int]:
    """This process's number and how many a launcher (torchrun, srun) started; 0 and 1 without."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        return int(env.get("RANK", "0")), int(env.get("WORLD_SIZE", "1"))
    if "SLURM_NTASKS" in env and env.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        return int(env.get("SLURM_PROCID", "0")), int(env["SLURM_NTASKS"])
    return 0, 1


def is_leader() -> bool:
    """Whether this process is the only one or the first: who prints and writes."""
    return started()[0] == 0


class Terminated(SystemExit):
    """SIGTERM in a training whose last step is saved: all processes end by it, as 128 + 15."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Share(NamedTuple):
    """One process's part of work whose pieces are files: each is made by one and read by others.

    A piece's place in the row decides who makes it, never what is in it: what two processes began
    may be ended by one or by three, with the same bytes. All must see the same folder.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def among(cls, processes: int) -> Share:
        """The part of this process where a stage is set up for several; all of it where for one."""
        return cls(*started()) if processes > 1 else cls()

    @classmethod
    def among_started(cls) -> Share:
        """The part of this process in a stage that any number of processes may share."""
        return cls(*started())

    @property
    def leads(self) -> bool:
        """Whether this process joins the pieces."""
        return self.rank == 0

    def own(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Every `world`-th piece, from number `rank`."""
        return pieces[self.rank :: self.world]

    def gather(
        self,
        whole: Path,
        parts: Sequence[Path],
        make: Callable[[int], None],
        join: Callable[[], None],
    ) -> None:
        """Come back when the file `whole` stands, joined of `parts`.

        `make(number)` writes a part, which must appear whole; each is made by one process, and none
        that stands. `join()` writes `whole`, in the first process.
        """
        if not whole.exists():
            for number in pieces(self.own(range(len(parts))), "part"):
                if not parts[number].exists():
                    make(number)
            if self.leads:
                self.wait_for(parts)
                join()
        self.wait_for([whole])

    @staticmethod
    def wait_for(files: Iterable[Path]) -> None:
        """Come back when all files stand, which must appear whole; as long as it takes.

        A process whose fellows fail meanwhile is ended by the run's watch (`joined`) or by its
        launcher.
        """
        for file in files:
            Share.wait_for_one([file])

    @staticmethod
    def wait_for_one(files: Sequence[Path]) -> Path:
        """The first of these files to stand; waited for as `wait_for` does."""
        while not (standing := [file for file in files if file.exists()]):
            time.sleep(_LOOK_EVERY)
        return standing[0]


ALL = Share()
"""The part of a process that has nobody to share with."""


class Group:
    """The processes of one run, seen from one of them; a group of one has nobody to talk to."""

    def __init__(self, rank: int = 0, world: int = 1, store: Any = None) -> None:
        self.rank, self.world, self.store = rank, world, store
        self.number = 0
        self.closing = threading.Event()

    @property
    def leads(self) -> bool:
        return self.rank == 0

    # --- orders ---------------------------------------------------------------------------------
    def tell(self, order: dict[str, Any]) -> None:
        """The leader's next word to all others."""
        if self.store is not None:
            self.number += 1
            self.store.set(f"order/{self.number}", json.dumps(order))

    def listen(self) -> dict[str, Any]:
        """The leader's next word, waited for as long as it takes."""
        self.number += 1
        key = f"order/{self.number}"
        self._wait_for([key])
        return json.loads(self.store.get(key))

    def done(self) -> None:
        """Tell the leader that its last word has been carried out."""
        self.store.set(f"done/{self.number}/{self.rank}", "")

    def wait_until_done(self) -> None:
        """Wait until all others have carried out the last word."""
        if self.store is not None:
            self._wait_for([f"done/{self.number}/{rank}" for rank in range(1, self.world)])

    def _wait_for(self, keys: list[str]) -> None:
        while not self.store.check(keys):  # no blocking wait: it would keep the watch from looking
            failure = self.failure()
            if failure is not None:
                raise ValueError(failure)
            time.sleep(_LOOK_EVERY)

    # --- failures -------------------------------------------------------------------------------
    def fail(self, message: str) -> None:
        """Tell the others that this process ends without having done its part; the first counts."""
        with suppress(Exception):  # the store is gone where its keeper died
            said = json.dumps({"rank": self.rank, "message": message})
            self.store.compare_set("failed", "", said)

    def failure(self) -> str | None:
        """What another process failed of, if one did."""
        try:
            if not self.store.check(["failed"]):
                return None
            failed = json.loads(self.store.get("failed"))
        except Exception:
            return "the first process is gone"
        if failed["rank"] == self.rank:
            return None
        return f"process {failed['rank']}: {failed['message']}"

    def watch(self) -> None:
        """Show signs of life and look at the others'; ends this process when one has failed.

        It runs beside the training, which may be waiting for an answer that never comes.
        """
        beats: dict[int, tuple[int, float]] = {}
        while not self.closing.wait(1.0):
            with suppress(Exception):
                self.store.add(f"beat/{self.rank}", 1)
                for rank in range(1, self.world) if self.leads else ():
                    beat, now = self.store.add(f"beat/{rank}", 0), time.monotonic()
                    last, since = beats.get(rank, (-1, now))
                    beats[rank] = (beat, now if beat != last else since)
                    if now - beats[rank][1] > SILENT_FOR and not self._left(rank):
                        self.store.set(
                            "failed", json.dumps({"rank": rank, "message": "it is silent"})
                        )
            failure = self.failure()
            if failure is not None and not self.closing.wait(GRACE):
                if self.leads:
                    print(f"llamalite: error: {failure}", file=sys.stderr, flush=True)
                with suppress(Exception):
                    self.store.set(f"left/{self.rank}", "")
                os._exit(_USER_ERROR)

    def leave(self) -> None:
        """Say goodbye; the leader, who may keep the store, waits a little for the others."""
        self.closing.set()
        with suppress(Exception):
            self.store.set(f"left/{self.rank}", "")
            deadline = time.monotonic() + 2 * GRACE
            others = range(1, self.world) if self.leads else (0,)
            # a follower stays as long: who goes first makes some launchers kill the rest unheard
            while time.monotonic() < deadline and not all(map(self._left, others)):
                time.sleep(_LOOK_EVERY)

    def _left(self, rank: int) -> bool:
        return self.store.check([f"left/{rank}"])


@contextmanager
def joined() -> Iterator[Group]:
    """The group of this run's processes, all of which come here; just this one without a launcher.

    When this process fails all end. A follower leaves the word to the leader: it ends silently
    where the user is at fault.
    """
    rank, world = started()
    if world == 1:
        yield Group()
        return
    group = Group(rank, world, _connect(rank, world))
    _take_own_gpu()
    threading.Thread(target=group.watch, name="watch over processes", daemon=True).start()
    try:
        yield group
    except Terminated as end:
        group.closing.set()  # nobody has failed
        if not group.leads:
            raise SystemExit(end.code) from end
        raise
    except BaseException as error:
        # whoever was cut off by another's failure is not the one to be heard
        other = group.failure()
        group.fail(_line(error))
        group.closing.set()
        if group.leads and other is not None and not _speaks(error):
            raise ValueError(other) from error
        if not group.leads:
            _end_follower(group, error, heard=other is not None)
        raise
    finally:
        group.leave()


def _end_follower(group: Group, error: BaseException, *, heard: bool) -> None:
    """End without a word where the leader has it; a fault of the program shows its traceback."""
    if isinstance(error, KeyboardInterrupt):
        raise SystemExit(130) from error
    if heard or _speaks(error):
        raise SystemExit(_USER_ERROR) from error


def _speaks(error: BaseException) -> bool:
    """Whether the error's own words are for the user, and not those of a broken connection."""
    if isinstance(error, ConnectionError):
        return False
    return isinstance(error, ValueError | OSError | KeyboardInterrupt)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _connect(rank: int, world: int) -> Any:
    """The store all processes share: torchrun's own, or one that the first process keeps."""
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
    from torch.distributed import DistError, PrefixStore, rendezvous

    kinds = (TorchElasticEnvironment, SLURMEnvironment)  # as the trainer will choose
    environment = next((kind() for kind in kinds if kind.detect()), None)
    if environment is None:
        _unknown_launcher(world)
    where = f"tcp://{environment.main_address}:{environment.main_port}"
    timeout = timedelta(seconds=ARRIVE_WITHIN)
    try:
        store, _, _ = next(rendezvous(where, rank=rank, world_size=world, timeout=timeout))
    except (DistError, RuntimeError) as error:
        raise ValueError(
            f"process {rank} of {world} does not reach the others at {where} within "
            f"{ARRIVE_WITHIN:.0f} s ({_line(error)[:120]}); check that all were started"
        ) from None
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"llamalite/{attempt}", store)


def _take_own_gpu() -> None:
    """Make "cuda" mean this process's own GPU of its machine; else all would work on the first."""
    import torch

    own = int(os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or 0)
    if own < torch.cuda.device_count():  # 0 without GPUs, 1 where each process is shown but its own
        torch.cuda.set_device(own)


def _unknown_launcher(world: int) -> NoReturn:
    raise ValueError(f"{world} processes were started in an unknown way; use torchrun or srun")
