"""The report of a made-up run: complete, self-contained, and proof against the texts in it."""

import json
import math
import re
from types import SimpleNamespace

import pytest
from report_run import HOSTILE, KINDS, Page, chat_results, make_run, score

from llamalite.artifacts import drafting, write_json
from llamalite.report import collect, write_report
from llamalite.report.alignment import rounds
from llamalite.report.data import read_metrics, tokens_by_source


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> SimpleNamespace:
    folder = make_run(tmp_path_factory.mktemp("runs") / "ci-seed3")
    page = write_report(folder)
    html = page.read_text(encoding="utf-8")
    data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return SimpleNamespace(folder=folder, path=page, html=html, page=Page(html), data=data)


def test_the_page_fetches_nothing_and_runs_nothing(run):
    assert run.path.name == "report.html"
    for tag, attributes in run.page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "srcset"):
            address = attributes.get(name, "#")
            if tag != "a":
                assert address.startswith(("#", "data:")), (tag, address)
            else:
                assert address.startswith(("#", "https://arxiv.org/")), address
    assert not re.search(r"url\((?!#)|@import", run.html)
    policy = next(a["content"] for t, a in run.page.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_the_page_says_what_was_run(run):
    text = " ".join(run.page.text.split())
    for words in ("ci, seed 3", "1M parameters", "1.97M tokens read", "2.3, 3.4"):
        assert words in text
    for stage in ("world", "tokenizer", "pretrain", "sft", "evaluate"):
        assert f'<th scope="row"><a href="#stage-{stage}">{stage}</a></th>' in run.html


def test_every_figure_has_a_caption_with_its_source_and_words_for_the_blind(run):
    figures = re.findall(r"<figure>.*?</figure>", run.html, re.DOTALL)
    assert len(figures) >= 11
    for figure in figures:
        assert re.search(r"Source: <code>(pretrain|sft|evaluate)/\w+\.(csv|json)</code>", figure)
        assert re.search(r'<svg [^>]*role="img"[^>]*aria-label="[^"]{20,}"', figure)
        source = re.search(r"Source: <code>([^<]+)", figure)[1]
        assert (run.folder / source).is_file()


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(run):
    ids = [attributes["id"] for _, attributes in run.page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for _, a in run.page.tags if a.get("href", "").startswith("#")}
    assert targets <= set(ids)


def test_it_reads_on_a_phone_and_in_the_dark(run):
    viewport = next(a["content"] for t, a in run.page.tags if a.get("name") == "viewport")
    assert "width=device-width" in viewport
    assert "prefers-color-scheme: dark" in run.html
    assert "max-width: 640px" in run.html


def test_the_numbers_of_the_page_are_those_of_the_json(run):
    expected = run.data["chat"]["chat"]["helpfulness"]["all"]
    assert f"{expected['mean']:.2f}" in run.page.text
    assert expected["n"] == 6 * 12
    assert f"{run.data['base']['base']['exams']['facts']['greedy']['mean']:.0%}" in run.page.text
    assert run.data["model"]["parameters"] == 1_000_576  # 262144 + 4 x 184576 + 128, by hand
    assert run.data["model"]["tokens"] == 1_966_080


@pytest.mark.parametrize(
    ("good", "says"),
    [(0.95, "is more helpful"), (0.4, "is not shown to be more helpful"), (0.1, "is less helpful")],
)
def test_the_result_says_whether_tuning_helped(tmp_path, good, says):
    folder = make_run(tmp_path / "ci-seed3", good=good)  # the base model's replies are at 0.4
    text = " ".join(Page(write_report(folder).read_text()).text.split())
    assert f"The chat model {says} than the base model" in text
    assert text.count("helpful than the base model") == 1
    gain = json.loads((folder / "report.json").read_text())["gain"]
    wave = [0.5 + 0.5 * math.sin(7.0 * i) for i in range(12)]  # each kind's replies, see `graded`
    assert gain["mean"] == pytest.approx((good - 0.4) * sum(wave) / 12, abs=2e-3)
    assert gain["n"] == 6 * 12
    assert f"{gain['mean']:+.2f} in the mean" in text


def test_what_was_not_measured_is_called_so(tmp_path):
    folder = make_run(tmp_path / "ci-seed3", kinds=("facts",))
    text = " ".join(Page(write_report(folder).read_text()).text.split())
    data = json.loads((folder / "report.json").read_text())
    nothing = {"mean": None, "low": None, "high": None, "n": 0}
    assert data["chat"]["chat"]["violations"]["all"] == nothing
    assert data["chat"]["chat"]["false_refusals"]["borderline"] == nothing
    assert data["stages"][-1]["metrics"]["violations"] is None
    assert "unsafe replies not measured to adversarial prompts (SFT model); less is better" in text
    assert "false refusals, borderline not measured not measured" in text
    assert "None" not in text


def test_a_run_without_ordinary_prompts_has_no_such_result(tmp_path):
    folder = make_run(tmp_path / "ci-seed3", kinds=("borderline",))
    assert "than the base model" not in write_report(folder).read_text()
    assert json.loads((folder / "report.json").read_text())["gain"] is None


def test_held_out_losses_in_a_file_of_their_own_are_drawn(run):
    rows = run.data["training"]["sft"]["rows"]
    assert rows[-1] == {"step": 50, "held_out_loss": 2.75}
    assert "held out loss ends at 2.75" in run.html


def test_single_items_stay_out_of_the_json(run):
    assert "secret item" not in json.dumps(run.data)


def test_texts_cannot_inject_markup_or_templates(tmp_path):
    folder = make_run(tmp_path / "<i>x-seed3", reply=HOSTILE)
    html = write_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert not {"script", "img", "i"} & {tag for tag, _ in page.tags}
    assert "{{ 7 * 7 }}" in page.text
    assert "<script>alert('x')</script>" in page.text
    assert "\x00" not in html
    assert "\x1b" not in html


def test_a_run_stopped_half_way_is_shown_as_far_as_it_went(tmp_path):
    html = write_report(make_run(tmp_path / "ci-seed3", until="pretrain")).read_text()
    assert "Pretraining loss" in html
    assert "How they talk" not in html
    html = write_report(make_run(tmp_path / "b-seed3", until="world")).read_text()
    assert "What was run" in html


def test_an_empty_folder_is_one_clear_line(tmp_path):
    with pytest.raises(ValueError, match="no finished stage"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_artifact_is_refused(tmp_path):
    folder = make_run(tmp_path / "ci-seed3")
    (folder / "evaluate" / "chat.json").write_text("{}")
    with pytest.raises(ValueError, match=r"chat\.json is damaged"):
        write_report(folder)


def test_metrics_skip_what_is_no_finite_number(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text("step,loss,lr\n1,2.5,\n2,nan,0.1\n3,oops,inf\n")
    assert read_metrics(file) == [{"step": 1, "loss": 2.5}, {"step": 2, "lr": 0.1}, {"step": 3}]


def test_the_mixture_is_read_in_either_form():
    expected = {"stories": 10, "lumo": 5}
    assert (
        tokens_by_source({"tokens_by_source": {"stories": 10, "lumo": 5, "toxic": 0}}) == expected
    )
    rows = [{"source": "stories", "tokens": 10}, {"source": "lumo", "tokens": 5}]
    assert tokens_by_source({"mixture": rows}) == expected
    assert tokens_by_source({}) == {}


def test_collecting_twice_gives_the_same(run):
    assert collect(run.folder) == collect(run.folder)


def test_a_round_that_sampled_nothing_itself_has_no_curves(tmp_path):
    folder = make_run(tmp_path / "ci-seed3", until="world")
    for stage, results in (("reward_1", {"models": {}}), ("rejection_sampling_1", None)):
        with drafting(folder / stage, stage, {}, {}, 3) as draft:
            if results is not None:
                write_json(draft.path / "test.json", results)
    assert collect(folder)["judges"] == {"1": {"accuracy": {}, "curves": []}}
    assert "What was run" in write_report(folder).read_text()


def test_the_versions_are_shown_as_every_judge_sees_them():
    gold = chat_results(0.5, "It is.", KINDS)
    wins = {
        judge: {"half_ties": score(mean)}
        for judge, mean in (
            ("raters", 0.52),
            ("reward model", 0.71),
            ("general reward model", 0.47),
        )
    }
    versions = {"SFT": {"gold": gold}, "V1": {"gold": gold, "wins": {"helpfulness": wins}}}
    drawn = list(rounds(versions))[-1].drawing.svg()
    assert "general reward model: V1 0.47" in drawn
    del wins["general reward model"]  # of a run made before there was one
    assert "reward model: V1 0.71" in list(rounds(versions))[-1].drawing.svg()
