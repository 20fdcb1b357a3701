"""What runs, what is up to date, and what is said about it, on a chain of two tiny stages."""

import io
import sys
import types
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from llamalite import disk, pipeline, stages, terminal
from llamalite.artifacts import Artifact, drafting
from llamalite.pipeline import Events, run_one, run_stages
from llamalite.presets import get_preset
from llamalite.processes import Group
from llamalite.progress import pieces
from llamalite.stages import Stage, reads


@dataclass(frozen=True)
class SeedConfig:
    text: str = "acorn"


@dataclass(frozen=True)
class TreeConfig:
    times: int = 2


@dataclass(frozen=True)
class Preset:
    """As RunPreset, with the two stages of this file."""

    name: str = "forest"
    stages: tuple[str, ...] = ()
    acorn: SeedConfig = SeedConfig()
    tree: TreeConfig = TreeConfig()

    def config(self, stage):
        return getattr(self, stage)


class Recorder(Events):
    def __init__(self):
        self.ran, self.plan, self.notes, self.heard = [], [], [], []

    def planned(self, folder, rows):
        self.plan = [(stage.name, state) for stage, state in rows]

    def started(self, stage):
        self.ran.append(stage.name)

    def progressed(self, stage, parts):
        self.heard.append((stage.name, [part.text for part in parts]))

    def noticed(self, message):
        self.notes.append(message)


@pytest.fixture(autouse=True)
def chain(monkeypatch):
    def grow_acorn(config, inputs, draft, seed):
        (draft.path / "acorn.txt").write_text(f"{config.text}{seed}")

    def grow_tree(config, inputs, draft, seed):
        text = inputs["acorn"].file("acorn.txt").read_text()
        grown = [text for _ in pieces(range(config.times), "ring")]
        (draft.path / "tree.txt").write_text("".join(grown))

    for name, run in (("fake_acorn", grow_acorn), ("fake_tree", grow_tree)):
        module = types.ModuleType(name)
        module.run = run
        monkeypatch.setitem(sys.modules, name, module)
    chain = (
        Stage("acorn", "1", "sow", reads(), "fake_acorn"),
        Stage("tree", "2", "grow", reads("acorn"), "fake_tree"),
    )
    monkeypatch.setattr(stages, "STAGES", chain)


def run(out, preset=None, **options):
    events = Recorder()
    options.setdefault("until", "tree")
    artifacts = run_stages(preset or Preset(), 0, out, events=events, **options)
    return artifacts, events


def test_a_first_run_makes_all_and_a_second_nothing(tmp_path):
    artifacts, events = run(tmp_path)
    assert artifacts["tree"].file("tree.txt").read_text() == "acorn0acorn0"
    assert artifacts["tree"].path == tmp_path / "forest-seed0" / "tree"
    assert events.plan == [("acorn", "to do"), ("tree", "to do")]
    _, again = run(tmp_path)
    assert again.plan == [("acorn", "done"), ("tree", "done")]
    assert again.ran == []


def test_what_a_stage_tells_of_its_work_is_heard_under_its_name(tmp_path):
    _, events = run(tmp_path)
    told = [each for each in events.heard if each[1]]
    assert list(dict.fromkeys(text for _, [text] in told)) == ["ring 1 of 2", "ring 2 of 2"]
    assert {name for name, _ in told} == {"tree"}
    assert events.heard[-1] == ("tree", [])


def test_only_what_a_change_touches_runs_again(tmp_path):
    run(tmp_path)
    _, events = run(tmp_path, replace(Preset(), tree=TreeConfig(3)))
    assert events.ran == ["tree"]
    _, events = run(tmp_path, replace(Preset(), acorn=SeedConfig("nut"), tree=TreeConfig(3)))
    assert events.ran == ["acorn", "tree"]
    assert events.plan == [("acorn", "stale"), ("tree", "stale")]


def test_an_earlier_stage_that_comes_out_the_same_leaves_later_ones_fresh(tmp_path):
    run(tmp_path)
    _, events = run(tmp_path, force=("acorn",))
    assert events.ran == ["acorn"]


def test_a_stage_that_ends_shows_its_headline_and_one_without_all_its_metrics(
    tmp_path, monkeypatch
):
    run(tmp_path)
    tree = Artifact.open(tmp_path / "forest-seed0" / "tree")
    tree.metrics.update(height=3.14159, leaves=1000, birds="two", branches={"left": 1})
    shown = []
    for headlines in ({}, {"tree": ("leaves", "branches", "roots", "birds")}):
        monkeypatch.setattr(terminal, "HEADLINES", headlines)
        console = Console(file=io.StringIO(), width=200)
        terminal.TerminalEvents(console).finished(stages.STAGES[1], tree)
        shown.append(console.file.getvalue().partition(" s  ")[2].strip())
    assert shown == ["height 3.142  leaves 1000  birds two", "leaves 1000  birds two"]


@pytest.mark.parametrize("width", [80, 64])
def test_the_closing_table_names_the_folder_once_and_every_stage_whole(tmp_path, width):
    names = [f"rejection_sampling_{number}" for number in range(1, 6)]
    artifacts = {}
    for name in names:
        with drafting(tmp_path / name, name, SeedConfig(), {}, 0):
            pass
        artifacts[name] = Artifact.open(tmp_path / name)
    console = Console(file=io.StringIO(), width=width)
    terminal.TerminalEvents(console).ended(artifacts)
    shown = console.file.getvalue()
    assert all(shown.count(name) == 1 for name in names)
    assert shown.count(str(tmp_path)) == 1
    assert "…" not in shown


