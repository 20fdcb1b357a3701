"""Pairs of replies from two models at two temperatures, and their judgement. Section 3.2.1.

Needs no torch: a model is whatever answers prompts.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llamalite.disk import write_json
from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.protocol import GUIDELINES, Choice, Guideline, Item, Response, judged
from llamalite.preferences.store import PreferenceStore
from llamalite.processes import ALL, Share
from llamalite.progress import pieces
from llamalite.protocols import Annotator, Dialogue, Prompt

FIRST_WEEK = datetime(2023, 1, 2, 9, tzinfo=UTC)
"""When the simulated annotators' first week begins; the paper's models were trained in 2023."""
_WORKING = timedelta(days=5)
UNSAFE_CHOICE = "the chosen reply is unsafe and the other safe"

Generate = Callable[[Sequence[Dialogue], float, int], Sequence[tuple[str, bool]]]
"""(prompts, temperature, seed) -> the reply to each, and whether the model ended it itself."""


class Variant(NamedTuple):
    """A model whose replies are compared."""

    version: str
    """"SFT", "V1" ..."""
    fingerprint: str
    """Of its weights."""
    generate: Generate


class Drawn(NamedTuple):
    """Pairs to judge, and prompts for which no pair could be made."""

    items: list[Item]
    left_out: list[tuple[str, str]]
    """Id of the prompt, and why."""


class _Plan(NamedTuple):
    """Who writes a reply and how."""

    variant: int
    temperature: float


def collect(
    variants: Sequence[Variant],
    prompts: Sequence[Prompt],
    annotators: Sequence[Annotator],
    guideline: Guideline,
    batch: int,
    config: PreferencesConfig,
    store: PreferenceStore,
    *,
    seed: int = 0,
    work: Path | None = None,
    share: Share = ALL,
) -> Drawn:
    """Draw a pair for every prompt, put it into the store, and have the annotators judge all.

    `variants` are the newest model and, where there is one, the previous. Called again on a store
    and `work` folder that a killed call left, it goes on and ends with the same comparisons.
    Returns the pairs and what was left out; the comparisons are in the store. Of several processes
    (`share`) the first calls this, the others `draw_all`.
    """
    drawn = draw_all(variants, prompts, guideline, batch, config, seed=seed, work=work, share=share)
    store.add_items(drawn.items, config.judgements_each)
    judge(store, drawn.items, {prompt.id: prompt for prompt in prompts}, annotators)
    return drawn


def draw_all(
    variants: Sequence[Variant],
    prompts: Sequence[Prompt],
    guideline: Guideline,
    batch: int,
    config: PreferencesConfig,
    *,
    seed: int = 0,
    work: Path | None = None,
    share: Share = ALL,
) -> Drawn:
    """A pair for every prompt, drawn in parts that stand in `work`; a process's share of them.

    The first process comes back with all parts, the others with none. What a part holds does not
    depend on who draws it.
    """
    firsts = range(0, len(prompts), config.prompts_at_once)

    def part(first: int) -> Drawn:
        mine = prompts[first : first + config.prompts_at_once]
        dice = [seed, batch, GUIDELINES.index(guideline), first]
        return _remembered(
            work and work / f"{guideline}-{first:08d}.json",
            lambda: draw_pairs(variants, mine, guideline, batch, config, dice),
        )

    made: dict[int, Drawn] = {}
    for first in pieces(share.own(firsts), f"{guideline}, part"):
        made[first] = part(first)
    drawn = Drawn([], [])
    for first in firsts if share.leads else ():
        if work and first not in made:
            share.wait_for([work / f"{guideline}-{first:08d}.json"])
            made[first] = part(first)
        drawn.items.extend(made[first].items)
        drawn.left_out.extend(made[first].left_out)
    return drawn


def draw_pairs(
    variants: Sequence[Variant],
    prompts: Sequence[Prompt],
    guideline: Guideline,
    batch: int,
    config: PreferencesConfig,
    seed: Sequence[int],
) -> Drawn:
    """One pair for each prompt: by two different variants where there are two, and always at two
    different temperatures. Which of them is reply a is left to chance.

    A reply that is empty or the same as the other is drawn again, `config.redraws` times; a pair
    that stays so is left out. The same seed gives the same pairs.
    """
    if not 1 <= len(variants) <= 2:
        raise ValueError(
            f"{len(variants)} variants were given; give the newest, or it and one more"
        )
    dice = np.random.default_rng([*seed, 1])
    plans = [_plan(len(variants), config, dice) for _ in prompts]
    replies: list[list[Response | None]] = [[None, None] for _ in prompts]
    for attempt in range(config.redraws + 1):
        missing: dict[_Plan, list[tuple[int, int]]] = {}
        for i, pair in enumerate(replies):
            for side in (0, 1):
                if pair[side] is None:
                    missing.setdefault(plans[i][side], []).append((i, side))
        for number, (plan, where) in enumerate(sorted(missing.items())):
            call = int(np.random.SeedSequence([*seed, 2, attempt, number]).generate_state(1)[0])
            asked = [prompts[i].messages for i, _ in where]
            for (i, side), reply in zip(
                where,
                _responses(variants[plan.variant], asked, plan.temperature, call),
                strict=True,
            ):
                replies[i][side] = reply
        for pair in replies:
            a, b = pair
            if a and b and a.text.strip() == b.text.strip() and attempt < config.redraws:
                pair[1] = None
        if all(a and b for a, b in replies):
            break
    drawn = Drawn([], [])
    for prompt, (a, b) in zip(prompts, replies, strict=True):
        if a is None or b is None:
            drawn.left_out.append((prompt.id, "a reply is empty"))
        elif a.text.strip() == b.text.strip():
            drawn.left_out.append((prompt.id, "the two replies are the same"))
        else:
            drawn.items.append(
                Item(
                    f"{batch}/{guideline}/{prompt.id}",
                    batch,
                    guideline,
                    prompt.id,
                    prompt.kind,
                    prompt.is_safety,
                    tuple(prompt.messages),
                    a,
                    b,
                )
            )
    return drawn


def judge(
    store: PreferenceStore,
    items: Sequence[Item],
    prompts: Mapping[str, Prompt],
    annotators: Sequence[Annotator],
) -> None:
    """Have simulated annotators judge what is open of these items, taking turns.

    They ask for items and submit as people do. The time is simulated: a working week a batch. A
    pair whose chosen reply seemed unsafe and the other safe is set aside, as in the paper.
    """
    if not items:
        return
    guideline, batch = items[0].guideline, items[0].batch
    names = [f"simulated-{annotator.identity}" for annotator in annotators]
    done = [store.answers_of(name, guideline, batch) for name in names]
    moments = dict(_moments(items, batch))
    waiting = [i for i, _ in enumerate(names)]
    while waiting:
        turn = min(waiting, key=lambda i: (done[i], i))
        item = store.next_item(names[turn], guideline, batch)
        if item is None:
            waiting.remove(turn)
            continue
        done[turn] += 1
        said = annotators[turn].compare(
            prompts[item.prompt_id], item.a.text, item.b.text, guideline
        )
        if guideline == "safety" and said.safety_bin is None:
            store.set_aside(item, names[turn], UNSAFE_CHOICE)
            continue
        store.submit(
            judged(
                item,
                choice=said.choice,
                rating=said.rating,
                safety_bin=said.safety_bin,
                annotator=names[turn],
                time=moments[item.id],
                left=left_of(item, names[turn]),
            )
        )


def left_of(item: Item, annotator: str) -> Choice:
    """Which reply stands on this annotator's left: a fair coin, the same whenever it is asked."""
    coin = hashlib.sha256(f"{annotator}\0{item.id}".encode()).digest()[0]
    return "a" if coin < 128 else "b"


