"""What is asked of an annotator, and what an answer is. Llama 2, section 3.2.1; needs no torch.

An annotator sees a prompt and two replies, chooses one, and says how much better it is; under the
safety guideline also which of the two are safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

Guideline = Literal["helpfulness", "safety"]
Choice = Literal["a", "b"]

GUIDELINES = ("helpfulness", "safety")
"""What annotators look at; the two are collected apart, each with instructions of its own."""
RATINGS = ("significantly", "better", "slightly", "negligibly")
"""How much better the chosen reply is, best first; the last is "negligibly better or unsure"."""
SAFETY_BINS = ("chosen safe", "both safe", "both unsafe")
"""Which replies are safe: 18 %, 47 % and 35 % of the paper's safety pairs. There is no bin for an
unsafe choice against a safe reply: such pairs are not kept, the safer reply being better."""
COLLECTED = "collected"
"""Source of comparisons made by this protocol; others may lack a safety bin."""

NOT_KEPT = (
    "the chosen reply is unsafe and the other safe; such pairs are not kept: choose the safe reply "
    "or set the pair aside"
)
"""Why a comparison is none whose chosen reply is unsafe and the other safe."""

Message = Mapping[str, str]


class Place(NamedTuple):
    """Where a row stands."""

    file: str
    line: int
    """From 1; of a Parquet file or a set of the hub, its row."""


@dataclass(frozen=True)
class Response:
    """One of the two replies, and where it came from."""

    text: str
    model: str = ""
    """Fingerprint of the weights, or a name."""
    version: str = ""
    """"SFT", "V1" ..."""
    temperature: float | None = None
    """None where it is not known, as in sets from elsewhere."""
    seed: int | None = None
    """Of the call that drew it."""
    index: int | None = None
    """Place of the prompt in that call; with the seed it says which random numbers were used."""
    finished: bool = True
    """Whether the model ended the reply, and not the limit."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise ValueError("a reply is empty")
        _refuse_surrogates("a reply", self.text)
        for name, (kind, called) in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise ValueError(f"a reply's {name} is {value!r}; it must be {called}")


_KINDS: dict[str, tuple[Any, str]] = {
    "model": (str, "text"),
    "version": (str, "text"),
    "temperature": (int | float | None, "a number"),
    "seed": (int | None, "a whole number"),
    "index": (int | None, "a whole number"),
    "finished": (bool, "true or false"),
}


@dataclass(frozen=True)
class Item:
    """A pair of replies to be judged. ValueError when it cannot be shown or learned from."""

    id: str
    """Tells it from every other of the store."""
    batch: int
    """The "week" of its collection, from 1; the paper had 14."""
    guideline: Guideline
    prompt_id: str
    kind: str
    """Kind of the prompt, any name."""
    is_safety: bool
    """IS_SAFETY(p) of section 3.2.3: the prompt was tagged in advance."""
    messages: tuple[Message, ...]
    """The prompt, earlier turns included: it ends with a user's turn."""
    a: Response
    b: Response

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise ValueError(f"id is {self.id!r}; give a text that tells the item from others")
        _one_of("guideline", self.guideline, GUIDELINES)
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 1:
            raise ValueError(f"batch is {self.batch!r}; it must be a whole number from 1")
        for name in ("id", "prompt_id", "kind"):
            _refuse_surrogates(name, getattr(self, name))
        object.__setattr__(self, "messages", checked_prompt(self.messages))
        if self.a.text.strip() == self.b.text.strip():
            raise ValueError("the two replies are the same")

    @property
    def turns(self) -> int:
        """How many times the user speaks."""
        return sum(message["role"] == "user" for message in self.messages)

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"messages": [dict(message) for message in self.messages]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Any:
        """From `to_plain`'s values, or more of them; ValueError when they do not fit."""
        values = {each.name: plain[each.name] for each in fields(cls) if each.name in plain}
        try:
            for name in ("a", "b"):
                values[name] = Response(**values[name])
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a {cls.__name__.lower()}: {error}") from None


