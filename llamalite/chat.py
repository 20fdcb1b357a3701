"""Talk to any stage's model in the terminal: streaming, several turns, a system message.

Chat models are spoken to in the format they were tuned on (`llamalite.text.chat`); base models get
the dialogue as plain lines to go on with, and show what tuning adds.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from llamalite.artifacts import Artifact
from llamalite.chat_screen import Screen
from llamalite.disk import write_json
from llamalite.evaluation.prompting import Style, cut_reply, fit
from llamalite.pipeline import why_stale
from llamalite.presets import RunPreset
from llamalite.real_models.folder import BASE_STAGES

HELP = """\
/system TEXT  set the system message and begin anew; without TEXT, remove it
/reset        forget the dialogue
/save FILE    write the dialogue as JSON
/help         this list
/quit         leave (or Ctrl-D); Ctrl-C stops a reply"""

TEMPERATURE, TOP_P = 0.7, 0.95
"""Of a model whose authors advise nothing."""
EXAMPLES = 3
"""Questions shown at the start."""
HALVED_FROM = 50_000_000
"""Parameters above which reading the weights takes most of the time of a token."""
_UNSETTLED = re.compile(r"\s*\n\s*\w{0,9}$|\s+$")
"""End of a text that may turn out to be the next speaker's name, or blanks before the end."""


@dataclass(frozen=True)
class ChatConfig:
    """How the model answers."""

    system: str = ""
    """System message, as "Answer as a gardener would."; empty for none."""
    temperature: float | None = None
    """Randomness of the replies; 0 always takes the likeliest token. None: as the authors of a
    fetched model advise, and 0.7 for any other."""
    top_p: float | None = None
    """Probability mass of the nucleus tokens are drawn from. None: as the authors of a fetched
    model advise, and 0.95 for any other."""
    max_new_tokens: int = 96
    """Longest reply, in tokens."""
    style: Literal["auto", "chat", "plain"] = "auto"
    """chat format or plain lines; auto takes plain lines for a pretrained model."""
    weights: Literal["auto", "same", "float16"] = "auto"
    """Precision in which the weights are read: float16 is twice as fast on an x86 CPU and next to
    exact; auto takes it there for models of more than 50 million parameters."""

    def __post_init__(self) -> None:
        if self.temperature is not None and self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; it must be at least 0")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 1")


