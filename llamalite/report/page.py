"""The report as one HTML file: figures inside, styles inside, no script, nothing to fetch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llamalite import figures
from llamalite.report import words
from llamalite.report.alignment import instructions, judges, ppo, red_team, rounds, win_rate
from llamalite.report.plates import learned, prose, tuned
from llamalite.terminal import clock, gigabytes

MEASURES = (
    ("helpfulness", "gold, of ordinary replies", ("helpfulness", "all"), True),
    ("unsafe replies", "to adversarial prompts", ("violations", "all"), False),
    ("false refusals", "of borderline prompts", ("false_refusals", "borderline"), False),
)
"""What every chat model is measured by: label, note, path in a summary, whether more is better."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def render(data: Mapping[str, Any]) -> str:
    """The page of the data that `collect` gathered. All text in it is escaped."""
    environment = Environment(
        loader=PackageLoader("llamalite.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clock=clock,
        gigabytes=gigabytes,
        short=figures.short,
        svg=lambda drawing: Markup(drawing.svg()),
        visible=visible,
        pretty=lambda value: json.dumps(value, indent=1, ensure_ascii=False),
        percent=lambda share: "not measured" if share is None else f"{share:.0%}",
        decimals=lambda number: "not measured" if number is None else f"{number:.2f}",
    )
    return environment.get_template("report.html.j2").render(
        **data,
        cards=list(cards(data)),
        results=[words.result(data["gain"]), *words.versions(data["rounds"], data["after"])],
        learned=list(learned(data)),
        tuned=list(tuned(data)),
        round_plates=[
            *judges(data["judges"]),
            *ppo(data["ppo"]),
            *rounds(data["rounds"], data["after"]),
        ],
        version_rows=list(version_rows(data["rounds"], data["after"])),
        round_groups=group_samples(data["round_samples"]),
        instruction_plates=list(instructions(data)),
        red_team_plates=list(red_team(data["red_team"])),
        prose_plates=list(prose(data["prose"])),
        prose_verdict=words.beside_ngrams(data["prose"]),
        sample_groups=group_samples(data["samples"]),
    )


def visible(text: str) -> str:
    """Text with characters that a page must not hold replaced by a mark."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def cards(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The numbers a person asks for first: where the chain began, and where it ends."""
    base, chat = data["base"], data["chat"]
    if base:
        facts = base["base"]["exams"].get("facts")
        if facts:
            yield _card("facts recalled", "by the base model", facts["greedy"], None, True)
    if data["rounds"]:
        yield from version_cards(data["rounds"], data["after"])
        return
    if not chat:
        return
    before, after = chat["base"], chat["chat"]
    for label, note, path, up in MEASURES:
        yield _card(label, f"{note} (SFT model)", _at(after, *path), _at(before, *path), up)


def version_cards(
    versions: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The last model of the chain against the first version, and the last version beside it."""
    (first, before), (newest, beside) = next(iter(versions.items())), list(versions.items())[-1]
    last, model = list({**versions, **after}.items())[-1]
    for label, note, path, up in MEASURES:
        aside = (newest, _at(beside["gold"], *path)) if last != newest else None
        now, then = (_at(each["gold"], *path) for each in (model, before))
        yield _card(label, f"{note} ({last})", now, then, up, first, aside)
    preferred = win_rate(model, "helpfulness", "raters")
    if preferred:
        other = win_rate(beside, "helpfulness", "raters") if last != newest else None
        note = f"by three raters, ordinary prompts, ties as half ({last})"
        aside = (newest, other) if other else None
        yield _card(f"preferred to {first}", note, preferred, None, True, first, aside)


def version_rows(versions: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row of the table of all versions: its name, and an estimate or None per column."""
    for name, version in {**versions, **after}.items():
        gold = version["gold"]
        yield {
            "name": name,
            "after": name in after,
            "cells": [
                *(_at(gold, *path) for _, _, path, _ in MEASURES),
                gold["false_refusals"]["ordinary"],
                *(win_rate(version, axis, "raters") for axis in ("helpfulness", "safety")),
            ],
        }


def group_samples(samples: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Sample dialogues by kind, in their order."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for sample in samples:
        groups.setdefault(sample["kind"], []).append(sample)
    return groups


def _card(
    label: str,
    note: str,
    value: Any,
    before: Any,
    up: bool,
    since: str = "",
    aside: tuple[str, Any] | None = None,
) -> dict[str, Any]:
    """One headline number; `up` says whether more is better, `since` whose `before` is, `aside`
    what another model reached."""
    return {
        "label": label,
        "note": note,
        "value": value,
        "before": before,
        "since": since,
        "up": up,
        "aside": aside,
    }


def _at(tree: Mapping[str, Any], *path: str) -> Any:
    value: Any = tree
    for key in path:
        value = value[key]
    return value
