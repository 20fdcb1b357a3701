"""Checking answers that state facts or sums."""

from __future__ import annotations

import re
from collections import defaultdict

from llamalite.world import sentences
from llamalite.world.grader_facts import FactReader, Fragment, Statement
from llamalite.world.grader_found import Found, Rest, count_words, detail_fit, mean, slope
from llamalite.world.prompts_tasks import Ask, Task

Key = tuple[str, str]
"""Entity and attribute."""


class Told:
    """All statements of a reply, with their subjects resolved.

    A pronoun stands for the person named last, or for the only person asked about; a clause
    without subject takes the subject before it; "a town by the river" speaks of the town named
    last. A lone value ("Ladeville.") answers the first open ask that it fits.
    """

    def __init__(self, reader: FactReader, asks: tuple[Ask, ...], rest: Rest) -> None:
        self.reader = reader
        self.subjects = list(dict.fromkeys(ask.subject for ask in asks))
        self.values: dict[Key, list[str]] = defaultdict(list)
        self.lone: dict[Key, list[str]] = defaultdict(list)
        self.misnamed: set[Key] = set()
        """Statements in which the pronoun is not the person's."""
        self.named: set[str] = set()
        self.places: dict[int, list[Key | None]] = {}
        """Sentence to what each of its clauses tells; None where it tells nothing."""
        self._person = self.subjects[0] if len(self.subjects) == 1 else ""
        self._town = next((s for s in self.subjects if s not in reader.people), "")
        keys = [(ask.subject, ask.key) for ask in asks if ask.key]
        for place, sentence in rest:
            self.places[place] = self._sentence(reader.clauses(sentence), keys)

    def _sentence(self, clauses, keys: list[Key]) -> list[Key | None]:
        out: list[Key | None] = []
        last: Key | None = None
        for clause in clauses:
            key = None
            if isinstance(clause, Statement):
                key = self._statement(clause)
                last = key or last
            elif isinstance(clause, Fragment):
                key = self._fragment(clause, keys, last)
            out.append(key)
        return out

    def _statement(self, clause: Statement) -> Key | None:
        known, person = self.reader.people, clause.subject
        if person:
            self.named.add(person)
            if person in known:
                self._person = person
            else:
                self._town = person
        elif clause.pronoun == "it" or clause.attribute in ("landmark", "founded"):
            person = self._town
        else:
            person = self._person
        if not person:
            return None
        key = (person, clause.attribute)
        if clause.pronoun in ("he", "she", "they") and person in known:
            pronoun = self.reader.knowledge.person(person).pronoun
            if pronoun != clause.pronoun:
                self.misnamed.add(key)
        self.values[key].append(clause.value)
        if clause.attribute == "town":
            self._town = clause.value
        return key

    def _fragment(self, clause: Fragment, keys: list[Key], last: Key | None) -> Key | None:
        if last and (value := self.reader.value(last[1].split(" ")[0], clause.value)):
            self.values[last].append(value)  # "in Ladeville or Toloford" says two things
            return last
        open_keys = [k for k in keys if k not in self.lone] + [k for k in keys if k in self.lone]
        for key in open_keys:
            value = self.reader.value(key[1].split(" ")[0], clause.value)
            if value and value != key[0] and key not in self.values:
                self.lone[key].append(value)
                return key
        return None

    def related(self, key: Key) -> bool:
        """Whether a statement is about somebody asked for, or about a town the answer names."""
        entity, attribute = key
        if entity in self.subjects:
            return True
        told = {v for (s, a), vs in self.values.items() if s in self.subjects for v in vs}
        return attribute in ("landmark", "founded") and entity in told

    def is_true(self, key: Key) -> bool:
        """One value is told, it is the true one, and the pronoun is right."""
        values = set(self.values.get(key) or self.lone.get(key, ()))
        try:
            truth = self.reader.knowledge.value(*key)
        except ValueError:
            return False
        return values == {truth} and key not in self.misnamed


