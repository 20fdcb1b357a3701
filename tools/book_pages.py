"""Write the book's generated parts into book/generated/: ledger, cheat sheet, legend, API pages.

Everything comes from the code, its docstrings and the result files; nothing is typed by hand.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "llamalite"
OUT = ROOT / "book" / "generated"

API_PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "foundation": (
        "Foundation",
        (
            *("shapes", "protocols", "presets", "training_config", "artifacts", "stages"),
            *("pipeline", "disk", "jsonl", "own_files", "processes", "progress*", "stopwatch"),
            *("plan*", "cli", "verbs", "user_errors", "terminal", "chat", "chat_screen"),
            *("attack", "real_models/*", "book/*"),
        ),
    ),
    "world": ("World", ("world/*",)),
    "text": ("Text", ("text/*", "data_care/*", "clean")),
    "model": ("Model", ("model/*",)),
    "training": (
        "Training",
        (
            *("training", "held_out", "resume*", "stopping", "parallel", "rehearsal"),
            *("training_bar", "pretraining/*", "sft/*", "prose/*"),
        ),
    ),
    "alignment": (
        "Alignment",
        (
            *("scoring", "prompt_mix", "preferences/*", "reward/*"),
            *("rejection_sampling/*", "ppo/*", "rlhf/*", "ghost_attention/*", "red_teaming/*"),
            *("safety/*", "general_reward/*"),
        ),
    ),
    "evaluation": (
        "Evaluation and claims",
        (
            *("evaluation/*", "harness/*", "ablations/*", "audit/*", "safety_benchmarks/*"),
            *("contamination/*", "claims/*"),
            *("figures", "drawing", "report", "report/*"),
        ),
    ),
}
"""Page: its title, and which modules of the package stand on it, as patterns."""

MODEL_FIELDS = ("vocab_size", "dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "ffn_dim")


def main() -> None:
    """Write every generated part."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, text in parts():
        write(OUT / f"{name}.md", text)


def parts() -> Iterator[tuple[str, str]]:
    """Name and Markdown of every generated part."""
    from llamalite.claims import ledger_markdown

    yield "ledger", ledger_markdown()
    yield "axes", axes()
    yield "models", models()
    yield "stages", stages()
    for page, (title, patterns) in API_PAGES.items():
        yield f"api_{page}", api_page(title, modules(patterns))


def write(file: Path, text: str) -> None:
    """Write when different, so that unchanged pages are not read again."""
    text = text.rstrip() + "\n"
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def axes() -> str:
    """The legend of axes, from the docstring that defines it."""
    text = ast.get_docstring(ast.parse((PACKAGE / "shapes.py").read_text(encoding="utf-8"))) or ""
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def models() -> str:
    """Every model preset, a row each."""
    from llamalite.presets import MODELS

    head = ("model", "V", "D", "L", "H", "K", "E", "F", "T", "parameters", "cache bytes a token")
    rows = (
        [f"`{name}`"]
        + [f"{getattr(c, field):,}" for field in (*MODEL_FIELDS, "max_seq_len")]
        + [f"{c.n_parameters:,}", f"{c.kv_bytes_per_token():,}"]
        for name, c in MODELS.items()
    )
    return table(head, rows)


def stages() -> str:
    """Every number of every kind of stage, a table each and a column per run preset."""
    from llamalite.presets import RUNS
    from llamalite.stages import kinds

    blocks = []
    for kind, stage in kinds().items():
        columns = {name: dict(flat(run.config(kind))) for name, run in RUNS.items()}
        fields = list(dict.fromkeys(key for column in columns.values() for key in column))
        rows = (
            [f"`{key}`", *(shown(column.get(key, "-")) for column in columns.values())]
            for key in fields
            if not key.startswith("model.") and any(column.get(key) for column in columns.values())
        )
        section = f" (section {stage.section})" if stage.section.strip("-") else ""
        title = f"### {kind}{section}"
        blocks.append(f"{title}\n\n{table(['', *columns], rows)}")
    return "\n\n".join(blocks)


