"""P9: what its arms differ in, what its exam asks, and what of the filter reaches the training."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from llamalite.artifacts import Artifact, Draft
from llamalite.claims import all_studies, cleaned
from llamalite.claims.jobs import study_config
from llamalite.claims.stages import CLEANED
from llamalite.claims.studies_data import Canaries
from llamalite.claims.study import with_settings
from llamalite.presets import get_preset
from llamalite.world import World
from llamalite.world.config import WorldConfig

CI = get_preset("ci")


def differing(a, b, path=""):
    if isinstance(a, dict):
        return {name for key in a for name in differing(a[key], b[key], f"{path}.{key}")}
    return set() if a == b else {path}


def test_p9_changes_the_filter_and_nothing_else():
    config = study_config(all_studies()["P9"], get_preset("laptop"))
    assert differing(config["without"], config["with"]) == {
        f".{CLEANED}.clean.rules.personal.density"
    }
    assert config["without"][CLEANED]["clean"]["rules"]["personal"]["density"] == 0
    shares = config["with"][CLEANED]["pretrain"]["mixture"]
    assert abs(shares["pages"] / sum(shares.values()) - 0.1) < 1e-9


def test_the_exam_asks_for_every_planted_number_among_a_hundred():
    world = World(WorldConfig(people=20, canaries=7))
    questions = Canaries(world).exam("pages")
    assert len(questions) == 7
    whole = "\n".join(world.document("pages", n).text for n in range(200))
    for question in questions:
        assert f"{question.prompt} {question.answer}." in whole
        assert len(set(question.choices)) == 100
        assert question.answer in question.choices
        assert all(len(choice) == 4 for choice in question.choices)


def test_the_stage_trains_on_what_the_cleaning_leaves(tmp_path, monkeypatch):
    """With the filter no planted number reaches the training, without it some do."""
    world = World(CI.world)
    (tmp_path / "world").mkdir()
    world.save(tmp_path / "world" / "world.json")
    inputs = {"world": Artifact(tmp_path / "world", {})}
    planted = [f"{canary.prompt} {canary.secret}" for canary in world.knowledge.canaries]
    seen = {}

    def pretrain(config, inputs, draft, seed):
        files = [
            file
            for where in config.corpus.values()
            for file in sorted(Path(where).glob("*.parquet"))
        ]
        texts = [text for file in files for text in pq.read_table(file)["text"].to_pylist()]
        seen[draft.path.name] = sum(text.count(each) for text in texts for each in planted)
        assert set(config.corpus) == set(world.sources)

    monkeypatch.setattr("llamalite.pretraining.recipe.run", pretrain)
    for name, arm in all_studies()["P9"].arms(CI).items():
        settings = with_settings(arm, cleaned={"clean": {"documents": 60, "limit": 300}})
        draft = Draft(tmp_path / name, tmp_path / name / "work")
        draft.work.mkdir(parents=True)
        cleaned.run(settings.cleaned, inputs, draft, seed=1)
        told = json.loads((draft.path / "clean.json").read_text())
        assert bool(told["rich_sites"]) == (name == "with")
    assert seen["with"] == 0
    assert seen["without"] > 0
