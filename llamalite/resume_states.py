"""Resume states on the disk: their names, the newest, whether it is whole. Not in the paper."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

CHECKPOINT = "resume-{step:09d}.ckpt"
PARTIAL = ".partial"
META = "meta.pt"
"""What a state in shards holds besides tensors; Lightning's name for it."""


def whole_checkpoint(folder: Path, notice: Callable[[str], None]) -> Path | None:
    """The newest resume state in a folder whose bytes are those written; None where there is none.

    Of one that many processes wrote, each a part, the sizes are looked at and not all the bytes.
    Every process looks for itself. `notice` is told of damaged ones that are passed over for an
    older; they go when the next state is saved. Where all are damaged ValueError names them.
    """
    damaged: list[Path] = []
    for state in _newest_first(folder):
        if _is_whole(state):
            for each in damaged:
                notice(f"{each} is damaged; going on from the state before it, {state.name}")
            return state
        damaged.append(state)
    if damaged:
        raise _refusal(damaged)
    return None


def keep_newest(last: Path, keep: int) -> None:
    """Remove all resume states beside `last`, just written, but the `keep` - 1 before it.

    One of a later step belongs to a course that was given up, as where it was damaged.
    """
    states = [state for state in last.parent.glob("resume-*.ckpt") if state.name < last.name]
    kept = {last, *sorted(states, reverse=True)[: keep - 1]}
    for left in last.parent.glob("resume-*"):
        if left not in kept:
            discard(left)


def _refusal(damaged: list[Path]) -> ValueError:
    names, (are, them) = " and ".join(map(str, damaged)), ("are", "them")
    if len(damaged) == 1:
        are, them = "is", "it"
    return ValueError(
        f"{names} {are} damaged; remove {them}, and the stage begins again from its start"
    )


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    for left in folder.glob(f"resume-*{PARTIAL}") if rank_zero_only.rank == 0 else ():
        discard(left)
    return sorted(folder.glob("resume-*.ckpt"), reverse=True)


def _is_whole(checkpoint: Path) -> bool:
    return _all_parts(checkpoint) if checkpoint.is_dir() else _bytes_as_written(checkpoint)


def _bytes_as_written(file: Path) -> bool:
    """Whether a file of torch's holds what its checksums say."""
    try:
        with zipfile.ZipFile(file) as parts:
            return parts.testzip() is None
    except (FileNotFoundError, zipfile.BadZipFile, EOFError, zlib.error):
        return False


def _all_parts(folder: Path) -> bool:
    """Whether a state in shards has its index and the files it names, each of its length.

    The index is a pickle of torch's own making: read resume states of your own runs only.
    """
    from torch.distributed.checkpoint import FileSystemReader

    try:
        parts = FileSystemReader(folder).read_metadata().storage_data or {}
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            raise
        return False
    except Exception:  # whatever a pickle that was cut or overwritten makes of itself
        return False
    lengths: dict[str, int] = {}
    for part in parts.values():
        lengths[part.relative_path] = max(
            part.offset + part.length, lengths.get(part.relative_path, 0)
        )
    files = ((folder / name, length) for name, length in lengths.items())
    whole = all(file.is_file() and file.stat().st_size >= length for file, length in files)
    return whole and bool(parts) and _bytes_as_written(folder / META)


def checkpoint_step(path: Path) -> int:
    """The optimizer step after which a resume state was written, from its name."""
    return int(path.stem.split("-")[1])


def discard(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
