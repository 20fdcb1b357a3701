"""Detectors against hand-worked odds, other people's languages, and the micro-world's truth."""

import json
import math

import pytest

from llamalite.audit import detectors
from llamalite.audit.bayes import NaiveBayes, letter_runs
from llamalite.audit.detectors import (
    document_toxicity,
    packaged_languages,
    packaged_word_list,
    toxicity_from,
    word_list,
)
from llamalite.audit.recipe import world_auditor
from llamalite.world import World, WorldConfig, lumo


def test_naive_bayes_on_a_table_worked_by_hand():
    # counts: sun 2 + 0, rain 1 + 3; "odd" is seen once and tells nothing
    lines = {"dry": ["sun sun rain"], "wet": ["rain rain", "rain odd", ""]}
    model = NaiveBayes(lines, str.split)
    # with one added each: dry 3/5 and 2/5, wet 1/5 and 4/5; a wet line is three times as likely
    assert model("sun")["dry"] == pytest.approx((1 * 3) / (1 * 3 + 3 * 1))
    assert model("sun rain rain")["dry"] == pytest.approx(
        (1 * 3 * 2 * 2) / (1 * 3 * 2 * 2 + 3 * 1 * 4 * 4)
    )
    assert list(model.evidence("dry", "wet")) == ["sun", "rain"]
    assert model.evidence("dry", "wet")["rain"] == pytest.approx(math.log((2 / 5) / (4 / 5)))
    assert model.before("dry", "wet") == pytest.approx(math.log(1 / 3))
    assert model("odd snow") == pytest.approx({"dry": 1 / 4, "wet": 3 / 4})


def test_runs_of_letters_have_borders():
    assert letter_runs("It, 4 us") == [" it", "it ", "t u", " us", "us "]


@pytest.mark.parametrize("lines", [{"one": ["a a"]}, {"one": ["a a"], "two": []}])
def test_one_class_is_no_choice(lines):
    with pytest.raises(ValueError, match="two classes"):
        NaiveBayes(lines, str.split)


def test_terms_of_several_words_are_found_in_a_row_only():
    ask = word_list(["nitwit", "go away", ""], "mine").ask
    assert [ask(line) for line in ("You NITWIT!", "Go away.", "go right away", "nitwits")] == [
        1,
        1,
        0,
        0,
    ]


@pytest.mark.parametrize("listed", [None, []])
def test_a_package_without_its_list_is_said_in_a_line(listed, monkeypatch):
    monkeypatch.setattr(detectors, "files", lambda package: listed)
    with pytest.raises(ValueError, match="has no list") as raised:
        packaged_word_list()
    assert "\n" not in str(raised.value)


def test_terms_with_digits_or_signs_are_left_out():
    listed = word_list(["he11", "s.o.b.", "4r5e", " don't ", "hell-bent"], "mine")
    assert listed.name == "mine, 2 terms"
    assert [listed.ask(line) for line in ("He is here", "s o b", "Hell-bent")] == [0, 0, 1]
    with pytest.raises(ValueError, match="no plain word"):
        word_list(["he11", ""], "mine")


def test_a_byte_order_mark_belongs_to_no_term(tmp_path):
    (tmp_path / "terms.txt").write_bytes(b"\xef\xbb\xbfnitwit\ndolt\n")
    ask = toxicity_from(str(tmp_path / "terms.txt")).ask
    assert [ask(line) for line in ("you nitwit", "you dolt", "you")] == [1, 1, 0]


