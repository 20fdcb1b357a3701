"""The plots of an audit, from audit.json. Llama 2, section 4.1, tables 9 and 10, figure 13."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from matplotlib.ticker import NullFormatter

from llamalite.drawing import BLUE, ORANGE, Drawing, canvas, style

SHOWN = 5
"""Descriptors of an axis that are drawn, as in table 9b."""


def _bars(
    shares: Mapping[str, float],
    title: str,
    label: str,
    *,
    headings: Collection[str] = (),
    log: bool = False,
) -> Drawing:
    """Horizontal bars with their percentages, the first on top; headings in a colour of theirs."""
    names = list(shares) or ["none found"]
    values = list(shares.values()) or [0.0]
    with style():
        figure, (axes,) = canvas(0.8 + 0.24 * len(names))
        colours = [ORANGE if name in headings else BLUE for name in names]
        bars = axes.barh(range(len(names)), values, color=colours, height=0.66)
        axes.bar_label(bars, [f"{value:.2%}" for value in values], fontsize=8, padding=2)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        if log:
            axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(label)
        axes.margins(x=0.18)
    said = ", ".join(f"{name} {value:.1%}" for name, value in zip(names, values, strict=True))
    return Drawing(figure, title, f"{title}: {said}.")


def skew(result: Mapping[str, Any], title: str = "Pronouns and grammatical persons") -> Drawing:
    """Shares of table 9a: of documents with a pronoun, of documents with a person."""
    parts = {
        f"{name} ({heading})": share
        for heading, found in (("pronoun", result["pronouns"]), ("person", result["persons"]))
        for name, share in found["of_them"].items()
    }
    return _bars(parts, title, "share of the documents that have any")


def demographics(result: Mapping[str, Any], title: str = "Who is spoken of") -> Drawing:
    """Shares of table 9b: each axis of all documents, and its first descriptors."""
    shares: dict[str, float] = {}
    headings = [axis.upper() for axis in result["demographics"]]
    for axis, found in result["demographics"].items():
        shares[axis.upper()] = found["documents"]
        for name, share in list(found["of_them"].items())[:SHOWN]:
            shares[f"{name} ({axis})"] = share
    return _bars(shares, title, "of all documents; below, of these", headings=headings)


def toxicity(result: Mapping[str, Any], title: str = "Toxicity of documents") -> Drawing:
    """Figure 13: documents by score, on a logarithmic scale, for nearly all are at 0."""
    counts = result["toxicity"]["histogram"]
    with style():
        figure, (axes,) = canvas(2.4)
        steps = len(counts)
        colours = [ORANGE if 2 * i >= steps else BLUE for i in range(steps)]
        axes.bar([(i + 0.5) / steps for i in range(steps)], counts, 0.9 / steps, color=colours)
        axes.set_yscale("symlog", linthresh=1)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("score of a document (mean of its lines)")
        axes.set_ylabel("documents")
    share = result["toxicity"]["share"]
    return Drawing(figure, title, f"{share:.2%} of the documents score 0.5 or more.")


def languages(result: Mapping[str, Any], title: str = "Languages") -> Drawing:
    """Table 10: documents by language, on a logarithmic scale."""
    found = {n: share for n, share in result["languages"]["documents"].items() if share > 0}
    return _bars(dict(list(found.items())[:20]), title, "share of documents", log=True)
