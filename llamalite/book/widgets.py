"""Interactives as plain HTML, SVG and a little script: they work offline and without a kernel."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from IPython.display import HTML


_PAGE = re.compile(
    r'<div class="ll-interactive" id="ll-\w+" data-interactive="(?P<name>\w+)">.*'
    r"<noscript>(?P<note>.*?)</noscript></div><script>.*?;const data=(?P<rest>.*)",
    re.DOTALL,
)


class Question(NamedTuple):
    """One question of a self-check quiz."""

    text: str
    choices: Sequence[str]
    answer: int
    """Position of the right choice."""
    why: str
    """Shown after any choice."""


def interactive(name: str, data: Any, fallback: str = "") -> HTML:
    """The interactive `templates/<name>.html`, fed with `data` (anything JSON can say).

    `fallback` is what a reader sees where scripts are off. A template finds its own element as
    `root` and its data as `data`. Raises ValueError for a name that has no template.
    """
    from IPython.display import HTML

    folder = files("llamalite.book") / "templates"
    template = folder / f"{name}.html"
    if not template.is_file():
        known = sorted(file.name.removesuffix(".html") for file in folder.iterdir())
        raise ValueError(f"no interactive is called {name!r}; choose among {', '.join(known)}")
    # "</" would end the script element inside a string
    payload = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    mark = "ll-" + hashlib.sha256(f"{name}{payload}".encode()).hexdigest()[:10]
    style = (folder / "common.css").read_text(encoding="utf-8")
    body, script = template.read_text(encoding="utf-8").split("<script>", 1)
    script = script.rsplit("</script>", 1)[0]
    note = html.escape(fallback or "This interactive needs JavaScript (it loads nothing).")
    return HTML(
        f'<div class="ll-interactive" id="{mark}" data-interactive="{name}">'
        f"<style>{style}</style>{body}<noscript>{note}</noscript></div>"
        f'<script>(function(){{const root=document.getElementById("{mark}");'
        f"const data={payload};\n{script}}})();</script>"
    )


def redrawn(page: str) -> str:
    """A page of `interactive` once more, by the templates as they are now, with the same data."""
    found = _PAGE.fullmatch(page)
    if not found:
        raise ValueError(f"this is no interactive: {page[:60]!r}; draw it with interactive()")
    data, _ = json.JSONDecoder().raw_decode(found["rest"])
    return str(interactive(found["name"], data, html.unescape(found["note"])).data)


def quiz(*questions: tuple[str, Sequence[str], int, str]) -> HTML:
    """A self-check quiz: every choice answers at once, with the reason."""
    checked = [Question(*question) for question in questions]
    for question in checked:
        if not 0 <= question.answer < len(question.choices):
            raise ValueError(
                f"{question.text!r} has {len(question.choices)} choices but answer "
                f"{question.answer}; count from 0"
            )
    data: list[Mapping[str, Any]] = [question._asdict() for question in checked]
    plain = " ".join(f"{q.text} ({q.choices[q.answer]}.)" for q in checked)
    return interactive("quiz", data, fallback=plain)
