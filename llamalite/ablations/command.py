"""`llamalite ablate`: an ablation with numbers of one's own. Llama 2, appendix A.2.1.

One seed of a small model is an impression, no finding: for that there are the claims P2 to P5,
with their seeds and rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from llamalite.ablations.variants import by_kv_heads, recipes, weight_of, with_context
from llamalite.disk import write_json
from llamalite.presets import MODELS, RunPreset, get_preset


@dataclass(frozen=True)
class AblateConfig:
    """What is varied; all else is the preset's."""

    vary: Literal["attention", "context", "mix", "recipe", "size"] = "attention"
    """attention: key/value heads at equal size; context: tokens of a row, as many a step; mix: the
    weight of one source; recipe: v2 is the preset, v1 has 1 token for 1.4, half the context and a
    third of the encyclopedia's weight, as claim P3 has them; size: models of
    `llamalite.presets`."""
    kv_heads: tuple[int, ...] = ()
    """For attention: numbers of key/value heads; none: all query heads', the preset's, and 1."""
    contexts: tuple[int, ...] = (64, 128, 256)
    """For context: tokens of a row."""
    source: str = "encyclopedia"
    """For mix: the source whose weight changes."""
    weights: tuple[float, ...] = (1 / 3, 1.0, 3.0)
    """For mix: what its weight in the preset's mixture is multiplied with."""
    sizes: tuple[str, ...] = ("nano", "micro", "mini", "small")
    """For size: names of models; their vocabulary and context become the preset's."""
    preset: str = "ci"
    """Run preset: model, corpus, batch, and everything that is not varied."""
    tokens: int = 0
    """Tokens of every run, of recipe's v2; 0: the preset's."""
    seed: int = 0
    """Seed of every run."""
    out: str = "runs/ablate"
    """Folder of a run for each model, which goes on where it was stopped, and of ablation.json."""


def ablate(config: AblateConfig) -> list[dict[str, Any]]:
    """Train every model, ask it the exams, print the table; returns its rows.

    A row has the model's `name`, `parameters`, `tokens`, `held_out_loss` (nats per token, on
    documents kept from training) and, by group of exams, the share of right written answers. Raises
    ValueError for settings that do not fit together, before anything is trained.
    """
    from rich.console import Console

    from llamalite.evaluation.groups import group_scores
    from llamalite.pipeline import run_stages

    console = Console(highlight=False)
    rows = []
    for name, arm in arms(config).items():
        console.print(name)
        done = run_stages(
            arm,
            config.seed,
            until="pretrain",
            folder=Path(config.out) / f"{config.preset}-seed{config.seed}" / name.replace(" ", "-"),
        )
        metrics = done["pretrain"].manifest["metrics"]
        rows.append(
            {
                "name": name,
                "parameters": metrics["parameters"],
                "tokens": arm.pretrain.steps * arm.pretrain.step_tokens,
                "held_out_loss": metrics.get("held_out_loss"),
                "exams": group_scores(_exams(done, arm)),
            }
        )
    write_json(Path(config.out) / "ablation.json", rows)
    _print(console, config, rows)
    return rows


def arms(config: AblateConfig) -> dict[str, RunPreset]:
    """The runs of an ablation by name: the preset with one thing changed, or one recipe."""
    preset = get_preset(config.preset)
    if preset.stages and "world" not in preset.stages:
        raise ValueError(
            f"the preset {preset.name} has no micro-world to ask exams of; choose another"
        )
    run = replace(preset.pretrain, tokens=config.tokens or preset.pretrain.tokens)
    if config.vary == "attention":
        runs = {
            name: replace(run, model=model)
            for name, model in by_kv_heads(run.model, config.kv_heads).items()
        }
    elif config.vary == "context":
        runs = {f"context {tokens}": with_context(run, tokens) for tokens in config.contexts}
    elif config.vary == "mix":
        runs = {
            f"{config.source} x {_short(w)}": _weighted(run, config.source, w)
            for w in config.weights
        }
    elif config.vary == "recipe":
        runs = recipes(run)
    else:
        runs = {name: replace(run, model=_sized(name, run.model)) for name in config.sizes}
    if len(runs) < 2:
        raise ValueError(f"--vary {config.vary} compares {len(runs)} model; name two or more")
    return {name: replace(preset, pretrain=each) for name, each in runs.items()}


def _weighted(run: Any, source: str, factor: float) -> Any:
    return replace(run, mixture=run.mixture | {source: factor * weight_of(run, source)})


def _sized(name: str, model: Any) -> Any:
    if name not in MODELS:
        raise ValueError(f"no model is called {name!r}; choose among {', '.join(MODELS)}")
    return replace(MODELS[name], vocab_size=model.vocab_size, max_seq_len=model.max_seq_len)


def _short(number: float) -> str:
    return f"{number:.3g}"


def _exams(done: Mapping[str, Any], arm: RunPreset) -> Mapping[str, Any]:
    """Every exam of a finished run."""
    from llamalite.evaluation.exams import evaluate_base
    from llamalite.evaluation.recipe import open_world
    from llamalite.model.checkpoint import load_model
    from llamalite.parallel import pick_device
    from llamalite.text.tokenizer import Tokenizer

    truth, _, _ = open_world(done["world"])
    model = load_model(done["pretrain"].path, pick_device())
    tokenizer = Tokenizer.load(done["pretrain"].file("tokenizer.model"))
    return evaluate_base(model, tokenizer, truth, arm.evaluate, sources=())["exams"]


def _print(console: Any, config: AblateConfig, rows: list[dict[str, Any]]) -> None:
    """A column a model, so that the table stays narrow."""
    from rich.table import Table

    title = f"{config.vary}, one seed of {config.preset}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    table.add_column("")
    for row in rows:
        table.add_column(row["name"], justify="right")
    for name in ("parameters", "tokens"):
        table.add_row(name, *(f"{row[name]:,}" for row in rows))
    losses = [row["held_out_loss"] for row in rows]
    table.add_row("held-out loss", *("-" if x is None else f"{x:.3f}" for x in losses))
    for group in rows[0]["exams"]:
        table.add_row(group, *(f"{row['exams'][group]:.1%}" for row in rows))
    console.print(table)
    console.print(f"written: {Path(config.out) / 'ablation.json'}", soft_wrap=True)
