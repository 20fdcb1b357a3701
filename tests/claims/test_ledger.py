"""The ledger reads result files and nothing else."""

import json
from collections import Counter

import pytest

from llamalite.claims import CLAIMS, ledger, ledger_markdown, load_result, parse_ids, print_ledger
from llamalite.claims.ledger import result_markdown
from llamalite.claims.results import load_results, make_result, write_result
from llamalite.claims.rules import Above, Exact, Greater, Rule
from llamalite.world import EDITION

PROVENANCE = {
    **{"config_hash": "c" * 64, "config": {}, "seconds": 5.0, "peak_memory_bytes": 10**9},
    **{"git_commit": "0123456789abcdef", "git_changes": ["llamalite/plan.py"]},
}
RULE = Rule("better is better", (Greater("better", "worse"),))


def record(folder, claim, good):
    measured = [{"better": [good, good], "worse": [0.5, 0.5]} for _ in range(3)]
    result = make_result(CLAIMS[claim], RULE, "ci", [1, 2, 3], measured, PROVENANCE)
    write_result(folder, result)
    return result


@pytest.fixture
def folder(tmp_path):
    record(tmp_path, "P1", 0.9)
    record(tmp_path, "S1", 0.1)
    record(tmp_path, "S2", 0.5)
    return tmp_path


def test_all_sixty_claims_by_group():
    groups = Counter(name[0] for name in CLAIMS)
    assert groups == {"P": 13, "S": 3, "R": 11, "L": 10, "G": 3, "E": 3, "F": 9, "D": 3, "W": 5}
    assert len(CLAIMS) == 60
    assert all(claim.statement and claim.paper for claim in CLAIMS.values())


def test_counts_cover_every_claim(folder):
    summary = ledger("ci", folder)
    assert summary["claims"]["P1"] == "holds"
    assert summary["claims"]["S1"] == "contradicted"
    assert summary["claims"]["S2"] == "not_shown"
    assert summary["claims"]["W5"] == "unmeasured"
    counts = {key: summary[key] for key in ("holds", "not_shown", "contradicted", "unmeasured")}
    assert counts == {"holds": 1, "not_shown": 1, "contradicted": 1, "unmeasured": 57}
    assert list(summary["claims"]) == list(CLAIMS)


def test_json_output_is_one_object(folder, capsys):
    print_ledger("ci", as_json=True, folder=folder)
    assert json.loads(capsys.readouterr().out) == ledger("ci", folder)


def test_table_names_every_claim(folder, capsys):
    print_ledger("ci", folder=folder)
    shown = capsys.readouterr().out
    assert all(name in shown for name in CLAIMS)


def test_a_result_file_can_be_judged_again(folder):
    for result in load_results("ci", folder).values():
        verdict, findings = RULE.judge(result["measurements"])
        assert verdict == result["verdict"]
        assert [f.condition for f in findings] == [f["condition"] for f in result["findings"]]
        assert result["per_seed"]["worse"] == [0.5, 0.5, 0.5]
        assert set(result) >= {"seeds", "scale", "git_commit", "versions", "config_hash", "rule"}


def test_book_page_has_a_row_for_every_claim(folder):
    page = ledger_markdown("ci", folder)
    rows = [line for line in page.splitlines() if line.startswith("| ") and "| id |" not in line]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == list(CLAIMS)
    assert "+0.4 [+0.4, +0.4] (3 seeds)" in page
    note = result_markdown("P1", "ci", folder)
    assert "better is better" in note
    assert "0.4 to 0.4" in note
    assert "commit 0123456789 with 1 source files changed" in note


def test_an_exact_claim_says_how_far_it_is_from_the_printed_numbers(tmp_path):
    rule = Rule("as printed", (Exact({"a": (0.12, 2), "b": (30, -1)}),))
    # 0.124 is 0.4 hundredths from 0.12, and 33 is 0.3 tens from 30
    result = make_result(CLAIMS["E3"], rule, "ci", [1], [{"a": 0.124, "b": 33.0}], PROVENANCE)
    write_result(tmp_path, result)
    note, page = result_markdown("E3", "ci", tmp_path), ledger_markdown("ci", tmp_path)
    for shown in (note, page):
        assert "off by 0.4 units of its last printed digit, where up to 0.5 is rounding" in shown
    assert "mean" not in note
    assert "| 95 % interval |" not in note


def test_bars_in_a_condition_do_not_part_its_cell(tmp_path):
    rule = Rule("far from zero", (Above("|Z|, with plants", 2.0),))
    found = [{"|Z|, with plants": [2.5, 2.7, 2.6]}] * 3
    write_result(tmp_path, make_result(CLAIMS["P13"], rule, "ci", [1, 2, 3], found, PROVENANCE))
    note = result_markdown("P13", "ci", tmp_path)
    heading, _, row = [line for line in note.splitlines() if line.startswith("|")]
    assert "\\|Z\\|, with plants" in row
    assert row.replace("\\|", "").count("|") == heading.count("|")


def test_what_is_asked_besides_has_a_table_of_its_own(tmp_path):
    rule = Rule("better", (Greater("better", "worse"),), besides=(Above("better", 0.95),))
    found = [{"better": [0.9, 0.9], "worse": [0.5, 0.5]}] * 3
    write_result(tmp_path, make_result(CLAIMS["L8"], rule, "ci", [1, 2, 3], found, PROVENANCE))
    before, after = result_markdown("L8", "ci", tmp_path).split("Asked besides")
    assert "| better > worse | 0.4 |" in before
    assert "| better > 0.95 | 0.9 |" in after
    assert "better > 0.95" not in ledger_markdown("ci", tmp_path)


@pytest.mark.parametrize(
    ("edition", "marked"), [(EDITION - 1, True), (EDITION, False), (None, False)]
)
def test_results_of_an_earlier_world_are_marked(tmp_path, edition, marked):
    measured = [{"better": [0.9, 0.8], "worse": [0.5, 0.5]}] * 3
    provenance = PROVENANCE | {"world_edition": edition}
    result = make_result(CLAIMS["P1"], RULE, "ci", [1, 2, 3], measured, provenance)
    write_result(tmp_path, result)
    for shown in (result_markdown("P1", "ci", tmp_path), ledger_markdown("ci", tmp_path)):
        assert (f"world of edition {EDITION - 1}" in shown) == marked


def test_damaged_and_missing_files_name_the_remedy(folder):
    with pytest.raises(ValueError, match="llamalite claims --ids P2 --preset ci"):
        load_result("P2", "ci", folder)
    (folder / "ci" / "P1.json").write_text('{"verdict": "hol')
    with pytest.raises(ValueError, match="damaged"):
        ledger("ci", folder)


def test_ids_are_parsed_and_unknown_ones_named():
    assert parse_ids("p1, S2,P1") == ["P1", "S2"]
    assert parse_ids("all") == list(CLAIMS)
    with pytest.raises(ValueError, match="P99"):
        parse_ids("P1,P99")
