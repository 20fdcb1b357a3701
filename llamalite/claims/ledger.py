"""The ledger: which of the paper's claims come true here, from result files alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from llamalite.claims.results import load_results
from llamalite.claims.statements import CLAIMS, GROUPS
from llamalite.world.config import EDITION

VERDICTS = ("holds", "not_shown", "contradicted", "unmeasured")
_WORDS = {
    "holds": "holds",
    "not_shown": "not shown",
    "contradicted": "contradicted",
    "unmeasured": "not measured yet",
}
_COLOURS = {
    "holds": "green",
    "not_shown": "yellow",
    "contradicted": "red",
    "unmeasured": "bright_black",
}


def ledger(preset: str = "laptop", folder: Path | None = None) -> dict[str, Any]:
    """Counts of the verdicts and each claim's, over all claims."""
    results = load_results(preset, folder)
    claims = {
        name: results[name]["verdict"] if name in results else "unmeasured" for name in CLAIMS
    }
    counts = Counter(claims.values())
    return {**{verdict: counts[verdict] for verdict in VERDICTS}, "claims": claims}


def print_ledger(
    preset: str = "laptop", *, as_json: bool = False, folder: Path | None = None
) -> None:
    """Print the ledger, as a table or as one JSON object."""
    summary = ledger(preset, folder)
    if as_json:
        print(json.dumps(summary))
        return
    from rich.console import Console
    from rich.table import Table

    results = load_results(preset, folder)
    table = Table(title=f"claims at {preset}", title_justify="left", box=None, padding=(0, 1))
    for heading in ("id", "paper", "verdict", "claim", "measured"):
        table.add_column(heading, no_wrap=heading in ("id", "verdict"))
    for name, claim in CLAIMS.items():
        verdict = summary["claims"][name]
        measured = _measured(results[name]) if name in results else ""
        table.add_row(
            name,
            claim.paper,
            f"[{_COLOURS[verdict]}]{_WORDS[verdict]}[/]",
            claim.statement,
            f"[dim]{measured}[/]",
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    console.print(table)
    console.print("  ".join(f"{_WORDS[verdict]} {summary[verdict]}" for verdict in VERDICTS))


def ledger_markdown(preset: str = "laptop", folder: Path | None = None) -> str:
    """The book's ledger page: a table for each chapter's claims, drawn from the result files."""
    results = load_results(preset, folder)
    summary = ledger(preset, folder)
    counts = ", ".join(f"{summary[verdict]} {_WORDS[verdict]}" for verdict in VERDICTS)
    lines = [f"Scale `{preset}`, {len(CLAIMS)} claims: {counts}.", ""]
    for letter, title in GROUPS.items():
        lines += [f"## {title}", ""]
        lines += ["| id | claim | paper | verdict | measured |", "|---|---|---|---|---|"]
        for name, claim in CLAIMS.items():
            if not name.startswith(letter):
                continue
            measured = _measured(results[name]) if name in results else ""
            word = _WORDS[summary["claims"][name]]
            verdict = f"**{word}**" if name in results else word
            row = (name, claim.statement, claim.paper, verdict, measured)
            lines.append(_table_row(*row))
        lines.append("")
    return "\n".join(lines)


def result_markdown(claim_id: str, preset: str = "laptop", folder: Path | None = None) -> str:
    """One claim's rule, findings and provenance, for the foot of a figure or a chapter."""
    from llamalite.claims.results import load_result

    result = load_result(claim_id, preset, folder)
    lines = [
        f"**{claim_id}** ({result['paper']}): {result['statement']}. *{_WORDS[result['verdict']]}*",
        "",
        f"Rule, fixed before the run: {result['rule']}",
    ]
    lines += _table([finding for finding in result["findings"] if not finding["exact"]])
    if besides := result.get("besides"):
        lines += [
            "",
            "Asked besides, by this project and not by the paper; no part of the verdict:",
        ]
        lines += _table(besides)
    lines += [
        f"\n{_in_words(finding)}: *{_WORDS[finding['verdict']]}*."
        for finding in result["findings"]
        if finding["exact"]
    ]
    commit = (result["git_commit"] or "unknown")[:10]
    if result.get("git_changes"):
        commit += f" with {len(result['git_changes'])} source files changed"
    lines += [
        "",
        f"Seeds {', '.join(map(str, result['seeds']))}{_of_edition(result)}; commit {commit}; "
        f"config {result['config_hash'][:10]}; {result['seconds']:.0f} s of runs; "
        f"peak memory {result['peak_memory_bytes'] / 1e9:.2f} GB.",
    ]
    return "\n".join(lines)


def _table(findings: list[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table of findings; none where there are none."""
    if not findings:
        return []
    lines = [
        "",
        "| condition | mean | 95 % interval | per seed | verdict |",
        "|---|---|---|---|---|",
    ]
    for finding in findings:
        seeds = ", ".join(f"{value:.4g}" for value in finding["per_seed"])
        interval = f"{finding['low']:.4g} to {finding['high']:.4g}"
        mean, verdict = f"{finding['mean']:.4g}", _WORDS[finding["verdict"]]
        lines.append(_table_row(finding["condition"], mean, interval, seeds, verdict))
    return lines


def _table_row(*cells: str) -> str:
    """A row of a Markdown table, in which |Z| stays one cell."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _measured(result: dict[str, Any]) -> str:
    """The findings in a few words: the weakest condition's first."""
    rank = {"contradicted": 0, "not_shown": 1, "holds": 2}
    findings = sorted(result["findings"], key=lambda finding: rank[finding["verdict"]])
    shown = "; ".join(map(_in_words, findings[:4]))
    more = f"; and {len(findings) - 4} more" if len(findings) > 4 else ""
    seeds = len(result["seeds"])
    return shown + more + (f" ({seeds} seeds)" if seeds > 1 else "") + _of_edition(result)


def _of_edition(result: dict[str, Any]) -> str:
    """Says when a result is of an earlier world than this code's; studies without a world have
    none."""
    edition = result.get("world_edition")
    return f", world of edition {edition}" if edition not in (None, EDITION) else ""


def _in_words(finding: dict[str, Any]) -> str:
    if finding["exact"]:
        return (
            f"{finding['condition']}: the furthest is off by {finding['mean']:.2g} units of its "
            "last printed digit, where up to 0.5 is rounding"
        )
    return (
        f"{finding['condition']}: {finding['mean']:+.3g} "
        f"[{finding['low']:+.3g}, {finding['high']:+.3g}]"
    )