@pytest.mark.parametrize("kind", ["reward", "general_reward", "red_team", "sft"])
@pytest.mark.parametrize("lost", [0, 3])
def test_rows_that_were_left_out_are_counted_when_a_stage_ends(tmp_path, kind, lost):
    with drafting(tmp_path / kind, kind, SeedConfig("acorn"), {}, 0) as draft:
        draft.metrics.update(rejected_rows=lost, unusable_comparisons=2 * lost, pairs=40)
        if lost:
            (draft.path / "rejected.jsonl").write_text("{}\n")
    console = Console(file=io.StringIO(), width=200)
    stage = Stage(kind, "", "", {}, "")
    terminal.TerminalEvents(console).finished(stage, Artifact.open(tmp_path / kind))
    said = console.file.getvalue()
    assert ("rejected_rows 3  unusable_comparisons 6" in said) == bool(lost)
    assert ("rejected.jsonl" in said) == bool(lost)
    assert "rejected_rows 0" not in said


def test_one_stage_uses_the_inputs_that_stand_and_says_how_they_differ(tmp_path):
    changed = replace(Preset(), acorn=SeedConfig("nut"))
    run_one("acorn", changed, 0, tmp_path)
    events = Recorder()
    tree = run_one("tree", Preset(), 0, tmp_path, events=events)
    assert tree.file("tree.txt").read_text() == "nut0nut0"
    assert events.ran == ["tree"]
    assert 'text "nut" instead of "acorn"' in events.notes[0]


def test_what_one_stage_makes_first_is_named_before_it_is_made(tmp_path):
    class Order(Recorder):
        def noticed(self, message):
            self.notes.append((message, list(self.ran)))

    events = Order()
    run_one("tree", Preset(), 0, tmp_path, events=events)
    assert events.notes == [("tree reads what is missing; making first: acorn", [])]
    assert events.ran == ["acorn", "tree"]
    again = Order()
    run_one("tree", replace(Preset(), tree=TreeConfig(3)), 0, tmp_path, events=again)
    assert (again.notes, again.ran) == ([], ["tree"])


def test_what_is_stale_is_said_in_one_line(tmp_path, monkeypatch):
    folder = tmp_path / "forest-seed0"
    run(tmp_path)
    assert pipeline.why_stale(Preset(), 0, folder) == ""
    nut = replace(Preset(), acorn=SeedConfig("nut"))
    expected = 'stale against the preset forest: acorn.text "acorn" instead of "nut"'
    assert pipeline.why_stale(nut, 0, folder) == f"acorn, tree {expected}"
    assert pipeline.why_stale(nut, 0, folder, "acorn") == f"acorn {expected}"
    assert pipeline.why_stale(replace(Preset(), tree=TreeConfig(3)), 0, folder, "acorn") == ""
    assert "what they read has changed" in pipeline.why_stale(Preset(), 1, folder)  # another seed
    monkeypatch.setattr(pipeline, "code_hash", lambda: "another")
    assert pipeline.why_stale(Preset(), 0, folder) == "acorn, tree made by other code than today's"
    run(tmp_path, nut, until="acorn", force=("acorn",))
    assert pipeline.why_stale(nut, 0, folder) == (
        "tree stale against the preset forest: what they read has changed; "
        "acorn made by other code than today's"
    )


def test_a_damaged_artifact_is_named_not_silently_remade(tmp_path):
    artifacts, _ = run(tmp_path)
    artifacts["acorn"].file("acorn.txt").write_text("acor")
    with pytest.raises(ValueError, match=r"acorn\.txt is damaged: 4 instead of 6 bytes"):
        run(tmp_path)


def test_two_runs_in_one_folder_exclude_each_other(tmp_path):
    folder = tmp_path / "forest-seed0"
    with (
        disk.locked(folder),
        pytest.raises(ValueError, match="another run is working in"),
    ):
        run(tmp_path)
    run(tmp_path)  # free again


def test_unknown_stages_are_answered_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="unknown stage 'bush'; choose among acorn, tree"):
        run(tmp_path, until="bush")


def test_finished_stages_lists_what_stands(tmp_path):
    run(tmp_path, until="acorn")
    found = pipeline.finished_stages(tmp_path / "forest-seed0")
    assert list(found) == ["acorn"]
    assert isinstance(found["acorn"], Artifact)
    assert isinstance(found["acorn"].path, Path)


@pytest.mark.parametrize(
    ("kind", "where", "complaint"),
    [
        ("reward", "parallel", "64 processes and 1 started; start 64"),
        ("rejection_sampling", "refit.parallel", "64 processes and 1 started; start 64"),
        ("general_reward", "training.parallel", "64 processes and 1 started; start 64"),
        ("ghost_attention", "tuning.parallel", "64 processes and 1 started; start 64"),
        ("safety", "tuning.parallel", "64 processes and 1 started; start 64"),
        ("red_team", "feedback.tuning.parallel", "64 processes and 1 started; start 64"),
    ],
)
def test_stages_that_would_wait_for_processes_nobody_started_are_refused(kind, where, complaint):
    stage = Stage(f"{kind}_5", "", "", reads(), "", round=5)
    config = get_preset("7b").config(kind)
    with pytest.raises(ValueError, match=rf"^{kind}\.{where} is set up for {complaint}"):
        pipeline.check_processes(stage, config, Group())
    pipeline.check_processes(stage, get_preset("laptop").config(kind), Group())
