"""What a verb of the command line is, and verbs that are a dataclass and a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from typing import Any

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


def instance(default: Any, value: Any) -> Any:
    """A parsed namespace as the frozen dataclass it stands for (which checks its own values)."""
    if not isinstance(value, Namespace):
        return value
    fields = {key: instance(getattr(default, key, None), item) for key, item in vars(value).items()}
    return type(default)(**fields)


def settings_of(kind: type[Any], config: Namespace) -> dict[str, Any]:
    """What the command line says of a dataclass's fields, among a verb's other arguments."""
    return {field.name: config[field.name] for field in fields(kind)}


def tool(name: str, summary: str, config: str, function: str) -> Verb:
    """A verb whose arguments are the fields of a dataclass and which hands it to a function.

    Both are named as "module:name" below llamalite, and imported when the verb is used.
    """

    def build(parser: Parser, arguments: Sequence[str]) -> None:
        parser.add_class_arguments(_imported(config))

    def run(settings: Namespace) -> None:
        made = _imported(config)
        defaults = {
            each.name: each.default if each.default_factory is MISSING else each.default_factory()
            for each in fields(made)
        }
        own = settings_of(made, settings)
        given = {key: instance(defaults[key], value) for key, value in own.items()}
        _imported(function)(made(**given))

    return Verb(name, summary, build, run)


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(f"llamalite.{module}"), name)
