"""What screens for people are made of: buttons that keys press, and the page's script and style."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

try:
    import ipywidgets as widgets
except ImportError as error:  # pragma: no cover
    raise ValueError(
        "screens for people need ipywidgets; pip install 'llamalite[annotate]'"
    ) from error

__all__ = ["appear", "button", "display", "first_line", "refusal", "widgets"]

CODE = re.compile(r"[\w.@-]{1,64}")
"""What somebody may be called who works on a screen."""
_ASSETS = Path(__file__).parent / "screen"


def display(root: Any, *more: Path) -> None:
    """Show a screen in a notebook, with `more` files of script and style than all screens have."""
    from IPython.display import HTML
    from IPython.display import display as show

    for asset in (_ASSETS.with_suffix(".css"), _ASSETS.with_suffix(".js"), *more):
        tag = {".css": "style", ".js": "script"}[asset.suffix]
        show(HTML(f"<{tag}>{asset.read_text(encoding='utf-8')}</{tag}>"))
    show(root)


def button(text: str, key: str, act: Callable[[], Any], *, acts: bool = False) -> Any:
    """A button that a key presses too, where one is named.

    After one that `acts` what is shown changes: keys and further presses wait for the answer.
    """
    made = widgets.Button(description=text, layout=widgets.Layout(width="auto"))
    if key:
        made.add_class(f"ll-key-{key}")
    if acts:
        made.add_class("ll-acts")
    made.on_click(lambda _: act())
    return made


def appear(widget: Any, visible: bool) -> None:
    """Show or hide a widget; what is hidden no key presses."""
    widget.layout.display = None if visible else "none"


def refusal(code: str, allowed: Collection[str]) -> str:
    """Why nobody of this code is let in; empty where they are. None `allowed`: any code is."""
    if not CODE.fullmatch(code):
        return "A code has 1 to 64 letters, digits or . _ - @"
    return "This code is not known here." if allowed and code not in allowed else ""


def first_line(error: Exception) -> str:
    """What an error says, to go on in a sentence."""
    return str(error).splitlines()[0].rstrip(".")
