"""Processes of one run, started and ended as a launcher such as torchrun does it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any

from deadly import PATIENCE


def run_together(
    server: ForkServerContext,
    process: Callable[..., None],
    world: int,
    arguments: Callable[[int], tuple[Any, ...]],
) -> list[int | None]:
    """Run `process(rank, world, port, *arguments(rank))` in `world` processes; their exit codes.

    As soon as one fails, the others are ended.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        server.Process(target=process, args=(rank, world, port, *arguments(rank)), daemon=True)
        for rank in range(world)
    ]
    for each in processes:
        each.start()
    deadline = time.monotonic() + PATIENCE
    while any(p.exitcode is None for p in processes) and time.monotonic() < deadline:
        if any(p.exitcode for p in processes):
            break
        time.sleep(0.05)
    for each in processes:
        each.kill()
        each.join()
    return [each.exitcode for each in processes]


def join_run(rank: int, world: int, port: int) -> None:
    """Give this process the environment of one of several on this machine, without a GPU."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if world > 1:
        os.environ |= {
            "TORCHELASTIC_RUN_ID": "tests",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(world),
            "LOCAL_WORLD_SIZE": str(world),
            "GROUP_RANK": "0",
        }
