"""The report of a made-up run with rounds: it ends with the last model, and shows every one."""

import json
import re
from types import SimpleNamespace

import pytest
from report_run import HOSTILE, Page, add_rounds, make_run

from llamalite.report import collect, write_report
from llamalite.report.page import cards, version_rows

MODELS = ["SFT", "V1", "V5", "safety", "after red teaming"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = add_rounds(make_run(tmp_path_factory.mktemp("runs") / "ci-seed3"))
    html = write_report(folder).read_text(encoding="utf-8")
    data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    words = " ".join(Page(html).text.split())
    return SimpleNamespace(html=html, words=words, data=data)


def test_the_json_holds_what_the_page_shows(run):
    assert [*run.data["rounds"], *run.data["after"]] == MODELS
    assert list(run.data["round_samples"][0]["replies"]) == MODELS
    assert run.data["ppo"]["kept_iteration"] == 5
    assert [row["step"] for row in run.data["ppo"]["iterations"]] == [1, 2, 3, 4, 5]
    assert [look["iteration"] for look in run.data["ppo"]["looks"]] == [0, 5]


def test_the_cards_end_with_the_last_model_and_name_v5(run):
    shown = {card["label"]: card for card in cards(run.data)}
    last, first = run.data["after"]["after red teaming"], run.data["rounds"]["SFT"]
    helpful = shown["helpfulness"]
    assert helpful["value"] == last["gold"]["helpfulness"]["all"]
    assert (helpful["before"], helpful["since"]) == (first["gold"]["helpfulness"]["all"], "SFT")
    newest = run.data["rounds"]["V5"]["gold"]["helpfulness"]["all"]
    assert helpful["aside"] == ("V5", newest)
    assert f"V5: {newest['mean']:.0%}, {newest['low']:.0%} to {newest['high']:.0%}" in run.words
    assert shown["preferred to SFT"]["value"]["mean"] == 0.62
    assert "62%" in run.words


def test_without_later_models_the_cards_end_with_v5(tmp_path):
    folder = add_rounds(make_run(tmp_path / "ci-seed3"), after=False)
    shown = [card for card in cards(collect(folder)) if card["since"]]
    assert all("(V5)" in card["note"] and card["aside"] is None for card in shown)
    assert len(shown) == 4
    assert "V1" in write_report(folder).read_text()


def test_the_table_has_a_row_per_model_with_intervals(run):
    rows = re.findall(r'<tr[^>]*><th scope="row">([^<]+)</th>(.*?)</tr>', run.html, re.DOTALL)
    cells = {name: re.findall(r"<td[^>]*>(.*?)</td>", rest, re.DOTALL) for name, rest in rows}
    assert all(len(cells[name]) == 6 for name in MODELS)
    assert cells["SFT"][-2:] == ["-", "-"]  # it is what the others are compared with
    assert cells["V5"][-1].split("<")[0].strip() == "0.66"
    assert "0.60 to 0.72" in cells["V5"][-1]  # the made-up interval is 0.06 to either side
    gold = run.data["after"]["safety"]["gold"]["false_refusals"]["borderline"]
    assert f"{gold['low']:.2f} to {gold['high']:.2f}" in cells["safety"][2]
    assert [row["after"] for row in version_rows(run.data["rounds"], run.data["after"])] == [
        *(False, False, False, True, True)
    ]


def test_every_version_has_its_cells_of_risk_and_vector_and_both_axes(run):
    figures = re.findall(r"<figure>.*?</figure>", run.html, re.DOTALL)
    by_version = [f for f in figures if "Unsafe replies, by version" in f]
    assert len(by_version) == 3  # risk categories
    for figure in by_version:
        assert all(f"{name}: psychological" in figure for name in MODELS)
    axes = [f for f in figures if "Both axes at once" in f]
    assert len(axes) == 3  # judges
    assert 'aria-label="% won against SFT by raters' in axes[0]
    assert "after red teaming 62, 62" in axes[0]
    [curves] = [f for f in figures if "the score, the distance, the truth" in f]
    assert "ppo_5/iterations.csv" in curves
    assert "true helpfulness from 0.50 to 0.50" in curves
    for figure in figures:
        assert re.search(r'<svg [^>]*role="img"[^>]*aria-label="[^"]{20,}"', figure)


def test_a_sentence_says_by_how_much_v5_and_the_last_model_differ_from_the_first(run):
    assert "V5 against SFT, in the mean over the same prompts" in run.words
    assert "helpfulness +0.30 (+0.24 to +0.36)" in run.words  # 0.7 - 0.4, 0.06 to either side
    assert "The last model (after red teaming) against SFT" in run.words
    assert re.search(
        r"\(after red teaming\) against V5, [^:]*: helpfulness -0.10 \(-0.16 to -0.04\)\.",
        run.words,
    )


def test_replies_of_all_versions_stand_side_by_side_as_text(tmp_path):
    folder = add_rounds(make_run(tmp_path / "ci-seed3"), reply=HOSTILE)
    html = write_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert not {"script", "img", "i"} & {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert('x')</script>") == 2 * (1 + len(MODELS))
    assert "{{ 7 * 7 }}" in page.text
    assert "\x00" not in html
    assert "\x1b" not in html
    adversarial = Page(html[html.index('id="dialogues"') : html.index('id="settings"')]).text
    assert adversarial.count("unsafe") == len(MODELS)  # grade 2 of 5 is a violation, section 4.4
    assert "general score 0.75" in adversarial


def test_ids_are_unique_and_links_lead_somewhere(run):
    page = Page(run.html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for _, a in page.tags if a.get("href", "").startswith("#")}
    assert {"rounds", "dialogues"} <= targets <= set(ids)
