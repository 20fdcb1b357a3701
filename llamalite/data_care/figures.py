"""What the cleaning took out of each source, as a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamalite.drawing import INK, RAMP, Drawing, canvas, style

_HATCHES = ("", "//", "..", "\\\\", "xx", "--", "oo")


def cleaning(result: Mapping[str, Any]) -> Drawing:
    """Share of each source's documents that stays, and that each stage takes out.

    `result` is what clean.json holds.
    """
    sources = [row["source"] for row in result["epochs"]]
    removed: dict[str, list[float]] = {stage: [] for stage in result["order"]}
    kept = []
    for source in sources:
        rows = [row for row in result["stages"] if row["source"] == source]
        read = rows[0]["before"]["documents"]
        for row in rows:
            gone = row["before"]["documents"] - row["after"]["documents"]
            removed[row["stage"]].append(gone / read)
        kept.append(rows[-1]["after"]["documents"] / read)
    shares = {"stays": kept, **{stage: each for stage, each in removed.items() if any(each)}}
    with style():
        figure, (axes,) = canvas(1.2 + 0.24 * len(sources))
        left = [0.0] * len(sources)
        for (name, share), colour, hatch in zip(
            shares.items(), (RAMP[6], *RAMP[:6]), _HATCHES, strict=False
        ):
            axes.barh(
                sources,
                share,
                left=left,
                color=colour,
                hatch=hatch,
                edgecolor=INK,
                lw=0.4,
                label=name,
            )
            left = [a + b for a, b in zip(left, share, strict=True)]
        axes.invert_yaxis()
        axes.set(xlim=(0, 1), xlabel="share of the documents read")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, borderpad=0.2)
    told = "; ".join(
        f"{source}: " + ", ".join(f"{name} {share[at]:.0%}" for name, share in shares.items())
        for at, source in enumerate(sources)
    )
    return Drawing(figure, "What each stage of the cleaning takes out.", f"Shares. {told}.")
