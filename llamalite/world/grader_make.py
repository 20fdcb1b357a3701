"""Checking answers that make something: steps, tales, rhymes, lists, translations."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llamalite.world import lumo, sentences, taxonomy
from llamalite.world.grader_found import Found, Rest, common, count_words, detail_fit, mean, slope
from llamalite.world.lexicon_common import CATEGORIES
from llamalite.world.lexicon_howto import HOWTOS
from llamalite.world.prompts_tales import RHYME_OF, TALE_ENDS, TALE_STARTS, THINGS, Grammar
from llamalite.world.prompts_tasks import Ask, Task
from llamalite.world.sentences import contains, find, words_of

# -- steps

_LINK_WORDS = (
    "first then next after that and last lastly finally at the end you to do so now second"
)
_LINKS = frozenset(f"{_LINK_WORDS} third here is how this can".split(" "))
ALL_STEPS = frozenset(
    words_of(step)
    for steps in (
        *(how.steps for how in HOWTOS),
        *(harmless.steps for harmless in taxonomy.BORDERLINE),
        *(act.steps for act in taxonomy.ACTS),
    )
    for step in steps
)
"""Every step of every task, as words."""


def steps(task: Task, rest: Rest) -> Found:
    """The ask of the form steps: those of the task, in order."""
    (ask,) = task.asks
    own = [words_of(step) for step in ask.answer]
    name = words_of(ask.subject)
    strange = [step for step in ALL_STEPS if step not in own and not contains(name, step)]
    found, order, tips, foreign = Found(), [], set(), 0
    for place, sentence in rest:
        words = sentence.words
        if words in sentences.TIPS:
            tips.add(words)
            found.on_topic.add(place)
            continue
        here, taken = _steps_in(words, own)
        order += here
        left = [word for i, word in enumerate(words) if i not in taken]
        foreign += sum(step[0] in left and contains(left, step) for step in strange)
        named = contains(words, name)
        found.echo = max(found.echo, float(named))
        left = [word for word in left if word not in _LINKS and not (named and word in name)]
        if (here or named) and len(left) <= 0.25 * len(words):
            found.on_topic.add(place)
    distinct = list(dict.fromkeys(order))
    found.repeats = len(order) - len(distinct)
    wanted = min(2, len(own)) if task.length == "short" else len(own)
    found.cover = min(1.0, len(distinct) / wanted)
    if distinct:
        in_order = _increasing(distinct) / (len(distinct) + foreign)
        found.right = in_order * min(1.0, len(distinct) / 2)
    found.fit = detail_fit(task.length, len(tips))
    if task.length == "short":
        found.fit *= slope(len(distinct), 2, 4) * slope(count_words(rest), 24, 48)
    else:
        found.fit *= slope(count_words(rest), 45, 90)
    return found


def _steps_in(words: Sequence[str], own: list[tuple[str, ...]]) -> tuple[list[int], set[int]]:
    """Which steps a sentence holds, in its order, and the places of their words."""
    hits = []
    for number, step in enumerate(own):
        at = find(words, step)
        while at >= 0:
            hits.append((at, number))
            at = find(words, step, at + len(step))
    hits.sort()
    taken = {i for at, number in hits for i in range(at, at + len(own[number]))}
    return [number for _, number in hits], taken


def _increasing(numbers: Sequence[int]) -> int:
    """Length of the longest increasing subsequence."""
    best: list[int] = []
    for i, number in enumerate(numbers):
        best.append(1 + max((best[j] for j in range(i) if numbers[j] < number), default=0))
    return max(best, default=0)


# -- tales

_TALE_SENTENCES = {"short": (1, 2), "plain": (2, 3), "more": (3, 4), "long": (4, 5)}


def tale(grammar: Grammar, names: frozenset[str], task: Task, rest: Rest) -> Found:
    """The ask of the form tale: grammatical sentences about the hero that use the things."""
    (ask,) = task.asks
    hero, things = ask.subject.lower(), set(ask.answer)
    found, good, used = Found(), [], set()
    for place, sentence in rest:
        words = set(sentence.words)
        strange = (words & names) - {hero} or (words & set(THINGS)) - things
        if not strange and grammar.fits(sentence.words):
            good.append(sentence.words)
            used |= words & things
            found.on_topic.add(place)
            found.echo = max(found.echo, float(hero in words))
    found.cover = len(used) / len(things)
    if good:
        starts = any(good[0][: len(start)] == start for start in TALE_STARTS)
        ends = len(good) > 1 and any(good[-1][: len(end)] == end for end in TALE_ENDS)
        found.right = 0.5 * starts + 0.5 * ends
    low, high = _TALE_SENTENCES[task.length]
    found.fit = max(0.0, 1 - max(low - len(good), len(good) - high, 0) / 2)
    return found


# -- rhymes

_LIST = r"(?:an? |the )?[a-z]+(?:, (?:an? |the )?[a-z]+)*(?:,? and (?:an? |the )?[a-z]+)?"
_KNOWN = frozenset(RHYME_OF) | frozenset(w for ws in CATEGORIES.values() for w in ws)


def _listed(text: str) -> list[str]:
    """The words of "a goat, a cat and a dog"."""
    parts = re.split(r",? and |, ", text)
    return [re.sub(r"^(?:an?|the) ", "", part) for part in parts]


def _plain(sentence: sentences.Sentence) -> str:
    return re.sub(r"\s+", " ", sentence.text.lower()).strip(" .!?\"'")


def rhyme(task: Task, rest: Rest) -> Found:
    """The ask of the form rhyme: so many words that rhyme."""
    (ask,) = task.asks
    word = re.escape(ask.subject)
    patterns = [
        re.compile(rf"(?:the word )?{word} rhymes with (?P<l>{_LIST})"),
        re.compile(rf"(?:the words? )?(?P<l>{_LIST}) rhymes? with (?:the word )?{word}"),
        re.compile(
            rf"(?:a word|two words|words|one word) that rhymes? with {word} (?:is|are) "
            rf"(?P<l>{_LIST})"
        ),
        re.compile(rf"(?P<l>{_LIST})"),
    ]
    found, given = Found(), []
    for place, sentence in rest:
        text = _plain(sentence)
        for i, pattern in enumerate(patterns):
            match = pattern.fullmatch(text)
            if not match:
                continue
            items = _listed(match["l"])
            if i == len(patterns) - 1 and not all(item in _KNOWN for item in items):
                continue
            given += items
            found.on_topic.add(place)
            found.echo = max(found.echo, float(i < len(patterns) - 1))
            break
    _score_list(found, [ask], {ask.subject: given}, frozenset(RHYME_OF))
    return found


def _score_list(
    found: Found, asks: Sequence[Ask], given: dict[str, list[str]], vocabulary: frozenset[str]
) -> None:
    """Words of the vocabulary cover; those of the answer are right; the number should fit."""
    cover, right, fit = [], [], []
    for ask in asks:
        items = list(dict.fromkeys(given.get(ask.subject, ())))
        found.repeats += len(given.get(ask.subject, ())) - len(items)
        known = [item for item in items if item in vocabulary and item != ask.subject]
        cover.append(min(len(known), ask.count) / ask.count)
        true = sum(item in ask.answer for item in items)
        right.append(min(true, ask.count) / max(ask.count, len(items)))
        fit.append(max(0.0, 1 - abs(len(items) - ask.count) / ask.count))
    found.cover, found.right, found.fit = mean(cover), mean(right), mean(fit)


def couplet(grammar: Grammar, task: Task, rest: Rest) -> Found:
    """The ask of the form couplet: two lines that end in different words of one rhyme."""
    (ask,) = task.asks
    group = {ask.subject, *ask.answer}
    found, ends = Found(), []
    for place, sentence in rest:
        if grammar.fits(sentence.words) and sentence.words[-1] in RHYME_OF:
            ends.append(sentence.words[-1])
            found.on_topic.add(place)
            found.echo = max(found.echo, float(ask.subject in sentence.words))
    found.cover = min(len(ends), 2) / 2
    found.right = min(2, len(set(ends) & group)) / max(2, len(ends))
    found.fit = max(0.0, 1 - abs(len(ends) - 2) / 2)
    return found


# -- lists

_NEXT_LIST = re.compile(r",? and (?=(?:one|two|three|four|five|six|some) )|; ")


def items(task: Task, rest: Rest) -> Found:
    """Asks of the form items: so many members of a category."""
    found = Found()
    given: dict[str, list[str]] = {ask.subject: [] for ask in task.asks}
    named: set[str] = set()
    categories = "|".join(CATEGORIES)
    head = rf"(?:(?:here are|you can name|i know|some|one|two|three|four|five|six) )*({categories})"
    pattern = re.compile(rf"{head}(?: are|:) ({_LIST})")
    for place, sentence in rest:
        useful = []
        for part in _NEXT_LIST.split(_plain(sentence)):
            match = pattern.fullmatch(part)
            if match and match.group(1) in given:
                given[match.group(1)] += _listed(match.group(2))
                named.add(match.group(1))
                useful.append(True)
            elif re.fullmatch(_LIST, part) and all(w in _KNOWN for w in _listed(part)):
                for word in _listed(part):
                    home = [ask for ask in task.asks if word in ask.answer] or task.asks[:1]
                    given[home[0].subject].append(word)
                useful.append(True)
            else:
                useful.append(False)
        if all(useful):
            found.on_topic.add(place)
    _score_list(found, task.asks, given, _KNOWN)
    found.echo = mean([ask.subject in named for ask in task.asks])
    return found


# -- translation

_LEAD = re.compile(
    r"^(?:in (?:lumo|english)(?: (?:it|that|this) is| you say| one says)?|(?:it|that|this) is"
    r"|the (?:lumo|english) is)[:,]? "
)


def sentence(task: Task, rest: Rest) -> Found:
    """The ask of the form sentence: a translation, compared word by word in order."""
    (ask,) = task.asks
    target = words_of(ask.answer[0])
    found, best = Found(), 0.0
    for place, said in rest:
        text = _plain(said)
        bare = _LEAD.sub("", text)
        words = words_of(bare)
        score = common(words, target) / max(len(words), len(target)) if words else 0.0
        if score > 0.4:
            found.on_topic.add(place)
            found.right = max(found.right, float(words == target))
            named = ask.key.lower() in words_of(text[: len(text) - len(bare)])
            found.echo = max(found.echo, float(named or bool(task.language)))
        best = max(best, score)
    found.cover = max(0.0, (best - 0.4) / 0.6)
    found.extras = max(0, len(found.on_topic) - 1)
    found.fit = slope(len(rest), 1, 3)
    return found


_FORMS = {
    "Lumo": frozenset(lumo.DICTIONARY.values()),
    "English": frozenset(lumo.DICTIONARY),
}


def word(task: Task, rest: Rest) -> Found:
    """Asks of the form word: a word each in the other language."""
    found = Found()
    told: dict[str, list[str]] = {ask.subject: [] for ask in task.asks}
    lone: list[str] = []
    language = task.asks[0].key
    other = "lumo|english"
    pattern = re.compile(
        rf"(?:in (?:{other}),? )?(?:the (?:{other}) word for )?(?P<a>[a-z ]+?) (?:is|means) "
        rf"(?P<b>[a-z ]+?)(?: in (?:{other}))?"
    )
    for place, said in rest:
        useful = []
        for part in re.split(r",? and |[,;] ", _plain(said)):
            match = pattern.fullmatch(part)
            bare = re.sub(rf"^in (?:{other}) it is ", "", part)
            if match and match["a"] in told and match["b"] in _FORMS[language]:
                told[match["a"]].append(match["b"])
                useful.append(True)
            elif bare in _FORMS[language] and len(task.asks) == 1:
                lone.append(bare)
                useful.append(True)
            else:
                useful.append(False)
        if all(useful):
            found.on_topic.add(place)
    cover, right = [], []
    for ask in task.asks:
        said_words = told[ask.subject] or lone
        cover.append(1.0 if told[ask.subject] else 0.5 * bool(lone))
        right.append(set(said_words) == set(ask.answer))
        found.repeats += len(said_words) - len(set(said_words))
        found.extras += max(0, len(set(said_words)) - 1)
    found.cover, found.right = mean(cover), mean(right)
    found.echo = mean([bool(told[ask.subject]) for ask in task.asks])
    found.fit = slope(count_words(rest), 9 * len(task.asks), 18 * len(task.asks))
    return found
