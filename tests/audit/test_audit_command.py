"""`llamalite audit` as a person calls it, on every kind of corpus."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llamalite.audit.words import AXES
from llamalite.cli import main

TEXTS = ["She sang.", "He and she sang. Hell!", "The sea is wide.", "I like Korean food."]


def call(folder, **options):
    given = {"out": folder / "out"} | options
    assert main(["audit", *(part for k, v in given.items() for part in (f"--{k}", str(v)))]) == 0
    return json.loads((folder / "out" / "audit.json").read_text())


def test_files_of_every_kind_say_the_same(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text("\n".join(TEXTS))
    found = [call(tmp_path, corpus=tmp_path / f"a.{kind}") for kind in ("jsonl", "parquet", "txt")]
    told = capsys.readouterr().out
    assert "gendered pronouns" in told
    assert "50.00% she 100.0%, he 50.0%" in " ".join(told.split())
    for each in found:
        each.pop("corpus")
        assert each == found[0]
    assert found[0]["documents"] == 4
    assert "own list, 120 descriptors on 5 axes" in found[0]["detectors"]["demographics"]
    assert "demographics: llamalite's own list, 120" in " ".join(told.split())
    assert found[0]["demographics"]["nationality"] == {"documents": 0.25, "of_them": {"korean": 1}}
    assert found[0]["toxicity"]["share"] == 0.25
    [worst] = map(json.loads, (tmp_path / "out" / "toxic.jsonl").read_text().splitlines())
    assert (worst["document"], worst["score"], worst["text"]) == (1, 1.0, TEXTS[1])
    for name in ("skew", "demographics", "toxicity", "languages"):
        assert (tmp_path / "out" / f"{name}.svg").read_text().startswith("<svg")


def test_help_names_the_list_of_descriptors_and_its_size(capsys):
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    size = sum(len(axis) for axis in AXES.values())
    assert f"our own list of {size} English ones on five axes" in shown


def test_every_second_document_and_no_more_than_some(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(TEXTS))
    assert call(tmp_path, corpus=tmp_path / "a.txt", every=2)["documents"] == 2
    found = call(tmp_path, corpus=tmp_path / "a.txt", documents=3)
    assert found["pronouns"]["documents"] == pytest.approx(2 / 3, abs=1e-6)


def test_the_micro_world_knows_whether_the_audit_is_right(tmp_path, capsys):
    found = call(tmp_path, corpus="world:ci", documents=400)
    assert set(found["sources"]) >= {"encyclopedia", "toxic", "lumo"}
    assert sum(each["documents"] for each in found["sources"].values()) == found["documents"]
    truth = found["toxicity_truth"]
    assert truth["share"] == pytest.approx(0.01, abs=0.001)
    assert truth["recall"] == 1
    assert truth["precision"] > 0.5
    assert found["toxicity"]["share"] * truth["precision"] == pytest.approx(
        truth["share"] * truth["recall"], abs=1e-5
    )
    assert found["demographics"]["town"]["of_them"]
    assert "toxic in truth 1.00%" in capsys.readouterr().out


def test_false_alarms_are_told_where_nothing_is_toxic(tmp_path, capsys):
    (tmp_path / "every.txt").write_text("the")
    toxicity = tmp_path / "every.txt"
    truth = call(tmp_path, corpus="world:ci", documents=20, toxicity=toxicity)["toxicity_truth"]
    assert truth == {"share": 0, "precision": 0, "recall": None}
    assert "precision 0.0%, recall not defined" in capsys.readouterr().out


def test_packaged_text(tmp_path):
    found = call(tmp_path, corpus="packaged:bible", documents=20)
    assert found["languages"]["documents"] == {"en": 1.0}
    assert found["pronouns"]["of_them"]["he"] > found["pronouns"]["of_them"]["she"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"corpus": "nowhere.jsonl"}, "no file fits 'nowhere.jsonl'"),
        ({"corpus": "world:huge"}, "unknown preset 'huge'"),
        ({"corpus": "packaged:songs"}, "no packaged text is called 'songs'"),
        ({"toxicity": "nowhere.jsonl"}, "which is no file"),
        ({"every": 0}, "every is 0"),
        ({"corpus": "world:ci", "every": 10}, "limit it with --documents"),
        ({"documents": -1}, "documents is -1"),
    ],
)
def test_one_line_about_what_is_wrong(tmp_path, options, told, capsys):
    with pytest.raises(SystemExit) as stopped:
        call(tmp_path, **options)
    assert stopped.value.code == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()
