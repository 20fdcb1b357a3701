"""`llamalite safety_benchmarks` on tiny models: files, table, styles, and what is wrong."""

import json
from dataclasses import replace

import pytest
from small import brief_model, chat_artifact, small_tokenizer, small_world, world_artifact

from llamalite.artifacts import drafting
from llamalite.cli import main
from llamalite.model.checkpoint import save_model
from llamalite.real_models.export import export_folder
from llamalite.safety_benchmarks import recipe
from llamalite.safety_benchmarks.config import SafetyBenchmarksConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A world, a base model and a chat model of random weights."""
    made, world = tmp_path_factory.mktemp("run"), small_world()
    tokenizer = small_tokenizer(world)
    world_artifact(made, world)
    chat_artifact(made, "chat", brief_model(tokenizer), tokenizer)
    model = brief_model(tokenizer, 1)
    with drafting(made / "base", "pretrain", model.config, {}, 0) as draft:
        save_model(draft.path, model)
        tokenizer.save(draft.path / "tokenizer.model")
    return made


def call(folder, **options):
    given = {
        "models": f"{folder / 'base'},{folder / 'chat'}",
        "world": folder / "world",
        "out": folder / "out",
        "prompts": 12,
        "max_new_tokens": 8,
        "resamples": 20,
    } | options
    return main(["safety_benchmarks", *(p for k, v in given.items() for p in (f"--{k}", str(v)))])


def test_models_stand_side_by_side(folder, capsys):
    assert call(folder) == 0
    report = json.loads((folder / "out" / "safety_benchmarks.json").read_text())
    assert list(report["models"]) == ["base", "chat"]
    assert [each["style"] for each in report["models"].values()] == ["plain", "chat"]
    rows = [json.loads(line) for line in (folder / "out" / "replies.jsonl").open()]
    assert len(rows) == 2 * sum(report["prompts"].values())
    for each in report["models"].values():
        for part, key in (("truthfulqa", "both"), ("toxigen", "toxic"), ("bold", "sentiment")):
            assert each[part][key]["n"] == report["prompts"][part] <= 12
    assert (folder / "out" / "safety_benchmarks.svg").read_text().startswith("<svg")
    told = capsys.readouterr().out
    assert "true and" in told
    assert "widest gap" in told
    assert "examples with answers before each question" in told
    before = (folder / "out" / "safety_benchmarks.json").read_bytes()
    assert call(folder) == 0
    assert (folder / "out" / "safety_benchmarks.json").read_bytes() == before


def test_both_kinds_of_models_read_examples_first(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        recipe, "_sampled", lambda model, tok, ids, config: asked.append(ids) or [""] * len(ids)
    )
    config = SafetyBenchmarksConfig(
        models="x", world=str(folder / "world"), prompts=3, max_new_tokens=8
    )
    sets = recipe.open_sets(config)
    assert len(sets.examples) == 6
    assert recipe.open_sets(replace(config, examples=2)).examples == sets.examples[:2]
    for name in ("base", "chat"):
        model, tokenizer, style = recipe.open_model(folder / name)
        asked.clear()
        results, _ = recipe.measure(model, tokenizer, style, sets, config)
        texts = [tokenizer.decode(ids) for ids in asked[0]]
        turns = (
            [text.count("Assistant:") for text in texts]
            if name == "base"
            else [ids.count(tokenizer.bos_id) for ids in asked[0]]
        )
        shown = [each - 1 for each in turns]
        assert all(1 < each <= 6 for each in shown)
        assert results["truthfulqa"]["examples"] == [min(shown), max(shown)]
        for text, question, count in zip(texts, sets.truth, shown, strict=True):
            places = [
                text.find(words)
                for example in sets.examples[6 - count :]
                for words in (example[0]["content"], example[1]["content"])
            ]
            places.append(text.find(question.question))  # the last
            assert -1 not in places
            assert places == sorted(places)
        assert all(len(ids) + 8 <= model.config.max_seq_len for ids in asked[0])
        # beginnings: a base model gets them bare
        bare = tokenizer.decode(asked[1][0])
        assert (bare == sets.toxic[0].text) is (name == "base")


@pytest.mark.parametrize("style", ["plain", "chat"])
def test_examples_without_room_are_left_out_the_first_ones_first(style):
    tokenizer = small_tokenizer(small_world())
    examples = [
        [{"role": "user", "content": f"{digit}?"}, {"role": "assistant", "content": f"{digit}!"}]
        for digit in "123"
    ]
    sizes = [
        len(recipe.with_examples(tokenizer, "Who?", examples[first:], 10_000, style).ids)
        for first in range(4)
    ]
    assert sizes == sorted(sizes, reverse=True)
    for first, size in enumerate(sizes):
        asked = recipe.with_examples(tokenizer, "Who?", examples, size, style)
        assert (len(asked.ids), asked.shown) == (size, 3 - first)
        text = tokenizer.decode(asked.ids)
        assert [digit in text for digit in "123"] == [at >= first for at in range(3)]
    with pytest.raises(ValueError, match="shorten it"):
        recipe.with_examples(tokenizer, "Who?", examples, sizes[-1] - 1, style)


def test_a_folder_in_hugging_faces_format_is_asked_too(folder, tmp_path):
    theirs = export_folder(folder / "chat", tmp_path / "theirs")
    assert call(folder, models=f"{folder / 'chat'},b={theirs}", out=tmp_path / "out") == 0
    report = json.loads((tmp_path / "out" / "safety_benchmarks.json").read_text())
    assert list(report["models"]) == ["chat", "b"]
    ours, same = report["models"].values()
    assert {k: v for k, v in same.items() if k != "folder"} == {
        k: v for k, v in ours.items() if k != "folder"
    }


def test_only_the_named_sets_without_a_world(folder, tmp_path):
    rows = [{"text": "weavers are", "target_group": "weavers"}] * 3
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert call(folder, world="", toxigen=tmp_path / "x.jsonl", out=tmp_path / "out") == 0
    report = json.loads((tmp_path / "out" / "safety_benchmarks.json").read_text())
    assert report["prompts"] == {"truthfulqa": 0, "toxigen": 3, "bold": 0}
    assert report["models"]["base"]["bold"] is None
    assert report["bold_without"] == []
    assert "better-profanity" in report["toxicity"]


def test_beside_the_measure_stands_how_much_of_a_set_was_asked(folder, tmp_path, capsys):
    rows = [
        {"domain": "faith", "category": name, "prompts": [f"{name} {n} is" for n in range(9)]}
        for name in ("atheism", "judaism")
    ]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {"models": folder / "base", "world": "", "bold": tmp_path / "b.jsonl", "prompts": 4}
    assert call(folder, out=tmp_path / "out", **given) == 0
    report = json.loads((tmp_path / "out" / "safety_benchmarks.json").read_text())
    assert list(report["models"]["base"]["bold"]["domains"]["faith"]) == ["judaism"]
    assert (report["prompts"]["bold"], report["sizes"]["bold"]) == (4, 9)
    assert "bold 4 of 9 (bold without hinduism and atheism" in capsys.readouterr().out
    assert call(folder, out=tmp_path / "out", bold_without="[]", **given) == 0
    assert "bold 4 of 18" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"models": "nowhere"}, "nowhere is no model folder"),
        ({"world": "nowhere"}, "nowhere does not exist"),
        ({"world": ""}, "there is nothing to ask"),
        ({"toxigen": "nowhere.parquet"}, "names no JSONL"),
        ({"models": ""}, "models is empty"),
        ({"models": ","}, "--models names none"),
        ({"prompts": -1}, "prompts is -1"),
        ({"examples": 7}, "examples is 7"),
    ],
)
def test_one_line_about_what_is_wrong(folder, tmp_path, options, told, capsys):
    with pytest.raises(SystemExit) as stopped:
        call(folder, out=tmp_path / "out", **options)
    assert stopped.value.code == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()
