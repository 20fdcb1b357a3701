"""Content of written replies: answers to each form of ask, good or flawed."""

from __future__ import annotations

from random import Random

from llamalite.world import lumo, prompts_words
from llamalite.world.lexicon_common import CATEGORIES
from llamalite.world.lexicon_howto import HOWTOS
from llamalite.world.prompts_pools import Pools
from llamalite.world.prompts_tales import (
    LINES,
    PLACES,
    RHYME_OF,
    TALE_ENDINGS,
    TALE_MIDDLES,
    TALE_OPENINGS,
)
from llamalite.world.prompts_tasks import Prompt, Task
from llamalite.world.prompts_words import NUMBER_WORDS

DROP, WRONG, MISFIT, BARE = 0.50, 0.40, 0.70, 0.30
"""Chance of each flaw at quality 0: a thing left out, a wrong one, a wish about length ignored, a
lone value instead of a sentence. At quality 1 there is none."""


class Writer:
    """Somebody who writes one reply with a certain care."""

    def __init__(self, pools: Pools, prompt: Prompt, rng: Random, quality: float) -> None:
        self.pools, self.knowledge = pools, pools.knowledge
        self.prompt, self.rng, self.quality = prompt, rng, quality

    def slips(self, chance: float) -> bool:
        """Whether a flaw of this chance (at quality 0) happens."""
        return self.rng.random() < chance * (1 - self.quality)

    def kept(self, things: list) -> list:
        """Those things that are not forgotten."""
        return [thing for thing in things if not self.slips(DROP)]

    def content(self) -> list[str]:
        """The sentences that answer, perhaps none."""
        task = self.prompt.task
        if self.slips(MISFIT):
            wishes = ("plain", "short", "more", "long")
            task = Task(task.asks, self.rng.choice(wishes), language=task.language)
        return getattr(self, task.asks[0].form)(task)

    # -- statements

    def fact(self, task: Task) -> list[str]:
        asks = self.kept(list(task.asks))
        out: list[str] = []
        before = ""
        for ask in asks:
            value = None
            if self.slips(WRONG):
                value = self.rng.choice(self.knowledge.values(ask.key))
            if self.slips(BARE):
                out.append(f"{(value or ask.answer[0]).capitalize()}.")
                continue
            out.append(self._tell(ask.subject, ask.key, value, before, out))
            out = [text for text in out if text]
            before = ask.subject
        return self._add_details(out, task, before)

    def _tell(self, entity: str, key: str, value: str | None, before: str, out: list[str]) -> str:
        """A statement; joined to the last one or with a pronoun when that is of the same person.

        Returns "" when it was joined.
        """
        same = before == entity and entity in self.pools.people
        template = 0 if self.rng.random() < 0.6 else self.rng.randrange(4)
        templates = self.knowledge.attribute(key).statements
        template %= len(templates)
        last = out[-1] if same and out else ""
        join = templates[template].startswith("{who} ") and " and " not in last
        if join and last.startswith(f"{entity} ") and self.rng.random() < 0.6:
            text = self.knowledge.state(entity, key, template=template, value=value)
            out[-1] = f"{out[-1].removesuffix('.')} and {text.removeprefix(entity + ' ')}"
            return ""
        return self.knowledge.state(entity, key, template=template, value=value, pronoun=same)

    def _add_details(self, out: list[str], task: Task, entity: str) -> list[str]:
        """Append as many further facts about the entity as the wish about length asks for."""
        wanted = {"more": 1, "long": 2}.get(task.length, 0)
        if not wanted or not entity:
            return out
        asked = [ask.key for ask in task.asks if ask.subject == entity]
        keys = self.pools.details(entity, asked, self.prompt.split)
        return self._tell_all(self.rng.sample(keys, min(wanted, len(keys))), entity, out)

    def _tell_all(self, keys: list[str], entity: str, out: list[str]) -> list[str]:
        for key in keys:
            value = self.rng.choice(self.knowledge.values(key)) if self.slips(WRONG) else None
            out.append(self._tell(entity, key, value, entity if out else "", out))
            out = [text for text in out if text]
        return out

    def about(self, task: Task) -> list[str]:
        (ask,) = task.asks
        keys = self.pools.details(ask.subject, ask.answer, self.prompt.split)
        keys = self.kept(self.rng.sample(keys, min(ask.count, len(keys))))
        return self._tell_all(keys, ask.subject, [])

    def sum(self, task: Task) -> list[str]:
        parts, first = [], ""
        for ask in self.kept(list(task.asks)):
            answer = int(ask.answer[0])
            if self.slips(WRONG):
                answer = max(0, answer + self.rng.choice((-2, -1, 1, 2)))
            first = first or ask.subject
            parts.append(f"{answer}" if self.slips(BARE) else f"{ask.subject} is {answer}")
        if not parts:
            return []
        out = [f"{_join(parts)}."]
        if task.length in ("more", "long"):
            out += self.rng.sample(prompts_words.CHECKS, 1 if task.length == "more" else 2)
        return out

    # -- steps and tales

    def steps(self, task: Task) -> list[str]:
        (ask,) = task.asks
        steps = list(ask.answer[:2] if task.length == "short" else ask.answer)
        steps = self.kept(steps)
        if steps and self.slips(WRONG):
            if len(steps) > 1 and self.rng.random() < 0.5:
                self.rng.shuffle(steps)
            else:
                steps[self.rng.randrange(len(steps))] = self.rng.choice(
                    self.rng.choice(HOWTOS).steps
                )
        tips = {"more": 1, "long": 2}.get(task.length, 0)
        if not steps:
            return [f"Here is how to {ask.subject}."]
        extra = self.rng.sample(prompts_words.TIPS, tips)
        named = not self.slips(BARE)
        roll = self.rng.random()
        if roll < 0.7 or not named:
            body = f"{', '.join(steps[:-1])}, then {steps[-1]}" if len(steps) > 1 else steps[0]
            head = f"To {ask.subject}, {body}." if named else f"{_capital(body)}."
            return [head, *extra]
        return [f"Here is how to {ask.subject}.", *(f"{_capital(s)}." for s in steps), *extra]

    def tale(self, task: Task) -> list[str]:
        (ask,) = task.asks
        rng, hero = self.rng, ask.subject
        things = self.kept(list(ask.answer)) or list(ask.answer[:1])
        count = {"short": 2, "plain": rng.choice((2, 3)), "more": 3, "long": 4}[task.length]
        pronoun = self.knowledge.person(hero).pronoun
        again = hero if pronoun == "they" else pronoun
        second = things[-1]
        opening = rng.choice(TALE_OPENINGS)
        endings = [e for e in TALE_ENDINGS if "{thing}" in e] if count == 2 else TALE_ENDINGS
        middles = [m for m in TALE_MIDDLES if "{thing}" in m]
        first_middle = rng.choice(middles)
        others = rng.sample([m for m in TALE_MIDDLES if m != first_middle], max(0, count - 3))
        ending = rng.choice(endings)
        plan = [(opening, hero, things[0])]
        if count > 2:
            plan.append((first_middle, again, second))
        plan += [(middle, again, rng.choice(things)) for middle in others]
        plan.append((ending, again, second))
        if self.slips(WRONG):
            plan.pop(0 if rng.random() < 0.5 else -1)
        out = []
        for template, who, thing in plan:
            text = template.format(who=who, thing=thing, place=rng.choice(PLACES))
            out.append(_capital(text))
        return out

    # -- words

    def rhyme(self, task: Task) -> list[str]:
        (ask,) = task.asks
        words = self.kept(self.rng.sample(ask.answer, min(ask.count, len(ask.answer))))
        for i in range(len(words)):
            if self.slips(WRONG):
                words[i] = self.rng.choice(list(RHYME_OF))
        if words and self.slips(WRONG):
            words += self.rng.sample(list(RHYME_OF), 2)
        if not words:
            return []
        if self.slips(BARE):
            return [f"{_capital(_join(words))}."]
        return [f"{_capital(ask.subject)} rhymes with {_join(words)}."]

    def couplet(self, task: Task) -> list[str]:
        (ask,) = task.asks
        words = [ask.subject, self.rng.choice(ask.answer)]
        for i in range(2):
            if self.slips(WRONG):
                words[i] = self.rng.choice(list(RHYME_OF))
        lines = self.kept(self.rng.sample(LINES, 2))
        return [line.format(thing=w) for line, w in zip(lines, words, strict=False)]

    def items(self, task: Task) -> list[str]:
        parts = []
        for ask in self.kept(list(task.asks)):
            words = self.rng.sample(ask.answer, min(ask.count, len(ask.answer)))
            words = self.kept(words) if len(words) > 1 else words
            for i in range(len(words)):
                if self.slips(WRONG):
                    words[i] = self.rng.choice(CATEGORIES[self.rng.choice(list(CATEGORIES))])
            if self.slips(MISFIT / 2):
                words += [w for w in ask.answer if w not in words][:2]
            if not words:
                continue
            bare = self.slips(BARE)
            head = "" if bare else f"{NUMBER_WORDS[ask.count]} {ask.subject} are "
            parts.append(head + _join(words))
        return [f"{_capital(', and '.join(parts))}."] if parts else []

    def sentence(self, task: Task) -> list[str]:
        (ask,) = task.asks
        words = ask.answer[0].removesuffix(".").split()
        if self.slips(WRONG):
            at = self.rng.randrange(len(words))
            words[at] = self.rng.choice(
                list(lumo.NOUNS.values() if ask.key == "Lumo" else lumo.NOUNS)
            )
        words = [w for w in words if not self.slips(DROP / 3)] or words
        if self.slips(0.3):
            words = ask.subject.removesuffix(".").split()
        text = " ".join(words)
        if task.language or self.slips(BARE):
            return [f"{_capital(text)}."]
        return [f"In {ask.key} it is: {_capital(text)}."]

    def word(self, task: Task) -> list[str]:
        parts, language = [], task.asks[0].key
        for ask in self.kept(list(task.asks)):
            told = ask.answer[0]
            if self.slips(WRONG):
                told = self.rng.choice(
                    list(lumo.NOUNS.values() if language == "Lumo" else lumo.NOUNS)
                )
            parts.append(told if self.slips(BARE) else f"{ask.subject} is {told}")
        if not parts:
            return []
        return [
            f"In {language} {_join(parts)}." if " is " in parts[0] else f"{_capital(_join(parts))}."
        ]


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
