"""Result files: `<folder>/<preset>/<ID>.json`, with everything a verdict rests on.

The ledger, the book's figures and the report read these and nothing else; a verdict can be computed
again from the measurements inside.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamalite.artifacts import SOURCES, code_hash, versions
from llamalite.claims.rules import Measurement, Rule, values
from llamalite.claims.statements import CLAIMS, Claim
from llamalite.disk import write_bytes

PACKAGE = Path(__file__).resolve().parent.parent


def results_folder() -> Path:
    """Where the recorded results are: data/results of a checkout, else the wheel's own copy."""
    checkout = PACKAGE.parent / "data" / "results"
    if (PACKAGE.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    return PACKAGE / "_results"


def load_result(
    claim_id: str, preset: str = "laptop", folder: Path | None = None
) -> dict[str, Any]:
    """One claim's result. Raises ValueError when it was not measured or the file is damaged."""
    path = (folder or results_folder()) / preset / f"{claim_id}.json"
    measure = f"run llamalite claims --ids {claim_id} --preset {preset}"
    measure += f" --out {folder}" if folder else ""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; {measure}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        result = None
    verdicts = ("holds", "not_shown", "contradicted")
    if not isinstance(result, dict) or result.get("verdict") not in verdicts:
        raise ValueError(f"{path} is damaged; delete it and {measure}")
    return result


def load_results(preset: str = "laptop", folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Every recorded result of a preset, in the ledger's order."""
    place = (folder or results_folder()) / preset
    return {
        name: load_result(name, preset, folder)
        for name in CLAIMS
        if (place / f"{name}.json").is_file()
    }


def make_result(
    claim: Claim,
    rule: Rule,
    preset: str,
    seeds: Sequence[int],
    measurements: Sequence[Measurement],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of a result file; the verdict comes from the rule alone.

    `provenance` is what the run knows of itself: config, times, memory, and `code_state`.
    """
    verdict, findings = rule.judge(measurements)
    return {
        "claim": claim.id,
        "statement": claim.statement,
        "paper": claim.paper,
        "scale": preset,
        "verdict": verdict,
        "rule": rule.text,
        "findings": [finding._asdict() for finding in findings],
        "besides": [finding._asdict() for finding in rule.judge_besides(measurements)],
        "seeds": list(seeds),
        "per_seed": {
            metric: [float(values(one, metric).mean()) for one in measurements]
            for metric in measurements[0]
            if not metric.startswith("curve ")
        },
        **provenance,
        "versions": versions(),
        "measurements": list(measurements),
    }


def write_result(folder: Path, result: Mapping[str, Any]) -> Path:
    """Write one result atomically, one line per entry so that changes can be reviewed."""
    path = folder / result["scale"] / f"{result['claim']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for key, value in result.items():
        if key in ("findings", "besides", "measurements") and value:
            parts = ",\n  ".join(_compact(part) for part in value)
            lines.append(f"{_compact(key)}: [\n  {parts}\n ]")
        else:
            lines.append(f"{_compact(key)}: {_compact(value)}")
    write_bytes(path, ("{\n " + ",\n ".join(lines) + "\n}\n").encode())
    return path


def code_state() -> dict[str, Any]:
    """Which code runs: the checkout's commit, source files of the package that differ from it
    (nothing else counts: results, notebooks and tests decide no number), and the source's hash.

    `git_commit` is None where the package is not the checkout of its own repository.
    """

    def ask(*words: str) -> str:
        command = ["git", "-C", str(PACKAGE), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    state: dict[str, Any] = {"git_commit": None, "git_changes": [], "code_hash": code_hash()}
    try:
        if Path(ask("rev-parse", "--show-toplevel").strip()).resolve() != PACKAGE.parent:
            return state  # installed inside some other repository
        commit = ask("rev-parse", "HEAD").strip()
        rows = ask("status", "--porcelain", "-z", "--no-renames", "-uall", "--", str(PACKAGE))
    except (OSError, subprocess.CalledProcessError):
        return state
    changed = sorted(row[3:] for row in rows.split("\0") if row.endswith(SOURCES))
    return state | {"git_commit": commit, "git_changes": changed}


def _compact(value: Any) -> str:
    return json.dumps(_rounded(value), ensure_ascii=False, allow_nan=False)


def _rounded(value: Any) -> Any:
    """Numbers to ten significant digits: below any measurement's noise, and files stay small."""
    if isinstance(value, float):
        return value if value.is_integer() else float(f"{value:.10g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
