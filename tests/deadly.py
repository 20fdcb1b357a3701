"""Stages that kill themselves at a chosen call, in processes of their own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any

# Seconds after which something hangs; far above what the slowest machine needs.
PATIENCE = 300.0


def arm(owner: Any, name: str, at_call: int) -> None:
    """From now on call `at_call` (from 1) of a function or method kills this process."""
    whole, calls = getattr(owner, name), 0

    def function(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == at_call:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **named)

    setattr(owner, name, function)


def arm_recipe(recipe: Any, kill_at: str, at_call: int) -> None:
    """Arm one function of a recipe by its name, or its "tuning" (a step of it); "": nothing."""
    if kill_at == "tuning":
        from llamalite.sft.module import SFTModule

        arm(SFTModule, "training_step", at_call)
    elif kill_at:
        arm(recipe, kill_at, at_call)


def run_apart(server: ForkServerContext, main: Callable[..., None], *arguments: Any) -> int:
    """Run `main` in a process of its own; the exit code."""
    process = server.Process(target=main, args=arguments, daemon=True)
    process.start()
    process.join(2 * PATIENCE)
    return process.exitcode  # type: ignore[return-value]


def kill_apart(
    server: ForkServerContext,
    main: Callable[..., None],
    *arguments: Any,
    when: Callable[[], bool],
    after: float = 0.0,
) -> None:
    """Run `main` in a process of its own and kill it, `after` seconds after `when` is true."""
    process = server.Process(target=main, args=arguments, daemon=True)
    process.start()
    deadline = time.monotonic() + PATIENCE
    while process.exitcode is None and not when():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(after)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it ended before it could be killed"
