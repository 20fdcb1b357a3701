"""Ctrl-C while a model is trained: the step at work is finished and kept, and the program ends.

Not in the paper.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llamalite.resume import ResumeCheckpoint

_SOON = "\nstopping after this step; Ctrl-C again stops at once\n"


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
    alone = trainer.world_size == 1 and threading.current_thread() is threading.main_thread()
    ours = alone and heard is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _after_the_step(trainer, saver, tells))
    try:
        yield
        if saver.stopping:
            raise KeyboardInterrupt  # it came after the last step, which is saved
    except SystemExit:
        # Lightning leaves the program by itself, deaf to Ctrl-C from then on: the command line
        # could not say how to go on, and a notebook would lose its kernel
        if not trainer.interrupted:
            raise
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, heard)
        raise KeyboardInterrupt from None
    finally:
        if ours:
            signal.signal(signal.SIGINT, heard)


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
