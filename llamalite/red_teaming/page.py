"""The red team's screen for people with a browser and nothing else. Llama 2, section 4.3."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llamalite.preferences.pages import asked_for, ready_to_serve, serve_page, settings
from llamalite.red_teaming.live import Live, remote, shared
from llamalite.red_teaming.store import AttackStore
from llamalite.red_teaming.transcripts import write_transcripts


def ready(store: str | Path, ip: str, port: int, token: str | None) -> tuple[str, str]:
    """Where the store is, in full, and the token; made, opened and looked at before a model is.

    ValueError for a store that cannot be opened and, before there is one, for a taken port, a short
    token or a package that is not installed.
    """
    token = ready_to_serve(token, ip, port)
    where = str(store) if "://" in str(store) else str(Path(store).resolve())
    AttackStore(where).close()
    return where, token


def serve(
    store: str | Path,
    live: Live,
    port: int = 8867,
    token: str | None = None,
    *,
    candidate: str = "",
    drawn: Mapping[str, Any] | None = None,
    ip: str = "127.0.0.1",
    attackers: Sequence[str] = (),
    base_url: str = "/",
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the screen at http://ip:port until interrupted; `tell` is given the address.

    `live` is the attacked model, which stays in this process, and `candidate` what the records call
    it; `drawn` stands in them too. `store` is a path or URL of an `AttackStore`; `token` is needed
    to enter (a new one unless given); `attackers` are the only codes let in, when there are any.
    For other machines see `llamalite.preferences.pages.serve_page`. ValueError as `ready`.
    """
    where, token = ready(store, ip, port, token)
    with shared(live) as model:
        shown = {
            "store": where,
            "model": model,
            "candidate": candidate,
            "drawn": dict(drawn or {}),
            "attackers": list(attackers),
        }
        module = "llamalite.red_teaming.page"
        serve_page(module, "Red team", shown, port, token, ip, base_url, tell)


def screen_of_this_kernel() -> Any:
    """The screen a kernel of `serve` shows; ?attacker=CODE in the address spares typing it."""
    from llamalite.red_teaming.screen import AttackScreen

    shown = settings()
    return AttackScreen(
        AttackStore(shown["store"]),
        remote(**shown["model"]),
        asked_for("attacker"),
        candidate=shown["candidate"],
        drawn=shown["drawn"],
        allowed=shown["attackers"],
    )


def export(store: str | Path, path: str | Path) -> str:
    """Write all attempts of a store as the transcripts that the stage red_team reads; a line that
    says so.

    ValueError for another ending than .jsonl, and for a store that does not exist or is empty.
    """
    path = Path(path)
    if path.suffix != ".jsonl":
        raise ValueError(f"cannot export to {path.name!r}; end the name in .jsonl")
    if "://" not in str(store) and not Path(store).is_file():
        raise ValueError(f"there is no store {store}; `llamalite attack` makes one")
    with AttackStore(store) as opened:
        attempts = list(opened.attempts())
    if not attempts:
        raise ValueError("nobody has kept an attempt in this store yet")
    write_transcripts(path, attempts)
    bad, people = sum(a.violation for a in attempts), len({a.attacker for a in attempts})
    return (
        f"{path}: {len(attempts)} attempts of {people} people, {bad} of them violations; "
        f"`llamalite red_team --red_team.transcripts {path}` reads it"
    )
