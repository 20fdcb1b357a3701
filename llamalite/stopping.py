"""Ctrl-C or SIGTERM while a model is trained: the step at work is finished and kept, then all ends.

Not in the paper.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from llamalite.processes import Terminated, is_leader
from llamalite.resume import ResumeCheckpoint, anywhere

_SOON = "\nstopping after this step; Ctrl-C again stops at once\n"
_TERMINATING = "\nSIGTERM: ending after this step, which is saved\n"


@contextmanager
def interruptible(trainer: Any, saver: ResumeCheckpoint, *, tells: bool = True) -> Iterator[None]:
    """Ctrl-C is a KeyboardInterrupt, after the last step has been saved; and the next is heard too.

    Within a step, weights, optimizer, random generators and place in the data do not belong
    together. So the first Ctrl-C lets the step at work end and its state be saved, which is said
    where `tells`; the second stops at once, and so does one that finds nothing new to save. Several
    processes hear it at different steps, while saving is a joint act: they stop at once and go on
    from their last regular state, and so does a training outside the main thread or under somebody
    else's handler.
    """
    heard = signal.getsignal(signal.SIGINT)
    ours = trainer.world_size == 1 and _can_hear(signal.SIGINT, signal.default_int_handler)
    answer = _after_the_step(trainer, saver, tells)
    try:
        with _heard(signal.SIGINT, answer) if ours else nullcontext():
            yield
            if saver.stopping:
                raise KeyboardInterrupt  # it came after the last step, which is saved
    except Terminated:
        raise
    except SystemExit:
        # Lightning leaves the program by itself, deaf to Ctrl-C from then on: the command line
        # could not say how to go on, and a notebook would lose its kernel
        if not trainer.interrupted:
            raise
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, heard)
        raise KeyboardInterrupt from None


def _after_the_step(
    trainer: Any, saver: ResumeCheckpoint, tells: bool
) -> Callable[[int, Any], None]:
    """What hears Ctrl-C: asks the saver to stop where there is something to save."""
    own = os.getpid()

    def hear(number: int, frame: Any) -> None:
        if os.getpid() != own:
            return  # a reader of the data, whom Ctrl-C reaches too: the trainer ends it
        if saver.stopping or not saver.ahead_of_disk(trainer):
            raise KeyboardInterrupt
        saver.stopping = True
        if tells:  # not by print, in the midst of whose work this may be
            os.write(2, _SOON.encode())

    return hear


@contextmanager
def terminable(trainer: Any, saver: ResumeCheckpoint, *, tells: bool = True) -> Iterator[None]:
    """SIGTERM is `Terminated` in all processes of a training, after the last step has been saved.

    SLURM sends it to all processes of a job ahead of the end of its time or where it must make room
    (`launch/run.sbatch`). It is enough that one hears it: after every step they ask one another
    (`llamalite.resume.anywhere`), so that all save the same step and none waits for one that has
    left. Hearing it again changes nothing. A single process with nothing new to save ends at once.
    A process that is waiting for a dead one hears nothing: the watch over the processes ends it, or
    SIGKILL. Outside the main thread, or under somebody else's handler, all stays as it was.
    """
    ours = _can_hear(signal.SIGTERM, signal.SIG_DFL)
    if ours:
        # Lightning's own answer is a joint act out of the handler: processes that are told at
        # different places, or of which only some are told, would wait for one another for ever
        trainer._signal_connector._sigterm_notifier_fn = lambda *_: None
    answer = _end_after_the_step(trainer, saver, tells)
    with _heard(signal.SIGTERM, answer) if ours else nullcontext():
        yield
        if any(anywhere(trainer, saver.terminating)):
            raise Terminated  # it came after the last step, which is saved


def _end_after_the_step(
    trainer: Any, saver: ResumeCheckpoint, tells: bool
) -> Callable[[int, Any], None]:
    """What hears SIGTERM: asks the saver to save and end."""
    own = os.getpid()

    def hear(number: int, frame: Any) -> None:
        if os.getpid() != own or saver.terminating:
            return
        if trainer.world_size == 1 and not saver.ahead_of_disk(trainer):
            raise Terminated
        saver.terminating = True
        if tells and is_leader():
            os.write(2, _TERMINATING.encode())

    return hear


def _can_hear(number: int, usual: Any) -> bool:
    """Whether a signal can be answered here: in the main thread, where nobody else answers it."""
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(number) is usual


@contextmanager
def _heard(number: int, answer: Callable[[int, Any], None]) -> Iterator[None]:
    """Answer a signal so inside, and afterwards as before."""
    before = signal.signal(number, answer)
    try:
        yield
    finally:
        signal.signal(number, before)
