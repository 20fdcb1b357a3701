"""Figures of alignment: reward models, the rounds, PPO, Ghost Attention, safety, the red team."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from llamalite import figures
from llamalite.ghost_attention.figures import consistency_curves
from llamalite.ppo.figures import goodhart_curves
from llamalite.red_teaming.figures import carry_over, gamma_by_round, weak_cells
from llamalite.rejection_sampling.figures import best_of_n
from llamalite.report.plates import Plate
from llamalite.rlhf.figures import both_axes, dots_of, violations_by_version
from llamalite.rlhf.versions import BASELINE
from llamalite.safety.figures import answer_scores, gain_by_original

JUDGES = ("raters", "reward model", "general reward model")
"""Who compares versions: three raters, the newest reward model, and one apart from the loop."""


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


def ppo(course: Mapping[str, Any]) -> Iterator[Plate]:
    """The figure of what PPO climbed, how far it went, and what that was worth."""
    if course and (course["iterations"] or course["looks"]):
        yield Plate(
            goodhart_curves(course["iterations"], course["looks"], course["kept_iteration"]),
            "The combined score is what PPO is paid by; the truth is for this plot only. A score "
            "that climbs while the truth falls is Goodhart's law at work.",
            f"{course['stage']}/iterations.csv",
        )


def rounds(versions: Mapping[str, Any], after: Mapping[str, Any] | None = None) -> Iterator[Plate]:
    """Figures of SFT, V1 to V5 and the models `after` them on the same prompts."""
    if not versions:
        return
    source = "versions/versions.json"
    everyone = {**versions, **(after or {})}

    def each(pick: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
        return {name: pick(version) for name, version in everyone.items() if pick(version)}

    for judge in JUDGES:
        if dots_of(versions, judge):
            yield Plate(
                both_axes(versions, judge, after),
                f"Figure 11: comparisons with {BASELINE} won, ties as half, 95 % intervals. The "
                "line goes through the versions in their order; diamonds are the models after V5.",
                source,
            )
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
    for risk in dict.fromkeys(risk for version in everyone.values() for risk in cells_of(version)):
        asked = [
            each["n"] for v in everyone.values() for each in cells_of(v).get(risk, {}).values()
        ]
        yield Plate(
            violations_by_version(everyone, risk),
            f"Share of violating replies by attack vector (section 4.2.1); {prompts(asked)} in a "
            "cell. Babble is safe too: read it beside helpfulness.",
            source,
        )
    for axis in ("helpfulness", "safety"):
        wins = {
            judge: each(lambda v, axis=axis, judge=judge: win_rate(v, axis, judge))
            for judge in JUDGES
        }
        if any(wins.values()):
            yield Plate(
                figures.scores_by_kind(
                    wins, f"Win rate over the first version: {axis}", "win rate, ties count half"
                ),
                "Three simulated raters, the newest reward model, and a general one that no "
                "training step listened to (section 3.4.1). Where the newest parts from the "
                "others, it is served and not the reader.",
                source,
            )


def prompts(counts: Sequence[int]) -> str:
    """How many prompts there are, at least and at most, in words."""
    most = f"{max(counts)} prompt{'s' * (max(counts) != 1)}"
    return most if min(counts) == max(counts) else f"{min(counts)} to {most}"


def cells_of(version: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """A version's shares of violations by risk category and attack vector."""
    return version["gold"]["violations"]["by_risk_and_vector"]


def win_rate(version: Mapping[str, Any], axis: str, judge: str) -> dict[str, Any] | None:
    """A version's win rate over the first one as an estimate, ties as half; None without any."""
    found = version.get("wins", {}).get(axis, {}).get(judge)
    return found and {**found["half_ties"], "n": found.get("pairs")}


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
