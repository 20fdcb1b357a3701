"""The command line: one verb per stage in the paper's order, and verbs to run, look and ask.

`llamalite run` brings the whole chain up to date. Every number of every stage can be overridden by
its name (`--pretrain.tokens 2000000 --pretrain.model.dim 96`); the preset gives the defaults.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jsonargparse import Namespace, set_parsing_settings

from llamalite import __version__
from llamalite.pipeline import run_folder, run_one, run_stages, why_stale
from llamalite.presets import RUNS, RunPreset, get_preset
from llamalite.processes import Terminated, is_leader
from llamalite.stages import STAGES, Stage, chain, kinds
from llamalite.user_errors import Parser, explain, fail
from llamalite.verbs import Verb, instance, settings_of, tool

_ABOUT = """The Llama 2 paper as software: a verb for each stage in the paper's order, and verbs to
run them all, to look and to ask. The preset gives every number its default; override any by its
name, as in: llamalite run --preset ci --pretrain.tokens 500000 --pretrain.model.dim 64"""

set_parsing_settings(docstring_parse_attribute_docstrings=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `llamalite` command. Returns the exit code; user errors end with 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        _main(arguments)
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        return 130
    except Terminated as end:
        print("\nterminated; run the same command again to go on", file=sys.stderr)
        return int(end.code or 0)
    except BrokenPipeError:  # the reader of a pipe went away, as in `llamalite ledger | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if os.environ.get("LLAMALITE_DEBUG"):
            raise
        fail(explain(error))
    return 0


def build_parser(arguments: Sequence[str]) -> Parser:
    """The parser of all verbs; the preset named in `arguments` gives the stages their defaults."""
    parser = Parser(prog="llamalite", description=_ABOUT, version=__version__)
    verbs = parser.add_subcommands(required=True, dest="verb", metavar="VERB")
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for verb in VERBS:
        usage = f"llamalite {verb.name} [options]"  # spelled out, it would fill pages
        sub = Parser(prog=f"llamalite {verb.name}", usage=usage, description=f"{verb.summary}.")
        if verb.name == chosen:  # the others' arguments are never looked at
            verb.build(sub, arguments)
        verbs.add_subcommand(verb.name, sub, help=verb.summary)
    return parser


def _main(arguments: list[str]) -> None:
    config = build_parser(arguments).parse_args(arguments or ["--help"])
    verb = next(verb for verb in VERBS if verb.name == config.verb)
    verb.run(config[verb.name])


def _preset_named(arguments: Sequence[str]) -> RunPreset:
    """The preset of `--preset` or of the `--config` file, before anything else is parsed."""
    import argparse

    import yaml

    scan = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    scan.add_argument("--preset", nargs="?")  # the parser proper complains of a missing value
    scan.add_argument("--config", nargs="?")
    found, _ = scan.parse_known_args(arguments)
    name = found.preset
    if name is None and found.config:
        try:
            settings = yaml.safe_load(Path(found.config).read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise ValueError(f"{found.config} is not YAML: {error}") from None
        name = settings.get("preset") if isinstance(settings, dict) else None
    return get_preset(name or "laptop")


def _add_run_arguments(parser: Parser, arguments: Sequence[str], stages: Sequence[Stage]) -> None:
    """What every stage verb and `run` share: config file, preset, seed, folder, overrides."""
    preset = _preset_named(arguments)
    parser.add_argument(
        "--config", action="config", help="YAML file of settings, as printed by --print_config"
    )
    parser.add_argument(
        "--preset", type=str, default=preset.name, help=f"run preset: {', '.join(RUNS)}"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of every random draw")
    parser.add_argument("--out", type=str, default="runs", help="folder of run folders")
    for stage in stages:
        config = preset.config(stage.kind)
        title = stage.kind + (f" (Llama 2, section {stage.section})" if stage.section else "")
        parser.add_argument(f"--{stage.kind}", type=type(config), default=config, help=title)


def _settings(config: Namespace, stages: Sequence[Stage]) -> RunPreset:
    """The preset with the overrides of the command line."""
    preset = get_preset(config.preset)
    named = [stage.kind for stage in stages]
    return replace(
        preset, **{kind: instance(type(preset.config(kind)), config[kind]) for kind in named}
    )


# --- run, and a verb per stage -----------------------------------------------------------------


def _build_run(parser: Parser, arguments: Sequence[str]) -> None:
    preset = _preset_named(arguments)
    _add_run_arguments(parser, arguments, list(kinds(preset).values()))
    names = ", ".join(stage.name for stage in chain(preset))
    parser.add_argument("--until", type=str, default="", help=f"last stage to run: {names}")
    parser.add_argument(
        "--force",
        type=str,
        default="",
        help="stages to run again although they are up to date, as in sft,evaluate",
    )


def _run(config: Namespace) -> None:
    settings = _settings(config, list(kinds(get_preset(config.preset)).values()))
    from llamalite.report import write_report
    from llamalite.terminal import TerminalEvents

    events = TerminalEvents()
    artifacts = run_stages(
        settings,
        config.seed,
        config.out,
        until=config.until,
        force=tuple(name.strip() for name in config.force.split(",") if name.strip()),
        events=events,
    )
    if not is_leader():
        return
    events.ended(artifacts)
    page = write_report(run_folder(config.out, config.preset, config.seed))
    events.console.print(f"report: {page}", soft_wrap=True)


def _stage_verb(first: Stage) -> Verb:
    """The verb of a kind of stage; where there are rounds, --round says which."""
    by_round = {stage.round: stage for stage in STAGES if stage.kind == first.kind}

    def build(parser: Parser, arguments: Sequence[str]) -> None:
        _add_run_arguments(parser, arguments, [first])
        if first.inputs and parser.description:
            parser.description += " What it reads and the run folder lacks is made first."
        if first.round:
            rounds = ", ".join(str(number) for number in by_round)
            parser.add_argument(
                "--round", type=int, default=first.round, help=f"which of the rounds: {rounds}"
            )

    def run(config: Namespace) -> None:
        from llamalite.terminal import TerminalEvents

        number = config.round if first.round else 0
        if number not in by_round:
            known = ", ".join(str(each) for each in by_round)
            raise ValueError(f"{first.kind} has no round {number}; choose among {known}")
        settings = _settings(config, [first])
        name = by_round[number].name
        run_one(name, settings, config.seed, config.out, events=TerminalEvents())

    section = f"section {first.section}: " if first.section else ""
    summary = first.summary.removeprefix(f"round {first.round}: ")
    return Verb(first.kind, section + summary, build, run)


# --- looking and asking ------------------------------------------------------------------------


def _build_report(parser: Parser, arguments: Sequence[str]) -> None:
    _add_run_arguments(parser, arguments, [])


def _report(config: Namespace) -> None:
    from llamalite.report import write_report

    preset = get_preset(config.preset)
    folder = run_folder(config.out, preset.name, config.seed)
    print(write_report(folder))
    try:
        stale = why_stale(preset, config.seed, folder)
    except ValueError as error:  # of a stage that the report does not need
        stale = str(error)
    if stale:
        print(f"note: {stale}")


def _build_chat(parser: Parser, arguments: Sequence[str]) -> None:
    from llamalite.chat import ChatConfig

    _add_run_arguments(parser, arguments, [])
    parser.add_argument(
        "--stage",
        type=str,
        default="sft",
        help="whose model: pretrain, sft, rejection_sampling_1 ... ppo_5, safety",
    )
    parser.add_argument(
        "--model",
        type=str | None,
        default=None,
        help="a model folder, or a fetched model as smollm2, instead of a stage's",
    )
    parser.add_class_arguments(ChatConfig)


def _chat(config: Namespace) -> None:
    from llamalite.chat import ChatConfig, chat, notes_on
    from llamalite.real_models.folder import model_folder

    folder = model_folder(config.model, config.stage, config.preset, config.seed, config.out)
    notes = []
    if not config.model:
        notes = notes_on(folder.name, get_preset(config.preset), config.seed, folder.parent)
    chat(folder, settings_of(ChatConfig, config), config.seed, notes=notes)


def _build_claims(parser: Parser, arguments: Sequence[str]) -> None:
    parser.add_argument("--ids", type=str, default="all", help="claims to measure, as P1,P2 or all")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds: 1, 2, 3, ...")
    parser.add_argument("--preset", type=str, default="laptop", help=f"scale: {', '.join(RUNS)}")
    parser.add_argument("--out", type=str, default="runs/results", help="folder of result files")
    parser.add_argument(
        "--runs", type=str, default="runs/claims", help="folder of the studies' runs"
    )


def _claims(config: Namespace) -> None:
    from llamalite.claims import run_claims

    run_claims(config.ids, config.seeds, config.preset, Path(config.out), Path(config.runs))
    shown = f"llamalite ledger --preset {config.preset} --results {config.out}"
    print(f"{shown} sets them side by side")


def _build_ledger(parser: Parser, arguments: Sequence[str]) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--preset", type=str, default="laptop", help="scale of the results")
    parser.add_argument(
        "--results",
        type=str,
        default="",
        help="folder of result files, as runs/results; empty: the project's own",
    )


def _ledger(config: Namespace) -> None:
    from llamalite.claims import print_ledger

    folder = Path(config.results) if config.results else None
    if folder and not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; llamalite claims --out {folder} makes it")
    print_ledger(get_preset(config.preset).name, as_json=config.json, folder=folder)


def _build_plan(parser: Parser, arguments: Sequence[str]) -> None:
    from llamalite.plan import PlanConfig

    parser.add_class_arguments(PlanConfig)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _plan(config: Namespace) -> None:
    from llamalite.plan import PlanConfig
    from llamalite.plan_tables import print_plan

    print_plan(settings_of(PlanConfig, config), as_json=config.json)


def _build_fetch(parser: Parser, arguments: Sequence[str]) -> None:
    from llamalite.real_models.fetch import MODELS

    about = "; ".join(f"{model.name}: {model.about}" for model in MODELS.values())
    parser.add_argument("name", type=str, help=about)


def _fetch(config: Namespace) -> None:
    from llamalite.real_models.fetch import fetch

    fetch(config.name)


VERBS: tuple[Verb, ...] = (
    *(_stage_verb(stage) for stage in kinds().values()),
    Verb("run", "bring the whole chain up to date and write the report", _build_run, _run),
    Verb("chat", "talk to a model in the terminal", _build_chat, _chat),
    Verb("fetch", "bring a real model to this machine, checked", _build_fetch, _fetch),
    tool(
        "export",
        "write a model in Hugging Face's format, for transformers, vLLM and llama.cpp",
        "real_models.export:ExportConfig",
        "real_models.export:export",
    ),
    Verb("report", "write report.html and report.json of a run", _build_report, _report),
    tool(
        "annotate",
        "serve the page where people compare replies",
        "preferences.config:AnnotateConfig",
        "preferences.annotate:annotate",
    ),
    tool(
        "attack",
        "section 4.3: serve the page where people red-team a model, and export what they found",
        "attack:AttackConfig",
        "attack:attack",
    ),
    Verb("claims", "measure claims of the paper, write result files", _build_claims, _claims),
    Verb("ledger", "which of the paper's claims hold here", _build_ledger, _ledger),
    Verb(
        "plan",
        "memory, time, energy and carbon of a run before anyone pays for it",
        _build_plan,
        _plan,
    ),
    tool(
        "clean",
        "section 2.1: clean a corpus of any size, with counts before and after each stage",
        "data_care.recipe:CleanConfig",
        "clean:clean",
    ),
    tool(
        "rehearse",
        "start a paper preset's sharded path at shrunken width, and compare with one process",
        "rehearsal:RehearsalConfig",
        "rehearsal:rehearse",
    ),
    tool(
        "benchmark",
        "section 2.3: models side by side on the tasks of lm-eval and the micro-world",
        "harness.config:BenchmarkConfig",
        "harness.command:benchmark",
    ),
    tool(
        "ablate",
        "A.2.1: train models that differ in one setting, and set their exams side by side",
        "ablations.command:AblateConfig",
        "ablations.command:ablate",
    ),
    tool(
        "throughput",
        "figure 24: cache bytes, largest batch under a memory limit, tokens a second",
        "ablations.throughput:ThroughputConfig",
        "ablations.throughput:throughput",
    ),
    tool(
        "contamination",
        "how much of a benchmark stands in the training data, and what it does to scores",
        "contamination.command:ContaminationConfig",
        "contamination.command:measure",
    ),
    tool(
        "audit",
        "section 4.1: pronouns, persons, descriptors, toxicity and languages of any corpus",
        "audit.command:AuditConfig",
        "audit.command:audit",
    ),
    tool(
        "safety_benchmarks",
        "sections 4.1, 4.4: truthfulness, toxicity and bias of models side by side",
        "safety_benchmarks.config:SafetyBenchmarksConfig",
        "safety_benchmarks.command:benchmark",
    ),
    tool(
        "vocabulary",
        "section 2.2: vocabularies of several sizes on held-out text, and what bytes and digits do",
        "text.study:VocabularyConfig",
        "text.study:study",
    ),
)


if __name__ == "__main__":
    sys.exit(main())
