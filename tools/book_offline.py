"""A Sphinx extension of this book: pages carry nothing that would be fetched from elsewhere.

Jupyter Book brings Thebe, which runs cells through a server far away. No page offers it, yet every
page would name its address, twice, and the second time is an error in the browser's console.
"""

from __future__ import annotations

from typing import Any

import sphinx_thebe
from sphinx.application import Sphinx

HANDLERS = (sphinx_thebe.init_thebe_core, sphinx_thebe.update_thebe_context)


def without_thebe(app: Sphinx, *_: Any) -> None:
    """Take back what Thebe would add to pages."""
    listeners = [each for some in app.events.listeners.values() for each in some]
    for listener in listeners:
        if listener.handler in HANDLERS:
            app.disconnect(listener.id)


def setup(app: Sphinx) -> dict[str, bool]:
    """Entry point of Sphinx."""
    app.connect("config-inited", without_thebe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
