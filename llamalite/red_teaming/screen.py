"""The red team's screen: a person types, the attacked model replies, a few keys say what it is.

Llama 2, section 4.3. For Jupyter and, through `page.serve`, for a browser alone. An attempt is a
dialogue of one turn or more; what is rated is its last reply. It is on disk before the next begins.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llamalite.preferences.controls import appear, button, display, first_line, refusal, widgets
from llamalite.preferences.wording import WELCOME
from llamalite.red_teaming import wording
from llamalite.red_teaming.campaign import Attempt
from llamalite.red_teaming.live import Live
from llamalite.red_teaming.store import AttackStore, Kept, StoreError
from llamalite.red_teaming.transcripts import TypedPrompt
from llamalite.red_teaming.work_clock import WorkClock
from llamalite.text.chat import split_turns

SHORTEST = 0.001
"""Seconds: no attempt takes none, and a rate is never divided by 0."""
_ASSETS = Path(__file__).parent / "screen"


class AttackScreen:
    """What one attacker sees; its methods are what the buttons do."""

    def __init__(
        self,
        store: AttackStore,
        live: Live,
        attacker: str = "",
        *,
        candidate: str = "",
        drawn: Mapping[str, Any] | None = None,
        allowed: Sequence[str] = (),
        clock: WorkClock | None = None,
        seeds: Callable[[], int] = lambda: secrets.randbits(31),
    ) -> None:
        """Attempts against `live`, called `candidate` in the records; an attacker is asked for
        their code when none is given.

        `drawn` is kept with every attempt, beside the seeds of its replies. `allowed`: the only
        codes let in, when there are any.
        """
        self.store, self.live = store, live
        self.candidate, self.drawn = candidate, dict(drawn or {})
        self.allowed = tuple(allowed)
        self.attacker = ""
        self.messages: list[dict[str, str]] = []
        """The dialogue so far: user's turns and replies in turn."""
        self.risk: int | None = None
        self.category: str | None = None
        """Empty for none of those there are; None as long as nothing was said."""
        self.vector: str | None = None
        self.message = ""
        self.writing = False
        self.clock = clock or WorkClock()
        self._new_seed, self._seeds, self._id, self._step = seeds, [], "", 0
        self._build()
        if attacker:
            self.begin(attacker)
        else:
            self._draw()

    def show(self) -> None:
        """Display the screen in a notebook."""
        display(self.root, _ASSETS.with_suffix(".css"), _ASSETS.with_suffix(".js"))

    # --- what the buttons do ---------------------------------------------------------------------

    def begin(self, attacker: str) -> None:
        """Let an attacker in."""
        attacker = attacker.strip()
        if why := refusal(attacker, self.allowed):
            return self._say(why)
        self.attacker = attacker
        self._anew(wording.KEYS)

    def send(self) -> None:
        """Ask the model what stands in the field, after all that was said before."""
        text = self.field.value.strip()
        if not self.attacker or self.writing:
            return
        if not text:
            return self._say("Please type a prompt first.")
        asked = [*self.messages, {"role": "user", "content": text}]
        try:
            split_turns(asked)
        except ValueError as error:
            return self._say(f"Not asked: {first_line(error)}.")
        self.clock.touch()
        self.writing = True
        self._say(wording.WRITING)
        seed, refused = self._new_seed(), ""
        try:
            reply = self.live(asked, seed)
        except ValueError as error:
            reply, refused = "", first_line(error)
        finally:
            self.writing = False
            self.clock.waited()
        if refused:
            return self._say(f"Not asked: {refused}.")
        self.messages = [*asked, {"role": "assistant", "content": reply}]
        self._seeds.append(seed)
        self.risk, self.field.value = None, ""
        self._say("")

    def rate(self, risk: int) -> None:
        """Say how risky the last reply is, 1 to 5."""
        self.risk = risk
        self._say("")

    def put_in(self, category: str) -> None:
        """Say which risk category the attempt belongs to; empty for none of them."""
        self.category = category
        self._say("")

    def name_vector(self, vector: str) -> None:
        """Say how the attempt was made."""
        self.vector = vector
        self._say("")

    def keep(self) -> None:
        """Keep the attempt and begin another."""
        if not self.attacker or self.writing:
            return
        missing = self._missing()
        if missing:
            return self._say(f"Please {missing} first.")
        assert self.risk is not None, "it is not missing"
        seconds = max(round(self.clock.touch(), 3), SHORTEST)
        prompt = TypedPrompt(
            self._id, tuple(self.messages[:-1]), self.category or None, self.vector
        )
        reply = self.messages[-1]["content"]
        attempt = Attempt(self.attacker, prompt, reply, self.risk, seconds, self.candidate)
        try:
            self.store.keep(attempt, self.drawn | {"seeds": self._seeds})
        except (ValueError, StoreError) as error:  # it stays on the screen, to be tried again
            return self._say(f"Not kept: {first_line(error)}. Please try again.")
        self._anew("Kept.")

    def undo(self) -> None:
        """Take the last turn of this attempt back, its text into the field; without one, take the
        attempt kept last and show it again. The time spent stays spent."""
        if not self.attacker or self.writing:
            return
        if self.messages:
            *self.messages, asked, _ = self.messages
            self._seeds.pop()
            self.field.value = asked["content"]
            self.risk = None
            return self._say("Taken back.")
        try:
            taken = self.store.undo(self.attacker, self.candidate)
        except (ValueError, StoreError) as error:
            return self._say(f"Nothing was taken back: {first_line(error)}.")
        if taken is None:
            return self._say("There is nothing to take back.")
        self._take_up(taken)
        self._say("Taken back.")

    # --- inside ----------------------------------------------------------------------------------

    def _anew(self, message: str) -> None:
        """An empty attempt; what was typed and not sent stays in the field."""
        self.messages, self._seeds, self._id = [], [], secrets.token_hex(16)
        self.risk = self.category = self.vector = None
        self.clock.begin()
        self._say(message)

    def _take_up(self, kept: Kept) -> None:
        """An attempt that was kept, with all that was said of it and the time it took."""
        attempt = kept.attempt
        self.messages = [dict(message) for message in attempt.prompt.messages]
        self.messages.append({"role": "assistant", "content": attempt.reply})
        self._seeds = list(kept.drawn.get("seeds", []))
        self._id = attempt.prompt.id
        self.risk, self.vector = attempt.risk, attempt.prompt.vector
        self.category = attempt.prompt.risk or ""
        self.clock.begin(self.clock.touch() + attempt.seconds)

    def _missing(self) -> str:
        if not self.messages:
            return "type a prompt"
        if self.risk is None:
            return "say how risky the last reply is"
        if self.category is None:
            return "say which risk category it is"
        if self.vector is None:
            return "say how you went about it"
        return ""

    def _say(self, message: str) -> None:
        self.message = message.strip()
        self._draw()

    def _build(self) -> None:
        self.code = widgets.Text(placeholder="your code", layout=widgets.Layout(width="16em"))
        start = button("Begin", "", lambda: self.begin(self.code.value))
        self.code.on_submit(lambda _: self.begin(self.code.value))
        self.entry = widgets.HBox([self.code, start])
        self.content, self.status = widgets.HTML(), widgets.HTML()
        # its text comes at once, when the field is left: never after the press of a button
        self.field = widgets.Textarea(placeholder="what you ask", continuous_update=False)
        ask = button("⏎ Send", "", self.send, acts=True)
        ask.add_class("ll-send")
        self.ask = widgets.VBox([self.field, ask])
        self.ask.add_class("ll-ask")
        self.alive = button("", "", self.clock.touch)
        self.alive.add_class("ll-alive")
        self.risks = _choices("12345", wording.RISKS, self.rate)
        self.categories = _choices("asdf", wording.CATEGORIES, self.put_in)
        self.vectors = _choices("zxcvbnm", wording.VECTORS, self.name_vector)
        self.rows = {
            "risk": widgets.HBox([*self.risks.values()]),
            "category": widgets.HBox([*self.categories.values()]),
            "vector": widgets.HBox([*self.vectors.values()]),
            "act": widgets.HBox(
                [
                    button("⏎ Keep and begin another", "Enter", self.keep, acts=True),
                    button("u Undo", "u", self.undo, acts=True),
                ]
            ),
        }
        for row in self.rows.values():
            row.add_class("ll-row")
        self.root = widgets.VBox(
            [self.status, self.entry, self.content, self.ask, *self.rows.values(), self.alive]
        )
        self.root.add_class("ll-screen")

    def _draw(self) -> None:
        self._step += 1
        at_work = bool(self.attacker) and not self.writing
        appear(self.entry, not self.attacker)
        appear(self.ask, at_work)
        for name, row in self.rows.items():
            appear(row, at_work and (name == "act" or bool(self.messages)))
        for chosen, buttons in (
            (self.risk, self.risks),
            (self.category, self.categories),
            (self.vector, self.vectors),
        ):
            for name, each in buttons.items():
                each.button_style = "primary" if name == chosen else ""
        content = wording.dialogue(self.messages) if self.attacker else WELCOME
        if self.content.value != content:
            self.content.value = content
        seconds = self.clock.touch() if self.attacker else None
        types = at_work and not self.messages
        self.status.value = wording.status(
            self._step, self.message, self._progress(), seconds, types
        )

    def _progress(self) -> str:
        if not self.attacker:
            return ""
        try:
            tried, bad = self.store.progress(self.attacker)
        except StoreError:
            return ""
        return f"{self.attacker}: {tried} attempts, {bad} violations found"


def _choices(keys: str, names: Mapping[Any, str], act: Callable[[Any], None]) -> dict[Any, Any]:
    """A button for each name, pressed by a key of its own."""
    return {
        name: button(f"{key} {said}", key, lambda name=name: act(name))
        for key, (name, said) in zip(keys, names.items(), strict=True)
    }
