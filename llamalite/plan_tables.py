"""A plan as a person reads it: tables on the terminal, or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llamalite.plan import DEVICES_PER_NODE, PlanConfig, run_plan
from llamalite.plan_stages import MACHINES, MOST_MINUTES


def print_plan(config: PlanConfig, *, as_json: bool = False) -> None:
    """Print the plan, as tables or as one JSON object."""
    plan = run_plan(config)
    if as_json:
        print(json.dumps(plan, indent=1))
        return
    from rich.console import Console

    console = Console(highlight=False)
    for table in plan_tables(plan):
        console.print(table)


def _paper_hours(paper: Mapping[str, float] | None) -> str:
    """Table 2 beside what is planned."""
    if paper is None:
        return ""
    printed = f"{paper['gpu_hours']:,} in table 2, MFU {paper['mfu']:.3f}"
    share = paper["planned_by_printed"]
    return printed if share == 1 else f"{share:.3f} of {printed}"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _tonnes(tonnes: float) -> str:
    return f"{tonnes:,.2f}" if tonnes >= 1 else f"{tonnes:.4g}"


def plan_tables(plan: Mapping[str, Any]) -> list[Any]:
    """The plan as rich tables: the run, and the memory of one device."""
    from rich.table import Table

    layout = plan["layout"]
    run = Table(title=f"plan: {plan['preset']}", title_justify="left", box=None, padding=(0, 2))
    run.add_column("what")
    run.add_column("amount", justify="right")
    run.add_column("how", style="dim")
    rows = [
        ("parameters", f"{plan['parameters']:,}", ""),
        ("KV cache per token", f"{plan['kv_bytes_per_token']:,} B", "16-bit"),
        ("tokens", f"{plan['tokens']:,}", f"{plan['steps']:,} steps of {plan['batch_tokens']:,}"),
        ("devices", f"{plan['gpus']:,}", f"on {plan['nodes']} node(s) of {DEVICES_PER_NODE}"),
        (
            "layout",
            f"{layout['replicas']} x {layout['fsdp']} x {layout['tp']}",
            f"replica,fsdp,tp: {plan['layout_is']}",
        ),
        (
            ("accumulation", f"{plan['accumulation']}", "micro-batches a step")
            if plan["refusal"] is None
            else ("accumulation", "[red]none[/]", f"[red]does not fit: {plan['refusal']}[/]")
        ),
        ("speed", f"{plan['tokens_per_second']:,.0f} tokens/s", f"MFU {plan['mfu']:.3f} of 6ND"),
        ("GPU hours", _hours(plan["gpu_hours"]), _paper_hours(plan["paper"])),
        ("days", f"{plan['days']:,.4g}", ""),
        ("energy", f"{plan['energy_kwh']:,.4g} kWh", f"{plan['watts']:g} W a device"),
        ("carbon", f"{_tonnes(plan['tco2eq'])} tCO2eq", "table 2's formula"),
    ]
    for row in rows:
        run.add_row(*row)
    memory = Table(title="bytes on one device", title_justify="left", box=None, padding=(0, 2))
    memory.add_column("part")
    memory.add_column("GB", justify="right")
    for part, size in plan["bytes_per_device"].items():
        memory.add_row(part, f"{size / 1e9:,.4g}")
    verdict = (
        "[green]fits[/]" if plan["fits"] else "[red]does not fit: more gpus, tp or checkpointing[/]"
    )
    memory.add_row(f"of {plan['gpu_memory_bytes'] / 1e9:g} GB", verdict)
    return [run, memory, *([_stage_table(plan)] if plan["stages"] else [])]


def _stage_table(plan: Mapping[str, Any]) -> Any:
    """Minutes of every stage on the preset's machine."""
    from rich.table import Table

    machine = MACHINES[plan["preset"]]
    title = f"stages on {machine.name}, estimated"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    table.add_column("stage")
    for name in ("rounds", "minutes each", "minutes in all"):
        table.add_column(name, justify="right")
    for stage in plan["stages"]:
        minutes = [f"{stage[key] / 60:.1f}" for key in ("seconds", "total")]
        table.add_row(stage["kind"], str(stage["rounds"]), *minutes)
    longest = max(stage["seconds"] for stage in plan["stages"]) / 60
    whole = sum(stage["total"] for stage in plan["stages"]) / 60
    verdict = f"[green]none above {MOST_MINUTES}[/]"
    if longest > MOST_MINUTES:
        verdict = f"[red]one above {MOST_MINUTES}[/]"
    table.add_row("all", verdict, f"{longest:.1f}", f"{whole:.1f}")
    return table
