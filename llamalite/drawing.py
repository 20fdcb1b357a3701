"""The look all figures share, and how one becomes an SVG, a PNG or a part of a page.

Drawings are narrow, so that they stay readable on a phone; ink and grid take the colour of the
page's text, so that they stand in light and dark pages alike; colours are those of Okabe and Ito's
palette, brightened where a dark page needs it, and never the only sign of a difference.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

Estimate = Mapping[str, Any]
"""A mean with its interval as result files hold it: {"mean", "low", "high", "n"}; the first three
are None when n is 0, see `measured`."""
WIDTH = 4.4
"""Width of every drawing, inches: full width on a phone, two or three beside one another else."""
INK = "#737373"
"""Ink where the page cannot choose: dark enough on white, light enough on black (4.5 to 1)."""
BLUE, ORANGE, GREEN, PURPLE, SKY = "#2b83c6", "#dd7a12", "#1c9a74", "#b4659c", "#62b5e5"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
MARKERS = ("o", "s", "D", "^", "v")
HEAT = LinearSegmentedColormap.from_list("heat", ["#f3efe4", "#f0b35a", "#cf4f1d", "#6f1430"])
RAMP = ("#8c2d04", "#d9691c", "#e8a552", "#b9b9b9", "#8fc3de", "#4393c3", "#1b5e94")
"""Seven steps from bad to good, told apart by lightness from the middle too."""

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0,
    "grid.color": INK,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.6,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "llamalite",
}


@dataclass(frozen=True)
class Drawing:
    """A figure with the words that belong to it; shows itself in notebooks."""

    figure: Figure
    title: str
    """What is drawn, in a few words."""
    alt: str
    """What there is to see, numbers included, for readers who cannot."""

    def svg(self) -> str:
        """Inline SVG without scripts or links; its ink is the colour of the text around it."""
        stream = io.StringIO()
        with style():
            self.figure.savefig(stream, format="svg", metadata=dict.fromkeys(_SVG_METADATA))
        return _inline(stream.getvalue(), self.alt, self.title)

    def png(self, dark: bool = False, dpi: int = 200) -> bytes:
        """PNG bytes on white, or on near black."""
        stream = io.BytesIO()
        with style():
            self.figure.savefig(
                stream, format="png", dpi=dpi, facecolor="#15171a" if dark else "white"
            )
        return stream.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write .svg or .png, by the name's ending; ValueError for another."""
        path = Path(path)
        if path.suffix == ".svg":
            path.write_text(self.svg(), encoding="utf-8")
        elif path.suffix == ".png":
            path.write_bytes(self.png())
        else:
            raise ValueError(f"cannot draw into {path.name!r}; end the name in .svg or .png")
        return path

    def _repr_html_(self) -> str:
        return (
            f'<figure style="margin:0;max-width:560px">{self.svg()}'
            f"<figcaption>{escape(self.title)}</figcaption></figure>"
        )


@contextmanager
def style() -> Iterator[None]:
    """The shared look; draw inside it and the process's own settings stay as they were."""
    with mpl.rc_context(_STYLE):
        yield


def canvas(height: float = 2.7, rows: int = 1, **grid: Any) -> tuple[Figure, list[Axes]]:
    """An empty figure of the shared width with `rows` axes; call it inside `style()`."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False, **grid)[:, 0]
    return figure, list(axes)


_SVG_METADATA = ("Date", "Creator", "Format", "Type")


def intervals(
    axes: Axes, places: Sequence[float], estimates: Sequence[Estimate], **look: Any
) -> None:
    """Means above their places as markers, with their intervals as bars; all must be measured."""
    mean = np.array([each["mean"] for each in estimates])
    low = mean - [each["low"] for each in estimates]
    high = np.array([each["high"] for each in estimates]) - mean
    # rounding may put a mean a hair outside
    axes.errorbar(list(places), mean, np.maximum(0, [low, high]), **look)


def short(value: float) -> str:
    """A count as people read it: 950, 12.3k, 3.1M, 2T."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def measured(estimate: Estimate | None) -> bool:
    """Whether there is a number; of no items nothing was measured."""
    return bool(estimate) and estimate["mean"] is not None


def pair(estimate: Estimate | None) -> str:
    """A mean with its interval in words."""
    if not estimate or not measured(estimate):
        return "not measured"
    return f"{estimate['mean']:.2f} ({estimate['low']:.2f} to {estimate['high']:.2f})"


def _inline(svg: str, alt: str, title: str) -> str:
    """Matplotlib's SVG file as an element of a page: own ids, page's font and ink, alt text.

    Two drawings of the same numbers on one page, told apart by their titles, share no id.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(font: [\d.]+px|font-family:) '[^;\"]*", r"\1 system-ui, sans-serif", svg)
    svg = svg.replace(INK, "currentColor").replace("xlink:href", "href")
    mark = "f" + sha256((title + alt + svg).encode()).hexdigest()[:8]
    svg = re.sub(r'\bid="', f'id="{mark}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{mark}-", svg)
    described = f'role="img" aria-label="{escape(alt)}" style="width:100%;height:auto"'
    return svg.replace("<svg ", f'<svg {described} stroke-linejoin="round" ', 1)
