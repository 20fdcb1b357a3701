"""Claims are measured, kept and resumed."""

import json
import subprocess

import pytest

from llamalite.claims import all_studies, ledger, run_claims
from llamalite.claims.results import code_state
from llamalite.claims.worked_examples import WORKED_EXAMPLES


def test_exact_claims_hold_and_are_recorded(tmp_path):
    found = run_claims("P7,P8,E3", 3, "ci", tmp_path / "out", tmp_path / "runs", quiet=True)
    assert {name: result["verdict"] for name, result in found.items()} == {
        "P7": "holds",
        "P8": "holds",
        "E3": "holds",
    }
    summary = ledger("ci", tmp_path / "out")
    assert summary["holds"] == 3
    assert summary["unmeasured"] == 57
    file = json.loads((tmp_path / "out" / "ci" / "P7.json").read_text())
    assert file["per_seed"]["70b parameters"] == [68_976_648_192]
    assert file["seeds"] == [1]
    assert file["scale"] == "ci"
    assert "7b GPU hours" not in found["P8"]["per_seed"]  # an input
    assert found["P8"]["per_seed"]["total GPU hours"] == [3_311_616]
    assert "sqrt(1 - 1/n)" in found["E3"]["rule"]


def test_a_kept_measurement_is_read_not_made_again(tmp_path, monkeypatch):
    run_claims("E3", 1, "ci", tmp_path / "out", tmp_path / "runs", quiet=True)
    study = all_studies()["E3"]

    def never(finished):
        raise AssertionError("measured again")

    monkeypatch.setitem(
        all_studies.__globals__["STUDIES"],
        "E3",
        study.__class__(study.claim, study.rule, never, study.arms, study.until),
    )
    again = run_claims("E3", 1, "ci", tmp_path / "out2", tmp_path / "runs", quiet=True)
    assert again["E3"]["verdict"] == "holds"
    kept = next((tmp_path / "runs").rglob("E3-*.json"))
    kept.write_text(kept.read_text()[:40])  # cut off, as by a full disk
    with pytest.raises(AssertionError, match="measured again"):
        run_claims("E3", 1, "ci", tmp_path / "out2", tmp_path / "runs", quiet=True)


def test_a_wrong_number_contradicts(tmp_path, monkeypatch):
    from llamalite.claims import studies_exact

    monkeypatch.setattr(studies_exact, "_agreement", lambda example: _shifted(example))
    found = run_claims("E3", 1, "ci", tmp_path / "out", tmp_path / "runs", quiet=True)
    assert found["E3"]["verdict"] == "contradicted"


def _shifted(example):
    from llamalite.evaluation.agreement import Agreement

    right = {field: value for field, (value, _) in example.printed.items()}
    if example is WORKED_EXAMPLES[0]:
        right["coefficient"] += 2e-5  # two units of the last printed digit
    return Agreement(**{field: right.get(field, 0.0) for field in Agreement._fields})


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one committed source file of a package, as the one that runs."""
    package = tmp_path / "repository" / "llamalite"
    package.mkdir(parents=True)
    (package / "plan.py").write_text("one = 1\n")
    git = ["git", "-C", str(package.parent), "-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr("llamalite.claims.results.PACKAGE", package)
    return package


def test_results_name_the_commit_and_the_changed_sources(checkout, tmp_path, capsys):
    def measured():
        results = run_claims("E3", 1, "ci", tmp_path / "out", tmp_path / "runs")
        return results["E3"], " ".join(capsys.readouterr().out.split())

    head = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    (checkout.parent / "results.json").write_text("{}")
    (checkout / "notes.txt").write_text("no source")
    result, shown = measured()
    assert (result["git_commit"], result["git_changes"]) == (commit, [])
    assert "WARNING" not in shown
    (checkout / "plan.py").write_text("one = 2\n")
    (checkout / "new.py").write_text("")
    result, shown = measured()
    assert result["git_commit"] == commit
    assert result["git_changes"] == ["llamalite/new.py", "llamalite/plan.py"]
    assert "2 source file(s) differ" in shown
    assert shown.index("WARNING") < shown.index("E3 holds")
    file = json.loads((tmp_path / "out" / "ci" / "E3.json").read_text())
    assert file["git_changes"] == result["git_changes"]


def test_outside_a_checkout_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr("llamalite.claims.results.PACKAGE", tmp_path)
    state = code_state()
    assert (state["git_commit"], state["git_changes"]) == (None, [])
    assert len(state["code_hash"]) == 64


def test_bad_requests_are_one_line(tmp_path):
    for ids, seeds, preset, named in (
        ("P99", 1, "ci", "P99"),
        ("W5", 1, "ci", "W5 cannot be measured yet"),
        ("E3", 0, "ci", "at least one"),
        ("E3", 1, "huge", "huge"),
    ):
        with pytest.raises(ValueError, match=named):
            run_claims(ids, seeds, preset, tmp_path, tmp_path, quiet=True)