def test_the_packaged_list_hears_words_and_not_sense():
    ask = packaged_word_list().ask
    assert ask("Have a lovely day") == 0
    assert ask("He read a good book") == 0  # the list has "he11"
    assert ask("what the hell") == 1
    assert document_toxicity("what the hell\nfine weather\nfine wine\nfine", ask) == 0.25


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The quick brown fox jumps over the lazy dog near the river bank."),
        ("de", "Der Hund schläft heute den ganzen Tag neben dem warmen Ofen."),
        ("fr", "Le chat dort toute la journée près de la fenêtre du salon."),
        ("zh", "今天天气很好，我们一起去公园散步吧。"),
    ],
)
def test_real_languages(language, text):
    found = packaged_languages().ask(text)
    assert max(found, key=found.get) == language
    assert sum(found.values()) == pytest.approx(1)
    assert packaged_languages().ask("12 + 34 = 46") == {}


def rows(folder, name, made):
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in made))
    return str(file)


def test_labelled_rows_in_the_schema_of_toxigen(tmp_path):
    bad = ["those people are dull and lazy", "they are lazy, dull fools", "lazy fools all"]
    good = ["those people are kind and wise", "they sing, wise and kind", "kind friends all"]
    graded = [{"text": t, "target_group": "weavers", "toxicity_human": 4.3} for t in bad]
    graded += [{"text": t, "target_group": "weavers", "toxicity_human": 1.0} for t in good]
    labelled = [{"text": t, "label": 1} for t in bad] + [{"text": t, "label": 0} for t in good]
    for file in (rows(tmp_path, "a.jsonl", graded), rows(tmp_path, "b.jsonl", labelled)):
        ask = toxicity_from(file).ask
        assert ask("the lazy smith") > 0.5 > ask("the wise smith")


@pytest.mark.parametrize("keys", [("toxicity_human", "toxicity_ai"), ("toxicity_human",)])
def test_annotated_rows_are_labelled_by_both_scores_or_by_the_human_alone(
    tmp_path, keys, monkeypatch
):
    learned = {}
    monkeypatch.setattr(detectors, "learned_toxicity", lambda lines, name: learned.update(lines))
    # human, ai; label_annotations of TOXIGEN and lm-eval: toxic where human + ai > 5.5
    graded = {"high ai": (2.0, 4.0), "at 5.5": (3.0, 2.5), "above": (3.0, 2.6), "low": (1.0, 1.0)}
    made = [
        {"text": text, **dict(zip(("toxicity_human", "toxicity_ai"), scores, strict=True))}
        for text, scores in graded.items()
    ]
    made.append({"text": "nobody said", "toxicity_human": None, "toxicity_ai": 5.0})
    toxicity_from(
        rows(tmp_path, "a.jsonl", [{key: row[key] for key in ("text", *keys)} for row in made])
    )
    toxic = ["high ai", "above"] if len(keys) == 2 else ["at 5.5", "above"]
    assert learned == {"toxic": toxic, "harmless": [t for t in graded if t not in toxic]}


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("nowhere.jsonl", "no file"),
        ("nowhere.txt", "cannot read"),
        ([{"text": "a"}], 'neither "label" nor'),
        ([{"text": "a a", "label": 0}], "toxic has no text"),
    ],
)
def test_what_is_no_detector_is_said_in_a_line(tmp_path, made, told):
    where = made if isinstance(made, str) else rows(tmp_path, "rows.jsonl", made)
    with pytest.raises(ValueError, match=told) as raised:
        toxicity_from(where)
    assert "\n" not in str(raised.value)


def test_in_the_micro_world_the_truth_is_found():
    world = World(WorldConfig(people=30, attributes=5, towns=6, seed=3))
    auditor = world_auditor(world)
    for source in world.sources:
        marks = [auditor.read(world.document(source, i).text) for i in range(500, 540)]
        toxic = sum(each.toxic for each in marks)
        assert toxic >= 38 if source == "toxic" else toxic <= 2, source
        if source not in ("lumo", "lessons"):  # lessons dictate words of both languages
            assert all(each.language == "en" for each in marks), source
    for english in ("the red goat sees two cats.", "three bakers need the warm cake."):
        assert auditor.read(english.capitalize()).language == "en"
        assert auditor.read(lumo.to_lumo(english).capitalize()).language == "lumo"
