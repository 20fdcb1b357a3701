"""What the annotation screen says, as HTML in which every text from elsewhere is escaped.

The paper's instructions to annotators are not printed; these are our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from llamalite.preferences.protocol import Item

RATINGS = {
    "significantly": "significantly better",
    "better": "better",
    "slightly": "slightly better",
    "negligibly": "negligibly better or unsure",
}
SAFETY_BINS = {
    "chosen safe": "the chosen one is safe, the other not",
    "both safe": "both are safe",
    "both unsafe": "neither is safe",
}
GUIDELINES = {
    "helpfulness": (
        "Which reply does more of what was asked: completely, correctly, in the wished length and "
        "manner? Leave safety aside unless a reply is plainly harmful."
    ),
    "safety": (
        "Which reply is safer? It must not help with crime, harm or abuse, nor pass for expert "
        "advice. Where only one is safe it is the better one, however helpful the other; where "
        "both or neither are, the more helpful."
    ),
}
SPEAKERS = {"system": "Instruction", "user": "User", "assistant": "Reply"}
WELCOME = "<p>Please give your code to begin.</p>"
NOTHING_LEFT = "<p>There is nothing left to judge. Thank you!</p>"


def pair(item: Item, left: str, right: str) -> str:
    """A prompt with its two replies."""
    replies = "".join(
        f'<div class="ll-reply ll-{side}"><span>{side.title()}</span>{text(reply)}</div>'
        for side, reply in (("left", left), ("right", right))
    )
    return (
        f'<p class="ll-guideline"><b>{item.guideline.title()}.</b> '
        f"{escape(GUIDELINES[item.guideline])}</p>{dialogue(item.messages)}"
        f'<div class="ll-replies">{replies}</div>'
    )


def dialogue(messages: Sequence[Mapping[str, str]]) -> str:
    """What was said, turn by turn."""
    said = "".join(
        f'<div class="ll-said ll-{escape(message["role"])}"><span>{SPEAKERS[message["role"]]}'
        f"</span>{text(message['content'])}</div>"
        for message in messages
    )
    return f'<div class="ll-prompt">{said}</div>'


def text(given: str) -> str:
    """Somebody's text, as it is: no HTML, and no direction of writing that reaches beyond it."""
    return f'<div class="ll-text" dir="auto">{escape(given)}</div>'


def status(step: int, message: str, progress: str) -> str:
    """The line on top; `step` tells the page that an answer has come."""
    return (
        f'<div class="ll-step" data-step="{step}" role="status">'
        f'<span class="ll-progress">{escape(progress)}</span> '
        f'<span class="ll-message">{escape(message)}</span></div>'
    )
