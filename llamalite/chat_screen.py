"""The two ends of a chat: what is read and shown, and Ctrl-C, in a terminal or over pipes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class Interrupts:
    """Ctrl-C, heard only while somebody waits for it.

    A second Ctrl-C while the first is being answered would otherwise end the program and lose the
    dialogue.
    """

    def __init__(self, live: bool) -> None:
        self.live = live and threading.current_thread() is threading.main_thread()
        self.listening = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Within it, Ctrl-C outside `heard` does nothing; without a terminal nothing changes."""
        if not self.live:
            yield
            return
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Within it, the first Ctrl-C raises KeyboardInterrupt and no second does."""
        self.listening = True
        try:
            yield
        finally:
            self.listening = False

    def _interrupt(self, *_: object) -> None:
        if self.listening:
            self.listening = False
            raise KeyboardInterrupt


class Screen:
    """The two ends of a terminal or of pipes."""

    def __init__(self, stdin: TextIO, stdout: TextIO) -> None:
        self.stdin, self.stdout = stdin, stdout
        self.live = stdin.isatty() and stdout.isatty()
        self.colour = self.live and "NO_COLOR" not in os.environ
        self.interrupts = Interrupts(self.live)
        if self.live:
            with suppress(ImportError):
                import readline  # noqa: F401  # arrow keys and history for input()

    def read(self) -> str | None:
        """The next line, None at the end of the input."""
        if not self.live:
            line = self.stdin.readline()
            if not line:
                return None
            if not line.startswith("/") and line.strip():
                self.show(f"User: {line.strip()}\n")
            return line
        while True:
            try:
                with self.interrupts.heard():
                    return input(self._paint("User: ", "1", prompt=True))
            except EOFError:
                self.show("\n")
                return None
            except KeyboardInterrupt:
                self.show("\n")
                self.note("/quit or Ctrl-D leaves")

    def speaker(self, name: str) -> None:
        """Say whose words follow."""
        self._write(self._paint(f"{name}: ", "1;36"))

    def note(self, text: str) -> None:
        """Something the program says, not the model."""
        shown = text if "\n" in text else f"({text})"
        self._write(self._paint(printable(shown), "2") + "\n")

    def show(self, text: str) -> None:
        """Print a part of a dialogue at once."""
        self._write(printable(text))

    def _write(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _paint(self, text: str, code: str, prompt: bool = False) -> str:
        if not self.colour:
            return text
        start, end = f"\x1b[{code}m", "\x1b[0m"
        if prompt:  # so that line editing does not count them as columns
            start, end = f"\x01{start}\x02", f"\x01{end}\x02"
        return f"{start}{text}{end}"


def printable(text: str) -> str:
    """Text whose control characters, which could command a terminal, are marks."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