def facts(reader: FactReader, task: Task, rest: Rest) -> Found:
    """Asks of the form fact (several) or about (one)."""
    told = Told(reader, task.asks, rest)
    about = task.asks[0] if task.asks[0].form == "about" else None
    asked = [] if about else [(ask.subject, ask.key) for ask in task.asks]
    related = [key for key in told.values if told.related(key)]
    details = [key for key in related if key not in asked]
    false_share = mean([not told.is_true(key) for key in details])
    words = count_words(rest)
    found = Found()
    if about:
        fresh = [k for k in details if k[0] == about.subject and k[1] not in about.answer]
        found.cover = min(len(fresh), about.count) / about.count
        found.right = found.cover * (1 - mean([not told.is_true(key) for key in fresh]))
        found.fit = slope(len(details), about.count + 1, about.count + 4)
        asked = fresh
    else:
        found.cover = mean([1.0 if k in told.values else 0.5 * (k in told.lone) for k in asked])
        found.right = mean([told.is_true(key) for key in asked]) * (1 - false_share / 2)
        found.fit = detail_fit(task.length, len(details))
        limit = 8 * len(asked) + 2 if task.length == "short" else 14 * len(asked) + 16
        found.fit *= slope(words, limit, 2 * limit)
    found.echo = mean([subject in told.named for subject in told.subjects])
    for place, keys in told.places.items():
        if keys and all(k is not None and told.related(k) for k in keys):
            found.on_topic.add(place)
    for values in told.values.values():
        found.extras += len(set(values)) - 1
        found.repeats += len(values) - len(set(values))
    found.extras += sum(len(values) - 1 for values in told.lone.values())
    return found


_SUM = re.compile(
    r"(?:so |and |also )?(\d+) ?(plus|minus|\+|-) ?(\d+) ?(?:is|equals|makes|gives|=) ?(\d+)"
)
_RESULT = re.compile(r"(?:the answer is|it is|that is|that makes|you get|i get) (\d+)")
_SPLIT = re.compile(r",? and |[,;] ?")


def sums(task: Task, rest: Rest) -> Found:
    """Asks of the form sum."""
    found = Found()
    asked = {ask.subject: ask.answer[0] for ask in task.asks}
    told: dict[str, list[str]] = defaultdict(list)
    lone: list[str] = []
    named: set[str] = set()
    details: set[str] = set()
    for place, sentence in rest:
        if sentence.words in sentences.CHECKS:
            details.add(sentence.text)
            found.on_topic.add(place)
            continue
        useful = []
        for part in _SPLIT.split(sentence.text.lower().strip(" .!?")):
            match = _SUM.fullmatch(part.strip())
            if match:
                a, sign, b, c = match.groups()
                name = f"{int(a)} {'plus' if sign in ('plus', '+') else 'minus'} {int(b)}"
                if name in asked:
                    told[name].append(str(int(c)))
                    named.add(name)
                    useful.append(True)
                else:
                    useful.append(_follows(int(a), sign in ("plus", "+"), int(b), int(c), asked))
                    if useful[-1]:
                        details.add(f"{name} is {int(c)}")
                continue
            match = _RESULT.fullmatch(part.strip())
            if match and len(asked) == 1 and not told:
                told[next(iter(asked))].append(str(int(match.group(1))))
                useful.append(True)
            elif part.strip().isdigit() and part.strip().isascii() and not told:
                lone.append(str(int(part)))
                useful.append(True)
            else:
                useful.append(False)
        if useful and all(useful):
            found.on_topic.add(place)
    single = lone if len(asked) == 1 else []
    found.extras += max(0, len(lone) - 1) if single else len(lone)
    shares, right = [], []
    for name, answer in asked.items():
        results = told.get(name) or single
        shares.append(1.0 if name in told else 0.5 * bool(single))
        right.append(set(results) == {answer})
        found.extras += max(0, len(set(told.get(name, ()))) - 1)
        found.repeats += len(told.get(name, ())) - len(set(told.get(name, ())))
    found.cover, found.right = mean(shares), mean(right)
    limit = 6 * len(asked) + 2 if task.length == "short" else 12 * len(asked) + 14
    found.fit = detail_fit(task.length, len(details)) * slope(count_words(rest), limit, 2 * limit)
    found.echo = mean([name in named for name in asked])
    return found


def _follows(a: int, plus: bool, b: int, c: int, asked: dict[str, str]) -> bool:
    """Whether a further sum is true and made of the numbers of an asked one."""
    if c != (a + b if plus else a - b):
        return False
    for name, answer in asked.items():
        x, _, y = name.split(" ")
        if sorted((a, b, c)) == sorted((int(x), int(y), int(answer))):
            return True
    return False