@dataclass
class Conversation:
    """A dialogue with a model: what was said, and how the next reply comes about."""

    model: Any
    """A model, or a decoder that was made of one."""
    tokenizer: Any
    style: Style
    config: ChatConfig
    """With no sampling setting left open, see `settled`."""
    seed: int = 0
    system: str = ""
    messages: list[dict[str, str]] = field(default_factory=list)
    """User's and assistant's messages in turn, all of them."""
    forgotten: int = 0
    """Messages that no longer fitted the context at the last reply, the oldest."""
    advised: tuple[str, ...] = ()
    """Settings of the sampling that are the advice of the model's authors."""

    def __post_init__(self) -> None:
        self.config = settled(self.config)

    def ask(self, text: str) -> Generator[str, None, None]:
        """Yield the reply to `text` in pieces as it is written.

        What came is remembered, also when the reader stops half-way. Raises ValueError, and
        remembers nothing, for text that cannot be asked: too long, or with a tag of the format.
        """
        from llamalite.model.generate import SamplingConfig, stream

        config, context = self.config, self.model.config.max_seq_len
        assert config.temperature is not None, "settled"
        assert config.top_p is not None, "settled"
        length = min(config.max_new_tokens, context // 2)
        sampling = SamplingConfig(
            max_new_tokens=length, temperature=config.temperature, top_p=config.top_p
        )
        system = [{"role": "system", "content": self.system}] if self.system else []
        said = [*self.messages, {"role": "user", "content": text}]
        fitted = fit(self.tokenizer, [*system, *said], context - length, self.style)
        self.forgotten = fitted.dropped
        self.messages = said
        tokens = stream(
            self.model,
            fitted.ids,
            sampling,
            eos_id=self.tokenizer.eos_id,
            seed=self.seed + len(said) // 2,
        )
        reply = ""
        try:
            for piece in self._pieces(tokens):
                reply += piece
                yield piece
        finally:
            # a model may babble a tag, and must not speak for others later
            for tag in self.tokenizer.tags:
                reply = reply.replace(tag, "")
            self.messages.append({"role": "assistant", "content": reply})

    def _pieces(self, tokens: Iterator[int]) -> Iterator[str]:
        """Text of a stream of tokens, held back while its end may still change or be cut off."""
        ids: list[int] = []
        shown = ""
        for token in tokens:
            ids.append(token)
            whole = self.tokenizer.decode(ids)
            text, ended = cut_reply(whole, self.style)
            if not ended:  # keep back what is not settled: half a character, blanks, a new line
                text = _UNSETTLED.sub("", whole.rstrip("\N{REPLACEMENT CHARACTER}")).lstrip()
            if len(text) > len(shown):
                yield text[len(shown) :]
                shown = text
            if ended:
                return
        text, _ = cut_reply(self.tokenizer.decode(ids), self.style)
        if len(text) > len(shown):
            yield text[len(shown) :]

    def reset(self) -> None:
        """Forget what was said; the system message stays."""
        self.messages, self.forgotten = [], 0

    def save(self, path: str | Path) -> Path:
        """Write dialogue and settings as JSON; a file that is there is not overwritten."""
        path = Path(path)
        if path.exists():
            raise ValueError(f"{path} exists; choose another name")
        write_json(
            path,
            {
                "system": self.system,
                "messages": self.messages,
                "seed": self.seed,
                "style": self.style,
                "settings": asdict(self.config),
            },
        )
        return path


def load_conversation(
    folder: str | Path, config: ChatConfig | None = None, seed: int = 0
) -> Conversation:
    """Open a model folder (config.json, model.safetensors, a tokenizer) for talking.

    Raises ValueError in one line when a file is missing or damaged, or when the tokenizer belongs
    to another model.
    """
    from llamalite.model.decoding import Decoder
    from llamalite.real_models.fetch import fetched_model
    from llamalite.real_models.folder import open_model

    config = config or ChatConfig()
    model = fetched_model(folder)
    advice = (model.temperature, model.top_p) if model else (None, None)
    settings = {"temperature": config.temperature, "top-p": config.top_p}
    advised = tuple(
        name
        for (name, given), advice_of in zip(settings.items(), advice, strict=True)
        if given is None and advice_of is not None
    )
    config = settled(config, *advice)
    opened = open_model(folder)
    style = config.style
    if style == "auto":
        style = "chat" if opened.chats else "plain"
    decoder = Decoder(opened.model, _weights(opened.model, config))
    return Conversation(
        decoder, opened.tokenizer, style, config, seed, config.system, advised=advised
    )


def settled(
    config: ChatConfig, temperature: float | None = None, top_p: float | None = None
) -> ChatConfig:
    """The settings with what was left open: this advice, where there is some, else the defaults."""
    advised = (
        TEMPERATURE if temperature is None else temperature,
        TOP_P if top_p is None else top_p,
    )
    return replace(
        config,
        temperature=advised[0] if config.temperature is None else config.temperature,
        top_p=advised[1] if config.top_p is None else config.top_p,
    )


def _weights(model: Any, config: ChatConfig) -> Any:
    """The precision in which the weights are read; auto never changes what a small model says."""
    from llamalite.model.projection import can_halve

    if config.weights != "auto":
        return config.weights
    large = model.config.n_parameters > HALVED_FROM
    return "float16" if large and can_halve(model.tok_embeddings.weight) else "same"


def chat(
    folder: str | Path,
    config: ChatConfig | None = None,
    seed: int = 0,
    *,
    notes: Sequence[str] = (),
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
) -> Conversation:
    """Talk until the input ends or /quit; returns the conversation. `notes` are said before it.

    In a terminal the replies appear as they are written. With piped input, every line is a message
    and the output is a plain transcript.
    """
    conversation = load_conversation(folder, config, seed)
    screen = Screen(stdin or sys.stdin, stdout or sys.stdout)
    for note in (_greeting(folder, conversation), *notes):
        screen.note(note)
    with screen.interrupts.handled():
        while (line := screen.read()) is not None:
            line = line.strip()
            if not line:
                continue
            try:
                if line.startswith("/"):
                    if not command(conversation, line, screen):
                        break
                else:
                    reply(conversation, line, screen)
            except (ValueError, OSError) as error:
                screen.note(str(error))
    return conversation


def notes_on(stage: str, preset: RunPreset, seed: int, run: Path) -> list[str]:
    """What to know of a stage's model in a run: why it is stale, if it is, and what to ask it."""
    from llamalite.sft.recipe import questions_learned

    sft, world = run / "sft", run / "world"
    learned: list[str] = []
    try:
        stale = why_stale(preset, seed, run, stage)
        if stage not in BASE_STAGES and sft.is_dir() and world.is_dir():
            learned = questions_learned(Artifact.open(sft), Artifact.open(world), EXAMPLES)
    except ValueError as error:  # of a stage that the model does not need any more
        return [str(error)]
    notes = [stale] if stale else []
    if learned:
        notes.append("\n  ".join(["it has learned to answer, for example:", *learned]))
    return notes


def reply(conversation: Conversation, line: str, screen: Screen) -> None:
    """Ask, and show the reply as it comes; Ctrl-C stops it and keeps what was said so far."""
    pieces = conversation.ask(line)
    try:
        with screen.interrupts.heard():
            first = next(pieces, "")  # errors come here, before anything is shown
            if conversation.forgotten:
                screen.note(
                    f"the context of {conversation.model.config.max_seq_len} tokens is full; the "
                    f"oldest {conversation.forgotten} messages are left out"
                )
            screen.speaker("Assistant")
            screen.show(first)
            for piece in pieces:
                screen.show(piece)
    except KeyboardInterrupt:
        pieces.close()
        screen.show(" [stopped]")
    screen.show("\n")


def command(conversation: Conversation, line: str, screen: Screen) -> bool:
    """Do what a line beginning with "/" says; False when it says to leave."""
    name, _, rest = line.partition(" ")
    rest = rest.strip()
    if name == "/quit":
        return False
    if name == "/system":
        conversation.system = rest
        conversation.reset()
        screen.note("system message set, the dialogue begins anew" if rest else "no system message")
    elif name == "/reset":
        conversation.reset()
        screen.note("the dialogue begins anew")
    elif name == "/save":
        file = rest or time.strftime("chat-%Y%m%d-%H%M%S.json")
        screen.note(f"saved {conversation.save(file)}")
    elif name == "/help":
        screen.note(HELP)
    else:
        raise ValueError(f"unknown command {name}; /help lists them")
    return True


def _greeting(folder: str | Path, conversation: Conversation) -> str:
    model = conversation.model.config
    manner = "chat format" if conversation.style == "chat" else "plain lines, as a base model"
    system = f", system message: {conversation.system}" if conversation.system else ""
    config = conversation.config
    sampling = f"temperature {config.temperature:g}, top-p {config.top_p:g}"
    names = " and ".join(conversation.advised)
    advised = f" ({names} as its authors advise)" if names else ""
    return (
        f"{Path(folder)}: {model.n_parameters:,} parameters, context of {model.max_seq_len} "
        f"tokens, {manner}, {sampling}{advised}{system}; /help lists the commands"
    )
