"""`llamalite throughput`: figure 24 with numbers of one's own, as a table, a file and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamalite.ablations.config import ServingConfig
from llamalite.ablations.variants import by_kv_heads
from llamalite.disk import write_json
from llamalite.presets import get_preset

if TYPE_CHECKING:
    from llamalite.drawing import Drawing


@dataclass(frozen=True)
class ThroughputConfig(ServingConfig):
    """Whose attention is varied, and what is served with how much memory."""

    preset: str = "laptop"
    """Whose model it is; the weights are random."""
    kv_heads: tuple[int, ...] = ()
    """Numbers of key/value heads to compare; none: those of the query heads, the model's own, 1."""
    out: str = "runs/throughput"
    """Folder of throughput.json and throughput.svg."""


def throughput(config: ThroughputConfig) -> dict[str, Any]:
    """Serve, write the files, print the table; returns what throughput.json holds.

    By model, all equally large: `parameters`, `cache_bytes` of a sequence, the `largest` batch, the
    batch that `failed`, and `tokens_per_second` by batch. Raises ValueError where Linux is not.
    """
    from rich.console import Console

    from llamalite.ablations.serving import plain, serve

    models = by_kv_heads(get_preset(config.preset).pretrain.model, config.kv_heads)
    console = Console(highlight=False)
    with console.status("starting") as status:
        found = plain(serve(models, config, status.update), config)
    folder = Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "throughput.json", found)
    drawing = batch_curves(found, config.budget_mib)
    drawing.save(folder / "throughput.svg")
    _print(console, found)
    console.print(f"written: {folder}", soft_wrap=True)
    return found


def batch_curves(found: Mapping[str, Mapping[str, Any]], budget_mib: int) -> Drawing:
    """Tokens a second against sequences at once, and a cross where memory ran out. Figure 24."""
    from llamalite.drawing import COLOURS, MARKERS, Drawing, canvas, style

    with style():
        figure, (axes,) = canvas(2.9)
        for number, (name, each) in enumerate(found.items()):
            colour, mark = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            speeds = each["tokens_per_second"]
            axes.plot(list(speeds), list(speeds.values()), color=colour, marker=mark, label=name)
            if each["failed"] and speeds:
                last = speeds[each["largest"]]
                axes.plot([each["largest"], each["failed"]], [last, last], ":", color=colour)
                axes.plot([each["failed"]], [last], "x", color=colour, markersize=8)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("sequences at once (a cross: out of memory)")
        axes.set_ylabel("tokens a second, all together")
        axes.grid(axis="y")
        axes.legend()
    told = "; ".join(
        f"{name}: "
        + ", ".join(f"{batch} {speed:.0f}" for batch, speed in each["tokens_per_second"].items())
        + (f", out of memory at {each['failed']}" if each["failed"] else "")
        for name, each in found.items()
    )
    title = f"Throughput against batch with {budget_mib} MiB beside the weights."
    return Drawing(figure, title, f"Tokens a second by batch. {told}.")


def _print(console: Any, found: Mapping[str, Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table(title="throughput", title_justify="left", box=None, padding=(0, 2))
    for column in ("", "parameters", "cache, bytes a sequence", "largest batch", "tokens a second"):
        table.add_column(column, justify="right" if column else "left")
    for name, each in found.items():
        speeds = each["tokens_per_second"]
        table.add_row(
            name,
            f"{each['parameters']:,}",
            f"{each['cache_bytes']:,}",
            str(each["largest"]) + ("" if each["failed"] else "+"),
            f"{speeds[each['largest']]:,.0f}" if speeds else "-",
        )
    console.print(table)
