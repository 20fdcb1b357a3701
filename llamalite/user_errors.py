"""What a person reads when something is wrong: one line that names the value and the remedy."""

from __future__ import annotations

import errno
import os
import re
import sys
from difflib import get_close_matches
from typing import NoReturn

from jsonargparse import ArgumentParser

EXIT_USER_ERROR = 2
_CLEARER = (  # what jsonargparse says of a wrong value, and how it is said here
    (
        r"Parser key \"(.+?)\": Expected an? <class '(\w+)'>\. Got value: (.+?)$",
        r"--\1 takes \2, not \3",
    ),
    (
        r"Parser key \"(.+?)\": Does not .+?<class '(\w+)'>.+Given value: (.+?)$",
        r"--\1 takes \2, not \3",
    ),
    (r"--(\S+) takes dict, not (.+)$", r"--\1 takes a name for each value: --\1.NAME \2"),
    (
        r"Parser key \"(.+?)\": Expected an? typing\.Literal\[(.+?)\]\. Got value: (.+?)$",
        r"--\1 is '\3'; choose among \2",
    ),
)


class Parser(ArgumentParser):
    """An argument parser whose errors are one line that names the value and the remedy."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        line = " ".join(str(message).split())
        for theirs, ours in _CLEARER:
            line = re.sub(theirs, ours, line)
        known = [option for action in self._actions for option in action.option_strings]
        for word in line.split():
            if word.startswith("--") and word.rstrip(",.") not in known:
                close = get_close_matches(word.rstrip(",."), known, n=1)
                if close:
                    line += f"; did you mean {close[0]}?"
                break
        wrong = re.search(r"invalid choice: '(.+?)' \(choose from (.+)\)", line)
        if wrong:
            close = get_close_matches(wrong[1], re.findall(r"[\w.-]+", wrong[2]), n=1)
            line += "".join(f"; did you mean {each}?" for each in close)
        fail(f"{line} (see {self.prog.replace(' [options]', '')} --help)")


def explain(error: Exception) -> str:
    """One line about an error of the user's input or machine, with the remedy where it is known."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full ({error.filename or 'writing'}); free space and run again to go on"
        )
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        name = error.filename
        if error.errno != errno.EROFS and isinstance(name, str) and _unreadable(name):
            return f"cannot read {name}: {error.strerror}; see its permissions, or name another"
        return (
            f"cannot write {name or 'a file'}: {error.strerror}; choose another folder with --out"
        )
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no {error.filename}, nor can it be made; see that the path is right"
    if isinstance(error, NotADirectoryError | FileExistsError) and error.filename:
        return f"{error.filename}: a file stands where a folder should be; name another place"
    return " ".join(str(error).split())


def _unreadable(path: str) -> bool:
    """Whether it is reading a path, or entering a folder on the way to it, that is not allowed."""
    place = os.path.abspath(path)
    if os.path.lexists(place):
        return not os.access(place, os.R_OK)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    return not os.access(place, os.X_OK)


def fail(message: str) -> NoReturn:
    """Print one line and leave with the exit code of a user's error."""
    print(f"llamalite: error: {message}", file=sys.stderr)
    raise SystemExit(EXIT_USER_ERROR)
