"""The attacked model while people write to it: one copy, which all open pages ask. Section 4.3."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from llamalite.model.config import SamplingConfig

Live = Callable[[Sequence[Mapping[str, str]], int], str]
"""A dialogue that ends with a user's turn, and a seed -> the model's reply. ValueError in a line
for what cannot be answered."""
_WAITING = 64
"""Pages that may stand in the queue at once."""
_BREATH = 0.1
"""Seconds until the next try where nobody could be let in."""


def live_model(model: Any, tokenizer: Any, sampling: SamplingConfig, *, chats: bool = True) -> Live:
    """A model as people meet it: it samples, and the same dialogue and seed give the same reply.

    Asked by several at once, it answers one after another. A model that does not chat is given the
    dialogue as plain lines. Tags of the chat format are taken out of a reply, which may become a
    part of the next prompt. ValueError for a dialogue too long for the context.
    """
    from llamalite.evaluation.prompting import cut_reply, encode
    from llamalite.model.decoding import Decoder
    from llamalite.model.generate import generate
    from llamalite.text.tokenizer import TAGS

    decoder, lock = Decoder(model), threading.Lock()
    style = "chat" if chats else "plain"
    room = model.config.max_seq_len - min(sampling.max_new_tokens, model.config.max_seq_len // 2)
    tags = {*TAGS, *tokenizer.tags}

    def reply(messages: Sequence[Mapping[str, str]], seed: int) -> str:
        ids = encode(tokenizer, messages, style)
        if len(ids) > room:
            raise ValueError(
                f"the dialogue is {len(ids)} tokens long and there is room for {room}; shorten it"
            )
        with lock:
            [[drawn]] = generate(decoder, [ids], sampling, eos_id=tokenizer.eos_id, seed=seed)
        text, _ = cut_reply(tokenizer.decode(drawn.ids), style)
        while any(tag in text for tag in tags):
            for tag in tags:
                text = text.replace(tag, "")
        return text.strip()

    return reply


@contextmanager
def shared(live: Live) -> Iterator[dict[str, str]]:
    """Within it, other processes of this user may ask a model; gives what `remote` needs.

    Nothing is listened to over a network, and who asks must know a key.
    """
    key = secrets.token_bytes(32)
    listener, closing = Listener(backlog=_WAITING, authkey=key), threading.Event()
    threading.Thread(target=_serve, args=(listener, live, closing), daemon=True).start()
    try:
        yield {"address": str(listener.address), "key": key.hex()}
    finally:
        closing.set()
        listener.close()


def remote(address: str, key: str) -> Live:
    """A model that another process shares; ValueError where it is gone."""

    def reply(messages: Sequence[Mapping[str, str]], seed: int) -> str:
        asked = {"messages": [dict(message) for message in messages], "seed": seed}
        try:
            with Client(address, authkey=bytes.fromhex(key)) as connection:
                connection.send_bytes(json.dumps(asked).encode())
                said = json.loads(connection.recv_bytes())
        except (OSError, EOFError, AuthenticationError):
            raise ValueError("the model does not answer; ask who serves this page") from None
        if "error" in said:
            raise ValueError(said["error"])
        return said["reply"]

    return reply


def _serve(listener: Listener, live: Live, closing: threading.Event) -> None:
    while not closing.is_set():
        try:
            connection = listener.accept()
        except (AuthenticationError, EOFError, ConnectionError):
            continue  # somebody without the key, or who went away
        except OSError:  # it was closed, or there are too many open files for now
            closing.wait(_BREATH)
            continue
        threading.Thread(target=_answer, args=(connection, live), daemon=True).start()


def _answer(connection: Connection, live: Live) -> None:
    with connection:
        asked = json.loads(connection.recv_bytes())
        said = {"error": "the model failed; ask who serves this page"}
        try:
            said = {"reply": live(asked["messages"], asked["seed"])}
        except ValueError as error:
            said = {"error": str(error)}
        finally:
            connection.send_bytes(json.dumps(said).encode())
