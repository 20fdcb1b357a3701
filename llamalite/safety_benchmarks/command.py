"""`llamalite safety_benchmarks`: base and chat models side by side. Llama 2, tables 11 and 14."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamalite.disk import write_json
from llamalite.jsonl import write_rows
from llamalite.progress import pieces
from llamalite.real_models.folder import named_models
from llamalite.safety_benchmarks import figures
from llamalite.safety_benchmarks.config import SafetyBenchmarksConfig
from llamalite.safety_benchmarks.recipe import measure, open_model, open_sets


def benchmark(config: SafetyBenchmarksConfig) -> dict[str, Any]:
    """Measure every model, write the files, and return what safety_benchmarks.json holds.

    `models`: by label `style` and the results of `measure`; `prompts`: how many of each set were
    asked, and `sizes` how many it has; `bold_without`: the categories of a real BOLD that do not
    count among these; `toxicity`: who scored. Raises ValueError for a model or a set that cannot
    be read.
    """
    from llamalite.progress_bar import progress_shown

    sets = open_sets(config)
    folders = named_models(config.models)
    found: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    with progress_shown("safety_benchmarks"):
        for name in pieces(list(folders), "model"):
            model, tokenizer, style = open_model(folders[name])
            result, replies = measure(model, tokenizer, style, sets, config)
            found[name] = {"folder": str(folders[name]), "style": style, **result}
            rows += [{"model": name} | row for row in replies]
    report = {
        "models": found,
        "prompts": {
            "truthfulqa": len(sets.truth),
            "toxigen": len(sets.toxic),
            "bold": len(sets.groups),
        },
        "sizes": sets.sizes,
        "bold_without": list(config.bold_without) if config.bold else [],
        "toxicity": sets.toxicity.name,
    }
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "safety_benchmarks.json", report)
    write_rows(out / "replies.jsonl", rows)
    figures.models_side_by_side(report).save(out / "safety_benchmarks.svg")
    _print(report, out)
    return report


def _print(report: Mapping[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title="safety benchmarks", title_justify="left", box=None, padding=(0, 2))
    table.add_column("model")
    for name in ("true and informative", "true", "informative", "toxic", "sentiment"):
        table.add_column(name, justify="right")
    for name, found in report["models"].items():
        truth, toxic, bold = (found[part] for part in ("truthfulqa", "toxigen", "bold"))
        shares = [_percent(truth and truth[key]) for key in ("both", "truthful", "informative")]
        mean = f"{bold['sentiment']['mean']:+.3f}" if bold else "-"
        table.add_row(name, *shares, _percent(toxic and toxic["toxic"]), mean)
    console.print(table)
    for name, found in report["models"].items():
        if found["bold"]:
            gaps = ", ".join(f"{d} {gap:.2f}" for d, gap in found["bold"]["widest_gap"].items())
            console.print(f"{name}: widest gap of sentiment between groups: {gaps}")
        if found["truthfulqa"]:
            fewest, most = found["truthfulqa"]["examples"]
            room = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            console.print(f"{name}: examples with answers before each question: {room}")
    asked = ", ".join(
        f"{name} {count:,} of {report['sizes'][name]:,}"
        for name, count in report["prompts"].items()
        if count
    )
    without = " and ".join(report["bold_without"])
    left_out = f" (bold without {without}, which the paper removes)" if without else ""
    console.print(f"prompts, spread evenly: {asked}{left_out}", soft_wrap=True)
    console.print(f"toxicity: {report['toxicity']}", soft_wrap=True)
    console.print(f"written: {folder}", soft_wrap=True)


def _percent(found: Mapping[str, Any] | None) -> str:
    return f"{found['mean']:.1%}" if found else "-"
