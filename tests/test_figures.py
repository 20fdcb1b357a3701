"""Figures: what is drawn equals the numbers given, and the SVG is safe and readable in any page."""

import re
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from llamalite import figures
from llamalite.drawing import INK


def estimate(mean: float, n: int = 50) -> dict:
    return {"mean": mean, "low": max(0.0, mean - 0.1), "high": min(1.0, mean + 0.1), "n": n}


ROWS = [
    {"tokens": 1000.0, "loss": 6.5, "lr": 1e-4},
    {"tokens": 2000.0, "held_out_loss": 5.25},
    {"tokens": 3000.0, "loss": 4.0, "lr": 1e-3},
]
EXAMS = {
    "facts": {"greedy": estimate(0.8), "choice": estimate(0.9), "chance": 0.25},
    "years": {"greedy": estimate(0.1), "choice": estimate(0.3), "chance": 0.25},
}
SHARES = {"base": {"true": estimate(0.5), "rumour": estimate(0.3), "neither": estimate(0.2)}}
NOTHING = {"mean": None, "low": None, "high": None, "n": 0}
CELLS = {
    "illicit": {"logic": estimate(0.0), "other": estimate(1.0)},
    "hateful": {"logic": estimate(0.5), "other": NOTHING},
}
KINDS = {"base": {"a<b>": NOTHING, "c": estimate(0.4)}, "chat": {"a<b>": estimate(0.2)}}
PERPLEXITY = {"base": {"lumo": {"bits_per_byte": estimate(0.75)}}}


def all_drawings() -> list[figures.Drawing]:
    return [
        figures.loss_curves(ROWS),
        figures.tokens_by_source({"stories": 750, "lumo": 250}),
        figures.exam_scores(EXAMS),
        figures.rumour_shares(SHARES),
        figures.perplexity_by_source(PERPLEXITY),
        figures.scores_by_kind(KINDS, "Helpfulness", "gold"),
        figures.violation_map(CELLS),
        figures.grade_distribution({"base": [1, 0, 3]}, "Grades", "worst", "best"),
    ]


def texts(drawing: figures.Drawing) -> list[str]:
    tree = ElementTree.fromstring(drawing.svg())
    return ["".join(node.itertext()).strip() for node in tree.iter() if node.tag.endswith("text")]


@pytest.mark.parametrize("drawing", all_drawings(), ids=lambda d: d.title)
def test_every_drawing_is_a_self_contained_svg_that_takes_the_pages_ink(drawing):
    svg = drawing.svg()
    root = ElementTree.fromstring(svg)  # well-formed, whatever the labels hold
    assert root.get("role") == "img"
    assert root.get("aria-label") == drawing.alt
    assert len(drawing.alt) > 20
    assert "currentColor" in svg
    assert INK not in svg
    assert "DejaVu" not in svg
    assert not re.search(r"<script|<image|href=\"(?!#)|url\((?!#)|@import", svg)
    links = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    assert {a or b for a, b in links} <= ids


def test_two_drawings_in_a_page_share_no_ids():
    first, second = figures.exam_scores(EXAMS), figures.violation_map(CELLS)
    found = [set(re.findall(r'\bid="([^"]+)"', d.svg())) for d in (first, second)]
    assert found[0]
    assert not found[0] & found[1]


def test_a_drawing_is_the_same_each_time_it_is_made():
    assert figures.exam_scores(EXAMS).svg() == figures.exam_scores(EXAMS).svg()


def test_drawing_leaves_the_users_matplotlib_settings_alone():
    before = dict(mpl.rcParams)
    figures.exam_scores(EXAMS).png()
    assert dict(mpl.rcParams) == before


def test_loss_curves_plot_the_rows_they_are_given():
    drawing = figures.loss_curves(ROWS, "Pretraining")
    train, held = drawing.figure.axes[0].get_lines()
    assert list(train.get_xdata()) == [1000, 3000]
    assert list(train.get_ydata()) == [6.5, 4.0]
    assert list(held.get_ydata()) == [5.25]
    assert "from 6.50 to 4.00" in drawing.alt
    assert "5.25" in drawing.alt


def test_held_out_rows_that_know_only_their_step_stand_at_its_tokens():
    rows = [
        {"step": 0, "held_out_loss": 6.0},
        {"step": 10, "tokens": 1000, "loss": 5.0},
        {"step": 20, "tokens": 2000, "loss": 4.0},
        {"step": 15, "held_out_loss": 4.5},
        {"step": 20, "held_out_loss": 4.2},
    ]
    _, held = figures.loss_curves(rows).figure.axes[0].get_lines()
    assert list(held.get_xdata()) == [0, 1500, 2000]


def test_loss_curves_without_a_loss_say_so():
    with pytest.raises(ValueError, match="no row"):
        figures.loss_curves([{"tokens": 1.0, "lr": 1.0}])


def test_exam_bars_have_the_length_of_the_score_and_a_tick_at_chance():
    axes = figures.exam_scores(EXAMS).figure.axes[0]
    assert [round(bar.get_width(), 6) for bar in axes.patches] == [0.8, 0.9, 0.1, 0.3]
    chance = [c.get_segments()[0][0][0] for c in axes.collections if c.get_linewidth()[0] > 1.5]
    assert chance == [0.25, 0.25]


def test_shares_by_source_are_of_the_total():
    shown = texts(figures.tokens_by_source({"stories": 750, "lumo": 250}))
    assert "750, 75%" in shown
    assert "250, 25%" in shown


def test_the_violation_map_prints_each_cell_and_leaves_unmeasured_ones_blank():
    shown = texts(figures.violation_map(CELLS))
    assert {"0%", "100%", "50%", "-"} <= set(shown)
    assert "25%" not in shown  # that cell has no items


def test_grades_add_up_to_the_whole():
    drawing = figures.grade_distribution({"base": [1, 0, 3]}, "Grades", "worst", "best")
    assert sum(bar.get_width() for bar in drawing.figure.axes[0].patches) == pytest.approx(1)
    assert "75% grade 3" in drawing.alt


def test_labels_cannot_inject_markup():
    drawing = figures.scores_by_kind({"<script>x": {"<b>k": estimate(0.4)}}, "<i>t", "<u>gold")
    html = drawing._repr_html_()
    for piece in ("<script>", "<b>", "<i>", "<u>"):
        assert piece not in html


@pytest.mark.parametrize("dark", [False, True])
def test_png_has_the_background_asked_for(dark):
    import io

    from matplotlib.image import imread

    pixels = imread(io.BytesIO(figures.exam_scores(EXAMS).png(dark=dark, dpi=50)))
    assert (pixels[0, 0, :3].mean() < 0.2) == dark


def test_saving_knows_svg_and_png_only(tmp_path):
    drawing = figures.exam_scores(EXAMS)
    assert drawing.save(tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert drawing.save(tmp_path / "a.svg").read_text().startswith("<svg")
    with pytest.raises(ValueError, match=r"a\.gif"):
        drawing.save(tmp_path / "a.gif")


@pytest.mark.parametrize(
    ("count", "text"),
    [(950, "950"), (12_300, "12.3k"), (3.1e6, "3.1M"), (2e12, "2T"), (0.25, "0.25"), (0, "0")],
)
def test_counts_as_people_read_them(count, text):
    assert figures.short(count) == text