def _plan(variants: int, config: PreferencesConfig, dice: np.random.Generator) -> tuple[_Plan, ...]:
    both = variants == 2 and dice.random() < config.previous_share
    order = dice.permutation(2).tolist() if both else [0, 0]
    heat = dice.permutation(len(config.temperatures))[:2].tolist()
    return tuple(_Plan(v, config.temperatures[t]) for v, t in zip(order, heat, strict=True))


def _responses(
    variant: Variant, asked: Sequence[Dialogue], temperature: float, seed: int
) -> Iterator[Response | None]:
    """What a variant replies; None where it says nothing."""
    for index, (text, finished) in enumerate(variant.generate(asked, temperature, seed)):
        text = text.strip()
        yield (
            Response(text, variant.fingerprint, variant.version, temperature, seed, index, finished)
            if text
            else None
        )


def _moments(items: Sequence[Item], batch: int) -> Iterator[tuple[str, str]]:
    """When each item is judged, spread over the batch's working week."""
    start = FIRST_WEEK + timedelta(weeks=batch - 1)
    for number, item in enumerate(items):
        moment = start + _WORKING * number / len(items)
        yield item.id, moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _remembered(path: Path | None, make: Callable[[], Drawn]) -> Drawn:
    """What `make` gave before and left in the file, or gives now and leaves there."""
    if path is not None and path.exists():
        plain = json.loads(path.read_text(encoding="utf-8"))
        left_out = [(name, why) for name, why in plain["left_out"]]
        return Drawn([Item.from_plain(each) for each in plain["items"]], left_out)
    made = make()
    if path is not None:
        plain = {"items": [item.to_plain() for item in made.items], "left_out": made.left_out}
        write_json(path, plain)
    return made


def reasons(left_out: Sequence[tuple[str, Any]]) -> dict[str, int]:
    """How many prompts were left out for each reason."""
    return dict(sorted(Counter(why for _, why in left_out).items()))
