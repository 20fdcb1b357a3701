"""What a verb of the command line is, and verbs that are a dataclass and a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any, get_args, get_type_hints

from jsonargparse import Namespace

from llamalite.user_errors import Parser


@dataclass(frozen=True)
class Verb:
    """One subcommand."""

    name: str
    summary: str
    build: Callable[[Parser, Sequence[str]], None]
    """Adds the verb's arguments to its parser."""
    run: Callable[[Namespace], None]


def instance(hint: Any, value: Any) -> Any:
    """A parsed namespace as the dataclass its type hint names (which checks its own values)."""
    if not isinstance(value, Namespace):
        return value
    [kind] = [each for each in (hint, *get_args(hint)) if is_dataclass(each)]
    return settings_of(kind, value)


def settings_of(kind: Any, config: Namespace) -> Any:
    """A dataclass of what the command line says of its fields, among a verb's other arguments."""
    hints = get_type_hints(kind)
    return kind(
        **{each.name: instance(hints[each.name], config[each.name]) for each in fields(kind)}
    )


def tool(name: str, summary: str, config: str, function: str) -> Verb:
    """A verb whose arguments are the fields of a dataclass and which hands it to a function.

    Both are named as "module:name" below llamalite, and imported when the verb is used.
    """

    def build(parser: Parser, arguments: Sequence[str]) -> None:
        parser.add_class_arguments(_imported(config))

    def run(settings: Namespace) -> None:
        _imported(function)(settings_of(_imported(config), settings))

    return Verb(name, summary, build, run)


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(f"llamalite.{module}"), name)
