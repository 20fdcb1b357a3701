"""The report as one HTML file: figures inside, styles inside, no script, nothing to fetch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llamalite import figures
from llamalite.drawing import Drawing
from llamalite.ghost_attention.figures import consistency_curves
from llamalite.red_teaming.figures import carry_over, gamma_by_round, weak_cells
from llamalite.rejection_sampling.figures import best_of_n
from llamalite.report import words
from llamalite.safety.figures import answer_scores, gain_by_original
from llamalite.terminal import clock, gigabytes

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Plate(NamedTuple):
    """A figure on the page."""

    drawing: Drawing
    caption: str
    source: str
    """The file its numbers come from, relative to the run folder."""


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
        result=words.result(data["gain"]),
        learned=list(learned(data)),
        tuned=list(tuned(data)),
        round_plates=[*judges(data["judges"]), *rounds(data["rounds"])],
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
    """The numbers a person asks for first, base model against chat model."""
    base, chat = data["base"], data["chat"]
    if base:
        facts = base["base"]["exams"].get("facts")
        if facts:
            yield _card("facts recalled", "by the base model", facts["greedy"], None, True)
    if not chat:
        return
    before, after = chat["base"], chat["chat"]

    def rows(*path: str) -> tuple[Any, Any]:
        return _at(after, *path), _at(before, *path)

    yield _card(
        "helpfulness",
        "gold, of ordinary replies (SFT model)",
        *rows("helpfulness", "all"),
        True,
    )
    yield _card(
        "unsafe replies",
        "to adversarial prompts (SFT model)",
        *rows("violations", "all"),
        False,
    )
    yield _card(
        "false refusals",
        "of borderline prompts (SFT model)",
        *rows("false_refusals", "borderline"),
        False,
    )


def learned(data: Mapping[str, Any]) -> Iterator[Plate]:
    """Figures of pretraining and the base model."""
    training = data["training"].get("pretrain")
    if training and any("loss" in row for row in training["rows"]):
        yield Plate(
            figures.loss_curves(training["rows"], "Pretraining loss"),
            "Mean loss per logged stretch; below, the learning rate. "
            "An untrained model starts near the logarithm of the vocabulary's size.",
            "pretrain/metrics.csv",
        )
    if training and training["tokens_by_source"]:
        yield Plate(
            figures.tokens_by_source(training["tokens_by_source"]),
            "Sources are drawn by weight, some more often than they are long.",
            "pretrain/manifest.json",
        )
    if not data["base"]:
        return
    exams = data["base"]["base"]["exams"]
    yield Plate(
        figures.exam_scores(exams),
        "Greedy completion, and the likeliest of the choices; lines are 95 % bootstrap intervals "
        "over questions. Combinations asked here were never asked in training.",
        "evaluate/base.json",
    )
    shares = {
        name: result["exams"]["rumours"]["shares"]
        for name, result in data["base"].items()
        if "shares" in result["exams"].get("rumours", {})
    }
    if shares:
        yield Plate(
            figures.rumour_shares(shares),
            "The encyclopedia tells the truth, the rumours repeat a falsehood; who is believed "
            "after pretraining, and after tuning?",
            "evaluate/base.json",
        )
    perplexity = {name: result["perplexity"] for name, result in data["base"].items()}
    yield Plate(
        figures.perplexity_by_source(perplexity),
        "Documents no training step has read. Tuning on dialogues costs some fluency elsewhere.",
        "evaluate/base.json",
    )


def prose(found: Mapping[str, Any]) -> Iterator[Plate]:
    """The figure of models of real text beside n-grams."""
    if found:
        yield Plate(
            figures.perplexity_by_source(found["models"]),
            "The same held-out documents for all, the same bytes. N-grams counted all that the "
            "base model learned from, once; lines are 95 % bootstrap intervals over documents.",
            "prose/prose.json",
        )


def judges(found: Mapping[str, Any]) -> Iterator[Plate]:
    """Figures of the newest reward models, and of what they chose by."""
    if not found:
        return
    number, newest = list(found.items())[-1]
    accuracy = {
        name: {rating: each for rating, each in by_rating.items() if each["n"]}
        for name, by_rating in newest["accuracy"].items()
    }
    if any(accuracy.values()):
        yield Plate(
            figures.scores_by_kind(
                accuracy, "Reward models, by rating", "agrees with the annotator"
            ),
            "Comparisons kept from training, each model on its own kind (table 8). Where "
            "annotators were unsure there is little to agree with.",
            f"reward_{number}/test.json",
        )
    drawn = next((each for each, round_ in found.items() if round_["curves"]), None)
    if drawn is not None:
        yield Plate(
            best_of_n(found[drawn]["curves"]),
            f"Round {drawn}: what more replies are worth to the reward models (figure 7).",
            f"rejection_sampling_{drawn}/curves.json",
        )


def instructions(data: Mapping[str, Any]) -> Iterator[Plate]:
    """Figures of Ghost Attention and of context distillation."""
    if data["instructions"]:
        yield Plate(
            consistency_curves(data["instructions"]),
            "An instruction given once, at the top: do replies keep to it (table 30)?",
            "ghost_attention/consistency.json",
        )
    if data["distillation"]:
        yield Plate(
            answer_scores(data["distillation"]),
            "Figure 16a, with a second original as the control.",
            "safety/distillation.json",
        )
        yield Plate(
            gain_by_original(data["distillation"]),
            "Figure 16b. What a second original shows too is regression to the mean.",
            "safety/distillation.json",
        )


def rounds(versions: Mapping[str, Any]) -> Iterator[Plate]:
    """Figures of SFT and V1 to V5 on the same prompts."""
    if not versions:
        return
    source = "versions/versions.json"

    def each(pick: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
        return {name: pick(version) for name, version in versions.items() if pick(version)}

    yield Plate(
        figures.scores_by_kind(
            {"all ordinary prompts": each(lambda v: v["gold"]["helpfulness"].get("all"))},
            "Helpfulness, version by version",
            "gold helpfulness, 0 to 1",
        ),
        "Every version answers the same test prompts; the truth grades, which no reward model saw.",
        source,
    )
    yield Plate(
        figures.scores_by_kind(
            {
                "unsafe replies": each(lambda v: v["gold"]["violations"].get("all")),
                "borderline refused": each(lambda v: v["gold"]["false_refusals"].get("borderline")),
            },
            "Unsafe replies and false refusals",
            "share of replies",
        ),
        "Less is better in both: who refuses everything is safe and of no use (section 4.2.3).",
        source,
    )
    for axis in ("helpfulness", "safety"):
        wins = {
            judge: each(lambda v, axis=axis, judge=judge: _win_rate(v, axis, judge))
            for judge in ("raters", "reward model", "general reward model")
        }
        if any(wins.values()):
            yield Plate(
                figures.scores_by_kind(
                    wins, f"Win rate over the first version: {axis}", "win rate, ties count half"
                ),
                "Three simulated raters, the newest reward model, and a general one that no "
                "training step listened to (figure 11, section 3.4.1). Where the newest parts from "
                "the others, it is served and not the reader.",
                source,
            )


def red_team(campaign: Mapping[str, Any]) -> Iterator[Plate]:
    """Figures of the attacks on all models."""
    if not campaign:
        return
    source = "red_team/red_team.json"
    last = campaign["rounds"][-1]["candidate"]
    yield Plate(
        gamma_by_round(campaign),
        "Prompts that drew a violation, per attacker and hour of simulated work: only the ratios "
        "mean anything. The same team attacks every model and goes on from what it has learned. "
        + _memory(campaign),
        source,
    )
    if any(each["carry_over"] for each in campaign["rounds"]):
        yield Plate(
            carry_over(campaign),
            "Old successes against the next model; beside it the same model asked again, for where "
            "replies are sampled some successes fail by chance.",
            source,
        )
    for name in (campaign["rounds"][0]["candidate"], last):
        yield Plate(
            weak_cells(campaign, name),
            "Violations of attempts. The team tries most where it succeeds most.",
            source,
        )


def _memory(campaign: Mapping[str, Any]) -> str:
    """How much of the last round may be memory; nothing of campaigns that did not measure it."""
    last = campaign["rounds"][-1]
    if "tuned_on" not in last:
        return ""
    return (
        f"Of the {last['attempts']} attempts against the last model {last['tuned_on']} ask prompts "
        "that it was tuned on, where a fall may be memory; fresh prompts, which no stage learns "
        "from, are free of that."
    )


def _win_rate(version: Mapping[str, Any], axis: str, judge: str) -> Any:
    found = version.get("wins", {}).get(axis, {}).get(judge)
    return found and found["half_ties"]


def tuned(data: Mapping[str, Any]) -> Iterator[Plate]:
    """Figures of fine-tuning and of the replies it leads to."""
    training = data["training"].get("sft")
    if training and any("loss" in row for row in training["rows"]):
        yield Plate(
            figures.loss_curves(training["rows"], "Fine-tuning loss"),
            "Loss on the answers alone; prompts are masked.",
            "sft/metrics.csv",
        )
    models = data["chat"]
    if not models:
        return

    def each(pick: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
        return {name: pick(result) for name, result in models.items()}

    source = "evaluate/chat.json"
    yield Plate(
        figures.scores_by_kind(
            each(lambda m: _without_all(m["helpfulness"])),
            "Helpfulness by kind of prompt",
            "gold helpfulness, 0 to 1",
        ),
        "Graded against the truth of the world. The base model is asked in plain lines, "
        "the chat model in its own format.",
        source,
    )
    yield Plate(
        figures.grade_distribution(
            each(lambda m: m["likert"]), "Helpfulness on the 7-point scale", "worst", "best"
        ),
        "Replies to ordinary prompts. Section 3.4.2 of the paper uses the same scale.",
        source,
    )
    yield Plate(
        figures.grade_distribution(
            each(lambda m: m["safety_grades"]), "Safety on the 5-point scale", "severe", "safe"
        ),
        "Replies to adversarial prompts; grades 1 and 2 are violations (section 4.4).",
        source,
    )
    for name, result in models.items():
        if result["violations"]["by_risk_and_vector"]:
            yield Plate(
                figures.violation_map(
                    result["violations"]["by_risk_and_vector"], f"Unsafe replies, {name} model"
                ),
                "Share of violating replies by risk category and attack vector (section 4.2.1). "
                "Babble is safe too: read it beside helpfulness.",
                source,
            )
    yield Plate(
        figures.scores_by_kind(
            each(lambda m: m["false_refusals"]),
            "False refusals",
            "share of harmless prompts refused",
        ),
        "Borderline prompts sound dangerous and are not (section 4.2.3).",
        source,
    )
    yield Plate(
        figures.scores_by_kind(
            each(lambda m: {"stops by itself": m["finished"]}),
            "Replies that come to an end",
            "share that ended within the limit",
        ),
        "Tuning teaches the model to stop.",
        source,
    )


def group_samples(samples: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Sample dialogues by kind, in their order."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for sample in samples:
        groups.setdefault(sample["kind"], []).append(sample)
    return groups


def _card(label: str, note: str, after: Any, before: Any, up: bool) -> dict[str, Any]:
    """One headline number; `up` says whether more is better."""
    return {"label": label, "note": note, "value": after, "before": before, "up": up}


def _at(tree: Mapping[str, Any], *path: str) -> Any:
    value: Any = tree
    for key in path:
        value = value[key]
    return value


def _without_all(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: score for kind, score in scores.items() if kind != "all"}
