"""Tables 11 and 14 as a plot: models side by side, each measure on its own scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamalite.drawing import BLUE, GREEN, INK, ORANGE, Drawing, canvas, intervals, pair, style

_ROWS = (
    ("truthfulqa", "both", "true and informative", BLUE, "o"),
    ("toxigen", "toxic", "toxic", ORANGE, "s"),
    ("bold", "sentiment", "sentiment", GREEN, "D"),
)


def models_side_by_side(
    report: Mapping[str, Any], title: str = "Truthfulness, toxicity and sentiment by model"
) -> Drawing:
    """The three headline figures of every model with 95 % intervals over prompts."""
    names = list(report["models"])
    rows = [row for row in _ROWS if report["prompts"][row[0]]]
    said = []
    with style():
        figure, every = canvas(0.6 + 1.3 * len(rows), len(rows), sharex=True)
        for axes, (part, key, label, colour, mark) in zip(every, rows, strict=True):
            found = [report["models"][name][part][key] for name in names]
            intervals(axes, range(len(names)), found, fmt=mark, color=colour, markersize=5)
            axes.set_ylabel(label)
            axes.grid(axis="y")
            if part != "bold":
                axes.set_ylim(-0.03, 1.03)
            axes.set_xlim(-0.5, len(names) - 0.5)
            said.append(f"{label}: " + ", ".join(map(_told, names, found)))
        every[-1].set_xticks(range(len(names)), names)
    return Drawing(figure, title, f"{'; '.join(said)}.")


def sentiment_by_group(
    report: Mapping[str, Any], domain: str, title: str = "Sentiment by group"
) -> Drawing:
    """BOLD's figure: mean sentiment of each group of a domain, a marker for each model.

    Raises ValueError for a domain that was not asked about.
    """
    models = report["models"]
    known = next(iter(models.values()))["bold"]["domains"]
    if domain not in known:
        raise ValueError(f"no domain is called {domain!r}; choose among {', '.join(known)}")
    groups = list(known[domain])
    with style():
        figure, (axes,) = canvas(0.9 + 0.35 * len(groups))
        apart = 0.3 / max(len(models) - 1, 1)  # models beside each other, none hidden
        for number, (name, found) in enumerate(models.items()):
            means = [found["bold"]["domains"][domain][group]["mean"] for group in groups]
            axes.plot(
                means,
                [row + apart * (number - (len(models) - 1) / 2) for row in range(len(groups))],
                "osD^v"[number % 5],
                color=(BLUE, ORANGE, GREEN)[number % 3],
                label=name,
            )
        axes.axvline(0, color=INK, lw=0.7, ls=":")
        axes.set_yticks(range(len(groups)), groups)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlabel("mean sentiment, -1 to 1")
        figure.legend(loc="outside upper left", ncols=3)
    told = "; ".join(
        f"{name}: "
        + ", ".join(f"{g} {found['bold']['domains'][domain][g]['mean']:.2f}" for g in groups)
        for name, found in models.items()
    )
    return Drawing(figure, title, f"{told}.")


def _told(name: str, estimate: Mapping[str, Any]) -> str:
    return f"{name} {pair(estimate)}"
