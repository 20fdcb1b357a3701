"""Figures 11 and violations by version: what is drawn is what the results hold."""

from itertools import combinations

import pytest

from llamalite.rlhf.figures import (
    READ_OFF,
    Dot,
    beside_the_paper,
    both_axes,
    label_places,
    violations_by_version,
)


def rate(mean):
    return {"half_ties": {"mean": mean, "low": mean - 0.05, "high": mean + 0.05}, "pairs": 40}


def version(helpful, safe, share=0.2, judge="raters"):
    cells = {"hateful": {"logic": {"mean": share, "low": 0.0, "high": 0.5, "n": 10}}}
    return {
        "gold": {"violations": {"by_risk_and_vector": cells}},
        "wins": {"helpfulness": {judge: rate(helpful)}, "safety": {judge: rate(safe)}},
    }


SFT = {"gold": version(0, 0)["gold"]}
VERSIONS = {"SFT": SFT, "V1": version(0.6, 0.55), "V2": version(0.7, 0.8)}
AFTER = {"safety": version(0.65, 0.9)}


def marks(axes):
    """Places of single markers, in the order they were drawn."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if len(line.get_xdata()) == 1 and line.get_marker() not in ("None", None)
    ]


def test_a_dot_stands_where_both_win_rates_say():
    drawing = both_axes(VERSIONS, "raters", AFTER)
    [axes] = drawing.figure.axes
    for found, wanted in zip(marks(axes), [(50, 50), (60, 55), (70, 80), (65, 90)], strict=True):
        assert found == pytest.approx(wanted)
    assert "V1 60, 55; V2 70, 80; safety 65, 90" in drawing.alt
    assert {text.get_text() for text in axes.texts} == {"SFT", "V1", "V2", "safety"}
    path = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert list(path.get_ydata()) == pytest.approx([50, 55, 80])  # later models are not on it
    for limits in (axes.get_xlim(), axes.get_ylim()):
        assert limits[0] < 45
        assert limits[1] > 95  # the highest interval's end


def test_a_judge_who_compared_nothing_on_both_axes_is_named():
    with pytest.raises(ValueError, match="on both axes by 'general reward model'"):
        both_axes(VERSIONS, "general reward model")
    one_axis = {"SFT": SFT, "V1": {"wins": {"helpfulness": {"raters": rate(0.6)}, "safety": {}}}}
    with pytest.raises(ValueError, match="by 'raters'"):
        beside_the_paper(one_axis)


def test_the_papers_versions_climb_and_stand_above_ours():
    above, below = beside_the_paper(VERSIONS).figure.axes
    assert marks(above) == list(READ_OFF.values())
    assert len(marks(below)) == 3
    # section 3.2.3 and figure 11: after V3 both axes are above 50 %
    assert all(min(READ_OFF[name]) > 50 for name in ("V3", "V4", "V5"))


def test_names_do_not_cover_one_another_where_there_is_room():
    exact = lambda value: {"mean": value, "low": value, "high": value}  # noqa: E731
    dots = [Dot(f"V{i}", exact(50 + i), exact(50 + 2 * i)) for i in range(5)]
    places = label_places(dots, 0.0, 100.0)
    for (x, y), (other_x, other_y) in combinations(places, 2):
        assert abs(x - other_x) > 3 or abs(y - other_y) > 3


def test_names_stay_within_the_panel():
    edge = {"mean": 2.0, "low": 2.0, "high": 2.0}
    top = {"mean": 98.0, "low": 98.0, "high": 98.0}
    [(x, _), (other_x, _)] = label_places(
        [Dot("after red teaming", edge, top), Dot("after red teaming", top, edge)], 0.0, 100.0
    )
    assert x > 2  # to the right of the dot at the left edge, and the other way round
    assert other_x < 98


def test_violations_have_a_column_per_version_and_a_missing_category_is_named():
    everyone = VERSIONS | {"V9": version(0.5, 0.5, share=0.9)}
    drawing = violations_by_version(everyone, "hateful")
    [axes] = drawing.figure.axes
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["SFT", "V1", "V2", "V9"]
    assert "90%" in {text.get_text() for text in axes.texts}
    assert "V9: logic 0.90" in drawing.alt
    with pytest.raises(ValueError, match="risk category 'illicit'"):
        violations_by_version(everyone, "illicit")
