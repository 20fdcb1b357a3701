"""The annotation screen: a prompt, two replies side by side, and a few keys. Section 3.2.1.

For Jupyter and, through `annotate.serve`, for a browser alone. Which reply stands on the left is
left to chance, and what wrote it is not shown. A judgement is on disk before the next pair comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from llamalite.preferences import wording
from llamalite.preferences.collection import left_of
from llamalite.preferences.controls import appear, button, display, first_line, refusal, widgets
from llamalite.preferences.protocol import (
    RATINGS,
    SAFETY_BINS,
    Choice,
    Comparison,
    Guideline,
    Item,
    judged,
)
from llamalite.preferences.store import PreferenceStore, StoreError

Side = Literal["left", "right"]


class AnnotationScreen:
    """What one annotator sees; its methods are what the buttons do."""

    def __init__(
        self,
        store: PreferenceStore,
        annotator: str = "",
        *,
        guideline: Guideline | None = None,
        batch: int | None = None,
        allowed: Sequence[str] = (),
    ) -> None:
        """Pairs of a guideline and batch (of all unless told), for an annotator, who is asked for
        their code when none is given. `allowed`: the only codes let in, when there are any.
        """
        self.store = store
        self.guideline: Guideline | None = guideline
        self.batch = batch
        self.allowed = tuple(allowed)
        self.annotator = ""
        self.item: Item | None = None
        self.side: Side | None = None
        self.rating: str | None = None
        self.safety_bin: str | None = None
        self.message = ""
        self._step = 0
        self._build()
        if annotator:
            self.begin(annotator)
        else:
            self._draw()

    def show(self) -> None:
        """Display the screen in a notebook."""
        display(self.root)

    # --- what the buttons do ---------------------------------------------------------------------

    def begin(self, annotator: str) -> None:
        """Let an annotator in."""
        annotator = annotator.strip()
        if why := refusal(annotator, self.allowed):
            return self._say(why)
        self.annotator = annotator
        self._next("")

    def choose(self, side: Side) -> None:
        """Say which reply is better."""
        self.side = side
        self._say("")

    def rate(self, rating: str) -> None:
        """Say how much better."""
        self.rating = rating
        self._say("")

    def put_in_bin(self, safety_bin: str) -> None:
        """Say which replies are safe."""
        self.safety_bin = safety_bin
        self._say("")

    def submit(self) -> None:
        """Keep the judgement and go on to the next pair."""
        if self.item is None:
            return
        missing = self._missing()
        if missing:
            return self._say(f"Please {missing} first.")
        comparison = judged(
            self.item,
            choice=self._shown()[0 if self.side == "left" else 1],
            rating=self.rating or "",
            safety_bin=self.safety_bin,
            annotator=self.annotator,
            time=self.store.now(),
            left=left_of(self.item, self.annotator),
        )
        self._do(lambda: self.store.submit(comparison), "Kept.")

    def set_aside(self) -> None:
        """Give no judgement of this pair, with the reason that stands in the field."""
        item, reason = self.item, self.reason.value.strip()
        if item is None:
            return
        if not reason:
            return self._say("Please say why in the field beside “Set aside”.")
        self._do(lambda: self.store.set_aside(item, self.annotator, reason), "Set aside.")

    def undo(self) -> None:
        """Take the last answer back and show its pair again, with what was said of it."""
        if not self.annotator:
            return
        try:
            taken = self.store.undo(self.annotator)
        except (ValueError, StoreError) as error:
            return self._say(f"Nothing was taken back: {first_line(error)}")
        if taken is None:
            return self._say("There is nothing to take back.")
        self._clear()
        self.item = taken.item if isinstance(taken, Comparison) else taken
        if isinstance(taken, Comparison):
            self.side = "left" if taken.choice == self._shown()[0] else "right"
            self.rating, self.safety_bin = taken.rating, taken.safety_bin
        self._say("Taken back.")

    # --- inside ----------------------------------------------------------------------------------

    def _do(self, act: Any, done: str) -> None:
        try:
            act()
        except (ValueError, StoreError) as error:  # it stays on the screen, to be tried again
            return self._say(f"Not kept: {first_line(error)}. Please try again.")
        self._next(done)

    def _next(self, message: str) -> None:
        self._clear()
        try:
            self.item = self.store.next_item(self.annotator, self.guideline, self.batch)
        except (ValueError, StoreError) as error:
            message += f" The next pair did not come: {first_line(error)}. Please reload the page."
        self._say(message)

    def _clear(self) -> None:
        self.item = self.side = self.rating = self.safety_bin = None
        self.reason.value = ""

    def _missing(self) -> str:
        if self.side is None:
            return "choose a reply"
        if self.rating is None:
            return "say how much better it is"
        if self.item and self.item.guideline == "safety" and self.safety_bin is None:
            return "say which replies are safe"
        return ""

    def _shown(self) -> tuple[Choice, Choice]:
        """Which replies stand on the left and on the right."""
        assert self.item is not None
        return ("a", "b") if left_of(self.item, self.annotator) == "a" else ("b", "a")

    def _say(self, message: str) -> None:
        self.message = message.strip()
        self._draw()

    def _build(self) -> None:
        self.code = widgets.Text(placeholder="your code", layout=widgets.Layout(width="16em"))
        start = button("Begin", "", lambda: self.begin(self.code.value))
        self.code.on_submit(lambda _: self.begin(self.code.value))
        self.entry = widgets.HBox([self.code, start])
        self.content, self.status = widgets.HTML(), widgets.HTML()
        self.sides = {
            "left": button("← Left is better", "ArrowLeft", lambda: self.choose("left")),
            "right": button("Right is better →", "ArrowRight", lambda: self.choose("right")),
        }
        self.ratings = {
            rating: button(
                f"{number} {wording.RATINGS[rating]}", str(number), lambda r=rating: self.rate(r)
            )
            for number, rating in enumerate(RATINGS, 1)
        }
        self.bins = {
            name: button(
                f"{key} {wording.SAFETY_BINS[name]}", key, lambda n=name: self.put_in_bin(n)
            )
            for key, name in zip("asd", SAFETY_BINS, strict=True)
        }
        self.reason = widgets.Text(placeholder="why this pair cannot be judged")
        self.rows = {
            "side": widgets.HBox([*self.sides.values()]),
            "rating": widgets.HBox([*self.ratings.values()]),
            "bin": widgets.HBox([*self.bins.values()]),
            "act": widgets.HBox(
                [
                    button("⏎ Keep and go on", "Enter", self.submit, acts=True),
                    button("u Undo", "u", self.undo, acts=True),
                    button("Set aside", "", self.set_aside, acts=True),
                    self.reason,
                ]
            ),
        }
        for row in self.rows.values():
            row.add_class("ll-row")
        self.root = widgets.VBox([self.status, self.entry, self.content, *self.rows.values()])
        self.root.add_class("ll-screen")

    def _draw(self) -> None:
        self._step += 1
        shown = self.item
        appear(self.entry, not self.annotator)
        for name, row in self.rows.items():
            appear(row, shown is not None and (name != "bin" or shown.guideline == "safety"))
        appear(self.rows["act"], bool(self.annotator))
        for chosen, buttons in (
            (self.side, self.sides),
            (self.rating, self.ratings),
            (self.safety_bin, self.bins),
        ):
            for name, each in buttons.items():
                each.button_style = "primary" if name == chosen else ""
        if shown is not None:
            left, right = (getattr(shown, side).text for side in self._shown())
            content = wording.pair(shown, left, right)
        else:
            content = wording.NOTHING_LEFT if self.annotator else wording.WELCOME
        if self.content.value != content:
            self.content.value = content
        self.status.value = wording.status(self._step, self.message, self._progress())

    def _progress(self) -> str:
        if not self.annotator:
            return ""
        try:
            counts = self.store.counts(self.batch, self.guideline)
            own = self.store.answers_of(self.annotator, self.guideline, self.batch)
        except StoreError:
            return ""
        return f"{self.annotator}: {own} judged; of {counts.wanted} in all, {counts.open} to come"