def flat(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Fields of nested dataclasses with dotted names."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from flat(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value


def shown(value: Any) -> str:
    """A setting as a cell."""
    if isinstance(value, dict):
        return "<br>".join(f"{key} {shown(item)}" for key, item in value.items()) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ", ".join(shown(item) for item in value)
    return str(value) or "-"


# --- API reference -------------------------------------------------------------------------------


def modules(patterns: Iterable[str]) -> list[Path]:
    """Files of the package that match, without empty or private ones."""
    found = []
    for pattern in patterns:
        found += [
            file
            for file in sorted(PACKAGE.glob(pattern + ".py"))
            if not file.stem.startswith("_") or file.stem == "__init__"
        ]
    return found


def api_page(title: str, files: list[Path]) -> str:
    """One page of the reference."""
    sections = [section for section in map(module_section, files) if section]
    return f"# {title}\n\n" + "\n\n".join(sections)


def module_section(file: Path) -> str:
    """A module's docstring, and everything public in it."""
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    members = [text for node in tree.body for text in member(node, name)]
    about = markdown(ast.get_docstring(tree))
    if not members and (not about or file.stem == "__init__"):
        return f"## `{name}`\n\n{about}" if about else ""
    return f"## `{name}`\n\n:::{{py:module}} {name}\n:::\n\n{about}\n\n" + "\n\n".join(members)


def member(node: ast.stmt, module: str) -> Iterator[str]:
    """A public function or class as a directive."""
    if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
        text = markdown(ast.get_docstring(node))
        yield directive("function", f"{node.name}{signature(node)}", text, depth=4)
    elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
        yield directive("class", class_signature(node), class_body(node), depth=5)


def class_signature(node: ast.ClassDef) -> str:
    """The class with the arguments of its __init__, when it writes one itself."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return node.name + signature(item, method=True)
    return node.name


def class_body(node: ast.ClassDef) -> str:
    """Docstring, attributes with their docstrings, public methods."""
    blocks = [markdown(ast.get_docstring(node))]
    for item, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            if item.target.id.startswith("_"):
                continue
            line = f"{item.target.id}: {source(item.annotation)}"
            if item.value is not None:
                line += f" = {source(item.value)}"
            about = after.value.value if is_docstring(after) else ""
            blocks.append(directive("attribute", line, markdown(about), depth=4))
        elif isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
            text = markdown(ast.get_docstring(item))
            kinds = [source(decorator) for decorator in item.decorator_list]
            if "property" in kinds or "cached_property" in kinds:
                kind = f": {source(item.returns)}" if item.returns else ""
                blocks.append(directive("property", item.name + kind, text, depth=4))
            else:
                line = item.name + signature(item, method="staticmethod" not in kinds)
                blocks.append(directive("method", line, text, depth=4))
    return "\n\n".join(block for block in blocks if block)


def is_docstring(node: ast.stmt | None) -> bool:
    """Whether a statement is a bare string, which documents the field before it."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def signature(node: ast.FunctionDef, method: bool = False) -> str:
    """Arguments and result as written, without self."""
    arguments = copy.deepcopy(node.args)
    if method and (arguments.posonlyargs or arguments.args):
        del (arguments.posonlyargs or arguments.args)[0]
    result = f" -> {source(node.returns)}" if node.returns else ""
    return f"({source(arguments)}){result}"


def source(node: ast.AST) -> str:
    """A piece of code on one line."""
    return " ".join(ast.unparse(node).split())


def directive(kind: str, line: str, body: str, depth: int) -> str:
    """A Sphinx object in MyST; fences of the outer ones are longer."""
    fence = ":" * depth
    if kind in ("attribute", "property"):
        name, _, rest = line.partition(":")
        type_, _, value = rest.partition(" = ")
        options = f":type: {type_.strip()}\n" if type_.strip() else ""
        options += f":value: {value.strip()}\n" if value.strip() else ""
        return f"{fence}{{py:{kind}}} {name}\n{options}\n{body}\n{fence}"
    return f"{fence}{{py:{kind}}} {line}\n\n{body}\n{fence}"


def markdown(text: str | None) -> str:
    """A docstring as MyST: words of code keep their signs, nothing is taken for HTML or math."""
    if not text:
        return ""
    pieces = re.split(r"(`[^`]*`)", text)
    for number in range(0, len(pieces), 2):
        piece = pieces[number].replace("\\", "\\\\").replace("<", "&lt;").replace("$", "\\$")
        # axis names like x_BTD and * are not emphasis; a star that begins a line is a list
        piece = re.sub(r"(?<=\S)\*|\*(?=\S)", r"\\*", piece)
        pieces[number] = re.sub(r"(?<=\w)_|_(?=\w)", r"\\_", piece)
    lines = "".join(pieces).splitlines()
    return "\n".join(re.sub(r"^(#+ )", r"\\\1", line) for line in lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
