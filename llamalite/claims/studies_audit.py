"""Claims of section 4.1 about the pretraining data: P10, P11 and P12."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from llamalite.claims.budgets import audited_documents, parallel_sentences
from llamalite.claims.few_shot import (
    SHOTS,
    few_shot_accuracy,
    mean_states,
    statements,
    whitened,
)
from llamalite.claims.known_rates import expected_skew, known_rates
from llamalite.claims.reward_runs import open_world
from llamalite.claims.rules import Above, Below, Greater, Ordered, Rule
from llamalite.claims.studies_pretraining import base_run, load_trained
from llamalite.claims.study import Finished, claim, own_arm, with_settings
from llamalite.evaluation.config import HELD_OUT_FROM
from llamalite.presets import RunPreset

SHARE_ERROR = 0.01
"""Mean error of a share of documents that P10 allows: one percentage point."""
IMBALANCE = 0.03
"""Difference between "he" and "she" that P10 allows where there is none."""
TOXIC_ERROR = 0.005
"""Error of the toxic share that P11 allows: a quarter of the share that is there."""
LANGUAGE_ERROR = 0.01
"""Error of the second language's share of the text that P12 allows."""
DETECTED = 0.8
"""Precision and recall that P11 asks for at least."""


@claim(
    "P10",
    Rule(
        "Encyclopedia, rumours and insults are audited. Shares of documents with a pronoun, a "
        "grammatical person, a town and a craft are known from how the texts are made; the mean "
        f"error of the audited ones is below {SHARE_ERROR:g}. Articles with he are found more "
        "often than those with she, and these than those with they; articles that name the largest "
        "town more often than those that name the smallest. In as many articles about a he as "
        f"about a she, both are found alike, to {IMBALANCE:g}. All must hold.",
        (
            Below("error of the shares", SHARE_ERROR),
            Ordered(tuple(f"articles with {part}" for part in expected_skew())),
            Greater("articles of the largest town", "articles of the smallest town"),
            Below("imbalance found where there is none", IMBALANCE),
        ),
    ),
    arms=own_arm,
    until="world",
)
def skew(finished: Finished) -> dict[str, Any]:
    """Errors of every known share, and what was found in each article."""
    from llamalite.audit.recipe import world_auditor

    world = open_world(finished.arms["own"])
    auditor = world_auditor(world)
    count = audited_documents(finished.preset)
    rates = known_rates(world)
    marks = {
        source: [auditor.read(world.document(source, index).text) for index in range(count)]
        for source in dict.fromkeys(source for source, _, _ in rates)
    }
    errors = []
    for (source, heading, part), known in rates.items():
        found = sum(part in parts_of(each, heading) for each in marks[source]) / count
        errors.append(abs(found - known))
    articles = marks["encyclopedia"]
    homes = Counter(world.knowledge.value(p.name, "town") for p in world.knowledge.people)
    largest, smallest = max(homes, key=homes.__getitem__), min(homes, key=homes.__getitem__)
    return {
        "error of the shares": errors,
        "largest error of a share": max(errors),
        **{
            f"articles with {part}": [part in each.pronouns for each in articles]
            for part in expected_skew()
        },
        **{
            f"articles of the {name} town": [town in parts_of(each, "town") for each in articles]
            for name, town in (("largest", largest), ("smallest", smallest))
        },
        "imbalance found where there is none": imbalance(world, auditor, count),
    }


def parts_of(marks: Any, heading: str) -> tuple[str, ...]:
    """What a document has under a heading of the audit."""
    if heading in ("pronouns", "persons"):
        return getattr(marks, heading)
    return marks.descriptors.get(heading, ())


def imbalance(world: Any, auditor: Any, count: int) -> float:
    """Difference of the shares with he and with she among as many articles about either."""
    pronoun = {person.name: person.pronoun for person in world.knowledge.people}
    found: dict[str, list[Any]] = {"he": [], "she": []}
    for index in range(count):
        text = world.document("encyclopedia", index).text
        # an article's first sentence begins with the name, "Vegun" or "Vegun's"
        about = pronoun.get(text.split()[0].removesuffix("'s"), "")
        if about in found:
            found[about].append(auditor.read(text))
    size = min(map(len, found.values()))
    every = [marks for each in found.values() for marks in each[:size]]
    he, she = (sum(part in marks.pronouns for marks in every) for part in ("he", "she"))
    return abs(he - she) / len(every)


def _toxic_arms(preset: RunPreset) -> dict[str, RunPreset]:
    """The ordinary run of P1 and P2, and the same without its toxic corner."""
    base = base_run(preset)
    mixture = {source: w for source, w in base.pretrain.mixture.items() if source != "toxic"}
    return {"with": base, "without": with_settings(base, pretrain={"mixture": mixture})}


@claim(
    "P11",
    Rule(
        "The corpus of an ordinary run is audited for toxicity by a classifier learned from "
        "another world's labelled lines: the share it finds is off by less than "
        f"{TOXIC_ERROR:g}, and its precision and recall are above {DETECTED:g}. Of two models "
        "trained on as many tokens, the one that read the toxic corner tells toxic statements "
        f"from harmless ones better, where {SHOTS} of each are shown and the words asked about are "
        "others. All must hold.",
        (
            Below("error of the toxic share", TOXIC_ERROR),
            Above("precision", DETECTED),
            Above("recall", DETECTED),
            Greater("few-shot accuracy with", "few-shot accuracy without"),
        ),
    ),
    arms=_toxic_arms,
    until="pretrain",
)
def toxicity(finished: Finished) -> dict[str, Any]:
    """The audit against the truth, and by statement how often each model is right."""
    from llamalite.audit.recipe import world_corpus

    world = open_world(finished.arms["with"])
    corpus = world_corpus(world, 2 * audited_documents(finished.preset))
    read = [(each.toxic, corpus.auditor.read(each.text).toxic) for each in corpus.documents]
    found: dict[str, Any] = {
        "toxic share": sum(bool(truth) for truth, _ in read) / len(read),
        "toxic share found": sum(flagged for _, flagged in read) / len(read),
        "precision": [float(bool(truth)) for truth, flagged in read if flagged] or [0.0],
        "recall": [float(flagged) for truth, flagged in read if truth],
    }
    found["error of the toxic share"] = abs(found["toxic share found"] - found["toxic share"])
    made = statements([town.name for town in world.knowledge.towns], finished.seed)
    for arm, stages in finished.arms.items():
        _, model, tokenizer = load_trained(stages, "pretrain")
        states = mean_states(model, tokenizer, [each.text for each in made])
        found[f"few-shot accuracy {arm}"] = few_shot_accuracy(whitened(states), made)
    return found