@dataclass(frozen=True)
class Comparison(Item):
    """A pair that somebody has judged."""

    choice: Choice
    """The better reply."""
    rating: str
    """One of `RATINGS`."""
    safety_bin: str | None
    """One of `SAFETY_BINS` under the safety guideline, None under the other."""
    annotator: str
    """Who judged; a code, not a person's name."""
    time: str
    """When, ISO 8601 in UTC, as "2023-01-02T09:00:00Z"."""
    left: Choice = "a"
    """Which reply stood on the left, so that a habit of choosing one side can be seen."""
    source: str = COLLECTED
    """Where it comes from: this protocol, or the name of a set from elsewhere."""
    place: Place | None = field(default=None, compare=False, repr=False)
    """Of the row it was read from, which makes it no other comparison; None: of no file."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("choice", self.choice, ("a", "b"))
        _one_of("left", self.left, ("a", "b"))
        _one_of("rating", self.rating, RATINGS)
        if not isinstance(self.annotator, str) or not self.annotator.strip():
            raise ValueError("annotator is empty; give a code for who judged")
        for name in ("annotator", "source"):
            _refuse_surrogates(name, getattr(self, name))
        _check_time(self.time)
        if self.guideline == "helpfulness":
            if self.safety_bin is not None:
                raise ValueError(
                    f"safety_bin is {self.safety_bin!r} under the helpfulness guideline; "
                    "it has none"
                )
        elif self.safety_bin is None:
            if self.source == COLLECTED:
                raise ValueError(
                    f"safety_bin is missing under the safety guideline; "
                    f"choose among {', '.join(SAFETY_BINS)}"
                )
        elif self.safety_bin == "chosen unsafe":
            raise ValueError(NOT_KEPT)
        else:
            _one_of("safety_bin", self.safety_bin, SAFETY_BINS)

    @property
    def chosen(self) -> Response:
        """The better reply."""
        return self.a if self.choice == "a" else self.b

    @property
    def rejected(self) -> Response:
        """The other reply."""
        return self.b if self.choice == "a" else self.a

    @property
    def item(self) -> Item:
        """What was judged."""
        return Item(**{each.name: getattr(self, each.name) for each in fields(Item)})


def judged(
    item: Item,
    *,
    choice: Choice,
    rating: str,
    safety_bin: str | None,
    annotator: str,
    time: str,
    left: Choice = "a",
) -> Comparison:
    """The item with an answer; ValueError when the answer is not one."""
    given: dict[str, Any] = {each.name: getattr(item, each.name) for each in fields(Item)}
    return Comparison(
        **given,
        choice=choice,
        rating=rating,
        safety_bin=safety_bin,
        annotator=annotator,
        time=time,
        left=left,
    )


def checked_prompt(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages of a prompt, no more than role and content of each; ValueError says what is bad.

    After an optional system message, user and assistant alternate, and the user has the last word.
    """
    found: list[Message] = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            raise ValueError(f"message {number} is not {{'role': ..., 'content': text}}")
        role, content = message.get("role"), message["content"]
        _refuse_surrogates(f"message {number}", content)
        if not content.strip():
            raise ValueError(f"message {number} ({role}) is empty")
        first = 1 if found and found[0]["role"] == "system" else 0
        wanted = ("user", "assistant")[(len(found) - first) % 2]
        if role != wanted and not (role == "system" and not found):
            raise ValueError(f"message {number} has role {role!r} where {wanted!r} is due")
        found.append({"role": str(role), "content": content})
    if not found or found[-1]["role"] != "user":
        last = f"with role {found[-1]['role']!r}" if found else "before it begins"
        raise ValueError(f"the prompt ends {last}; it must end with a user message")
    return tuple(found)


def _one_of(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; choose among {', '.join(known)}")


def _check_time(time: Any) -> None:
    try:
        moment = datetime.fromisoformat(time)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.utcoffset() != timedelta(0):
        raise ValueError(f'time is {time!r}; give ISO 8601 in UTC, as "2023-01-02T09:00:00Z"')


def _refuse_surrogates(what: str, text: Any) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{what} is {text!r}; it must be text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} holds a lone surrogate") from None
