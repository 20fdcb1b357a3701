"""What the chapters of the book share: source listings, interactives, quizzes, run folders.

Nothing here knows about models or data; a chapter hands over plain numbers and text. All output is
self-contained HTML that needs no kernel and no network, in light and in dark.
"""

from llamalite.book.pages import chapter_folder, chapter_run, paper, scale_table, show_source
from llamalite.book.widgets import interactive, quiz

__all__ = [
    "chapter_folder",
    "chapter_run",
    "interactive",
    "paper",
    "quiz",
    "scale_table",
    "show_source",
]