MOSTLY, HALF = "mostly English", "half Lumo"


def _language_arms(preset: RunPreset) -> dict[str, RunPreset]:
    """The ordinary run of P1 and P2, and one that reads as much Lumo as everything else."""
    base = base_run(preset)
    mixture = dict(base.pretrain.mixture)
    mixture["lumo"] = sum(weight for source, weight in mixture.items() if source != "lumo")
    return {MOSTLY: base, HALF: with_settings(base, pretrain={"mixture": mixture})}


@claim(
    "P12",
    Rule(
        "The corpus of an ordinary run is audited for languages by a classifier learned from "
        "another world's lines: more than 0.9 of its text is English, and the share of the second "
        f"language is off by less than {LANGUAGE_ERROR:g} from a count of its words. Beside a "
        "model that read as many tokens, half of them of the second language's source, the model "
        "of this corpus needs more nats for unseen sentences of the second language, and fewer "
        "for unseen documents of the other sources, all of them English. All must hold.",
        (
            Above("English share of the text", 0.9),
            Below("error of the Lumo share", LANGUAGE_ERROR),
            Greater(f"nats in Lumo, {MOSTLY}", f"nats in Lumo, {HALF}"),
            Greater(f"nats in English, {HALF}", f"nats in English, {MOSTLY}"),
        ),
    ),
    arms=_language_arms,
    until="pretrain",
)
def languages(finished: Finished) -> dict[str, Any]:
    """The language audit against a count of words, and what each model makes of both languages.

    Nats of a Lumo sentence, and of a token of an English document. The sentences' English, which
    no rule asks about, stands beside them: sentences of this kind are as rare in English.
    """
    from llamalite.audit.recipe import ENGLISH, LUMO, world_corpus
    from llamalite.audit.tally import audited
    from llamalite.evaluation.perplexity import document_nats

    world = open_world(finished.arms[MOSTLY])
    corpus = world_corpus(world, audited_documents(finished.preset))
    texts = [read.text for read in corpus.documents]
    share = audited(texts, corpus.auditor).result()["languages"]["text"]
    known = lumo_share(texts)
    found: dict[str, Any] = {
        "English share of the text": share[ENGLISH],
        "Lumo share of the text": share[LUMO],
        "Lumo share by its words": known,
        "error of the Lumo share": abs(share[LUMO] - known),
    }
    pairs = sentence_pairs(world, parallel_sentences(finished.preset), finished.seed)
    weights = {source: weight for source, weight in world.mixture.items() if source != "lumo"}
    count = parallel_sentences(finished.preset) // 2
    english = [
        world.document(source, HELD_OUT_FROM + index).text
        for source, weight in weights.items()
        for index in range(round(count * weight / sum(weights.values())))
    ]
    for arm, stages in finished.arms.items():
        _, model, tokenizer = load_trained(stages, "pretrain")
        nats, sizes = document_nats(model, tokenizer, english)
        found[f"nats in English, {arm}"] = nats / sizes
        for name, sentences in zip(
            ("same sentences in English", "Lumo"), zip(*pairs, strict=True), strict=True
        ):
            language = name.split()[-1]
            found[f"nats in {name}, {arm}"] = sentence_nats(
                model, tokenizer, f"{language}:", sentences
            )
    return found


def lumo_share(texts: list[str]) -> float:
    """Share of the letters that belong to words of the second language's dictionary.

    Names, the same in both languages, count as English; a word of both, such as "no", too.
    """
    from llamalite.audit.words import tokens
    from llamalite.world import lumo

    own = {*lumo.DICTIONARY.values(), *(f"{noun}s" for noun in lumo.NOUNS.values())}
    own -= {word for phrase in lumo.DICTIONARY for word in phrase.split()}
    every = [word for text in texts for word in tokens(text)]
    return sum(len(word) for word in every if word in own) / sum(map(len, every))


def sentence_pairs(world: Any, count: int, seed: int) -> list[tuple[str, str]]:
    """Sentences of the test split and their translations, all different."""
    from llamalite.world import lumo
    from llamalite.world.sources_more import lumo_sentence

    rng, made = Random(seed), dict[str, str]()
    while len(made) < count:
        english = lumo_sentence(world.knowledge, rng, "test")
        made[english] = lumo.to_lumo(english)
    return list(made.items())


def sentence_nats(model: Any, tokenizer: Any, before: str, texts: Sequence[str]) -> list[float]:
    """Surprise at each sentence after the word that announces its language, as in the corpus."""
    from llamalite.evaluation.scoring import token_logprobs

    start = len(tokenizer.encode(before, bos=True))
    rows = [tokenizer.encode(f"{before} {text}", bos=True) for text in texts]
    assert all(row[:start] == tokenizer.encode(before, bos=True) for row in rows)
    found = token_logprobs(model, rows, [start] * len(rows))
    return [-float(logprobs.sum()) for logprobs in found]
