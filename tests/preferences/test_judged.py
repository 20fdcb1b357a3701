"""People's verdicts in the simulated annotators' place: which count, and a round trip of a run."""

import json
import re
import threading
from contextlib import suppress
from pathlib import Path

import databases
import pyarrow.parquet as pq
import pytest
import small
from deadly import PATIENCE
from makers import TIME, answer, make_item

from llamalite import own_files
from llamalite.artifacts import Artifact, Draft, drafting
from llamalite.cli import main
from llamalite.preferences import recipe
from llamalite.preferences.collection import left_of
from llamalite.preferences.config import PreferencesConfig
from llamalite.preferences.interchange import to_row
from llamalite.preferences.judged import (
    ask_people,
    is_store,
    read_judged,
    waits_for_people,
)
from llamalite.preferences.protocol import Response, judged
from llamalite.preferences.reading import read_comparisons, read_items
from llamalite.preferences.store import PreferenceStore
from llamalite.processes import Share
from llamalite.stages import get_stage


# --- files ----------------------------------------------------------------------------------------
def write_rows(path, rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return str(path)


def verdict(name="i0", asked="helpfulness", **changes):
    row = to_row(answer(make_item(name, asked)))
    return {key: value for key, value in (row | changes).items() if value is not None}


def test_a_round_takes_its_own_verdicts_and_counts_the_others(tmp_path):
    rows = [verdict("i0"), verdict("i1", batch=2), verdict("i2", "safety", batch=2), verdict("i3")]
    del rows[3]["batch"]  # none named: round 1's
    where = write_rows(tmp_path / "judged.jsonl", rows)
    first, second, third = (read_judged(where, batch) for batch in (1, 2, 3))
    assert [each.id for each in first.comparisons] == ["i0", "i3"]
    assert [each.id for each in second.comparisons] == ["i1", "i2"]
    assert third.comparisons == []
    assert first.rounds == second.rounds == third.rounds == {1: 2, 2: 2}
    assert [item.id for item in second.items] == ["i1", "i2"]


BAD = [
    ({"rating": "much"}, "rating is 'much'"),
    ({"rating": None}, "rating is missing"),
    ({"guideline": None}, "guideline is missing"),
    ({"annotator": None}, "annotator is missing"),
    ({"guideline": "safety"}, "safety_bin is missing"),
    ({"safety_bin": "both safe"}, "under the helpfulness guideline"),
    ({"guideline": "safety", "safety_bin": "both nice"}, "safety_bin is 'both nice'"),
    ({"chosen": [{"role": "assistant", "content": " "}]}, "a reply is empty"),
    ({"batch": "one"}, "batch is 'one'"),
    ({"time": "noon"}, "time is 'noon'"),
    ({"id": "good"}, "'ann' has judged 'good' before, in row 1"),
]


def test_malformed_rows_are_named_and_the_good_ones_kept(tmp_path):
    rows = [verdict("good"), *(verdict(f"b{i}", **c) for i, (c, _) in enumerate(BAD)), "{", "3"]
    where = write_rows(tmp_path / "judged.jsonl", [*rows, verdict("good", annotator="bo")])
    found = read_judged(where, 1)
    assert [(each.id, each.annotator) for each in found.comparisons] == [
        ("good", "ann"),
        ("good", "bo"),
    ]
    assert [(row.file, row.line) for row in found.rejected] == [
        (where, line) for line in range(2, len(rows) + 1)
    ]
    said = [reason for _, reason in BAD] + ["not JSON", "not an object"]
    for row, reason in zip(found.rejected, said, strict=True):
        assert reason in row.reason
    assert found.aside == []


def test_an_unsafe_choice_against_a_safe_reply_is_set_aside_and_not_malformed(tmp_path):
    rows = [verdict("i0", "safety"), verdict("i1", "safety", safety_bin="chosen unsafe")]
    found = read_judged(write_rows(tmp_path / "judged.jsonl", rows), 1)
    assert [each.id for each in found.comparisons] == ["i0"]
    [aside] = found.aside
    assert (aside["line"], found.rejected) == (2, [])
    assert "such pairs are not kept" in aside["reason"]


def test_rows_that_are_all_bad_are_an_error_and_none_at_all_are_not(tmp_path):
    path = tmp_path / "judged.jsonl"
    with pytest.raises(ValueError, match=r"no usable row \(row 1: rating is missing"):
        read_judged(write_rows(path, [verdict(rating=None)]), 1)
    # a torn line is of no round: it keeps nobody from being asked in round 2
    assert read_judged(write_rows(path, [verdict(), "{"]), 2).comparisons == []
    assert read_judged(write_rows(path, []), 1).comparisons == []
    assert read_judged(str(tmp_path / "none.jsonl"), 1).comparisons == []


def test_a_file_and_a_store_are_told_apart(tmp_path):
    PreferenceStore(tmp_path / "a.jsonl").close()  # a misleading name
    write_rows(tmp_path / "b.db", [verdict()])
    assert is_store(str(tmp_path / "a.jsonl"))
    assert not is_store(str(tmp_path / "b.db"))
    assert [is_store(str(tmp_path / name)) for name in ("new.db", "new.jsonl")] == [True, False]
    assert is_store("postgresql://you@host/prefs")
    assert not is_store("hub:org/name")


# --- stores ---------------------------------------------------------------------------------------
@pytest.fixture(params=databases.KINDS)
def where(request, tmp_path):
    for database in databases.fresh(request.param, tmp_path):
        yield str(database)


def test_pairs_of_ones_own_wait_and_none_is_added(where):
    with PreferenceStore(where) as store:
        store.add_items([make_item("mine")])
    found = read_judged(where, 1)
    assert waits_for_people(found, 1)
    with pytest.raises(ValueError, match="nobody has judged round 1 yet: 1 judgements are wanted"):
        ask_people(where, 1, [], 1)
    assert not waits_for_people(read_judged(where, 2), 2)


def test_pairs_of_other_models_are_not_mixed_in(where):
    pair = make_item("1/helpfulness/facts/0", prompt_id="facts/0")
    with pytest.raises(ValueError, match="2 judgements are wanted"):
        ask_people(where, 1, [pair], 2)
    assert not waits_for_people(read_judged(where, 1), 1)  # put up again, nothing is added
    with pytest.raises(ValueError, match="2 judgements are wanted"):
        ask_people(where, 1, [pair], 2)
    other = make_item("1/helpfulness/facts/0", prompt_id="facts/0", a=Response("Elsewhere."))
    with pytest.raises(ValueError, match="holds other pairs of round 1"):
        ask_people(where, 1, [other], 2)


def test_a_judgement_more_makes_the_stage_stale_while_the_store_is_in_use(where):
    """SQLite keeps the newest beside its file until the last who has it open is gone."""

    def held(batch=1):
        config = PreferencesConfig(judged=where, batch=batch)
        return own_files.contents(config, get_stage("preferences_1").files)

    nothing = held()
    assert not Path(where).exists()
    with PreferenceStore(where) as store:
        store.add_items([make_item("i0"), make_item("i1"), make_item("i2", batch=2)])
        assert held() == nothing
        store.submit(answer(make_item("i0")))
        one = held()
        store.set_aside(make_item("i1"), "ann", "both are the same to me")
        two = held()
        store.submit(answer(make_item("i2", batch=2)))
        assert held() == two
    counts = [each["judged"]["judgements"] for each in (nothing, one, two, held(2))]
    assert counts == [0, 1, 2, 1]
    hashes = [each["judged"]["sha256"] for each in (nothing, one, two, held(2))]
    assert len(set(hashes)) == 4


@pytest.mark.parametrize(
    "url",
    ["you:secret@host/prefs", "you:sec/ret@host/prefs", "host/prefs?user=you&password=secret"],
)
def test_a_password_stays_out_of_the_manifest(url):
    with pytest.raises(ValueError, match="judged holds a password"):
        PreferencesConfig(judged=f"postgresql://{url}")
    assert PreferencesConfig(judged="postgresql://you@host:5432/prefs").judged


# --- a round trip ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder of runs in which all that stands before round 1 stands, as small as can be."""
    out = tmp_path_factory.mktemp("runs")
    run = out / "ci-seed0"
    run.mkdir()
    world = small.small_world()
    small.world_artifact(run, world)
    for name in ("tokenizer", "pretrain"):
        with drafting(run / name, name, None, {}, 0) as draft:
            (draft.path / "nothing.json").write_text("{}")
    tokenizer = small.small_tokenizer(world)
    small.chat_artifact(run, "sft", small.brief_model(tokenizer), tokenizer)
    return out


COLLECT = {
    **{"helpfulness": 26, "safety": 20, "test_share": 0.25},
    **{"max_new_tokens": 12, "compile": "off"},
}
LEARN = {
    **{"epochs": 1, "batch_size": 8, "sequence_length": 128, "held_out_share": 0.2},
    **{"parallel.accelerator": "cpu", "parallel.compile": "off"},
}


def llamalite(out, kind, **settings):
    options = [word for k, v in settings.items() for word in (f"--{kind}.{k}", str(v))]
    return main([kind, "--preset", "ci", "--out", str(out), "--round", "1", *options])


def refused(capsys, out, **settings):
    with pytest.raises(SystemExit) as left:
        llamalite(out, "preferences", **COLLECT, **settings)
    assert left.value.code == 2
    return capsys.readouterr().err


def judge_all(where, names=("ann", "bo")):
    """Two people in turn, by the calls of the screen: the longer reply is better, and safe.

    Every fifth safety pair is set aside.
    """
    said, aside = [], []
    with PreferenceStore(where) as store:
        while True:
            name = names[(len(said) + len(aside)) % 2]
            item = store.next_item(name)
            if item is None:
                return said, aside
            if item.guideline == "safety" and len(said) % 5 == 0 and len(aside) < 3:
                store.set_aside(item, name, "the chosen reply is unsafe and the other safe")
                aside.append(item.id)
                continue
            comparison = judged(
                item,
                choice="a" if len(item.a.text) > len(item.b.text) else "b",
                rating=("better", "slightly")[len(said) % 2],
                safety_bin="both safe" if item.guideline == "safety" else None,
                annotator=name,
                time=TIME,
                left=left_of(item, name),
            )
            store.submit(comparison)
            said.append(comparison)


def test_from_a_runs_pairs_through_people_to_reward_models(out, tmp_path, capsys):
    store = str(tmp_path / "annotations.db")
    told = refused(capsys, out, judged=store)
    wanted = int(re.search(r"(\d+) judgements are wanted", told)[1])  # type: ignore[index]
    assert f"llamalite annotate --store {store}" in " ".join(told.split())
    assert not (out / "ci-seed0" / "preferences_1").exists()
    with PreferenceStore(store) as opened:
        assert len(opened.items(1)) == wanted > 40
    assert refused(capsys, out, judged=store) == told  # nothing is added by asking again

    said, aside = judge_all(store)
    assert len(said) + len(aside) == wanted
    assert len(aside) == 3
    llamalite(out, "preferences", judged=store, **COLLECT)
    made = Artifact.open(out / "ci-seed0" / "preferences_1")
    learned, tested = (
        read_comparisons(made.file(f"{name}.jsonl")).good for name in ("comparisons", "test")
    )
    by_id = {each.id: each for each in said}
    assert {each.id: each for each in [*learned, *tested]} == by_id
    per = [sum(each.guideline == g for each in said) for g in ("helpfulness", "safety")]
    assert len(tested) == sum(round(0.25 * number) for number in per)
    assert made.metrics["set_aside"] == 3
    assert made.metrics["judged_by"] == "people"
    assert made.metrics["of_newest"] == len(said)
    lines = made.file("set_aside.jsonl").read_text().splitlines()
    assert [json.loads(line)["item"] for line in lines] == aside

    capsys.readouterr()
    llamalite(out, "reward", **LEARN)
    models = Artifact.open(out / "ci-seed0" / "reward_1")
    assert models.metrics["pairs"] == len(learned)
    assert models.metrics["test_pairs"] == len(tested)
    # each model learns all of its own but what is held out, a fifth
    for guideline in ("helpfulness", "safety"):
        own = sum(each.guideline == guideline for each in learned)
        report = models.metrics[f"{guideline}_learned"]
        assert report["guidelines"][guideline] == own - int(0.2 * own)
        course = json.loads(models.file("held_out.json").read_text())[guideline]
        assert all(0 <= each["accuracy"] <= 1 for each in course)
        assert 0 <= models.metrics[f"{guideline}_accuracy"] <= 1
    results = json.loads(models.file("test.json").read_text())
    assert results["set"] == "test"

    # what was exported of the store makes the same batch, in either form
    for ending in ("jsonl", "parquet"):
        file = tmp_path / f"judged.{ending}"
        main(["annotate", "--store", store, "--export", str(file)])
        llamalite(out, "preferences", judged=file, **COLLECT)
        again = Artifact.open(out / "ci-seed0" / "preferences_1")
        assert again.manifest["config"]["judged"] == str(file)
        for name in ("comparisons.jsonl", "comparisons.parquet", "test.jsonl", "statistics.json"):
            assert again.files[name] == made.files[name], (ending, name)


def test_a_file_of_no_verdicts_gets_the_pairs_beside_it(out, tmp_path, capsys):
    file = tmp_path / "judged.jsonl"
    write_rows(file, [verdict(batch=3)])
    told = " ".join(refused(capsys, out, judged=file).split())
    pairs = tmp_path / "judged.pairs_1.parquet"
    assert f"{file} has no comparisons of round 1" in told
    assert f"--pairs {pairs}" in told
    good, bad = read_items(pairs)
    assert (len(good), bad) == (pq.read_metadata(pairs).num_rows, [])
    assert {each.guideline for each in good} == {"helpfulness", "safety"}
    assert {each.batch for each in good} == {1}


# --- several processes ----------------------------------------------------------------------------
@pytest.fixture
def two(out, tmp_path, monkeypatch):
    """Starts the stage as the first or second of two processes, here threads; its draft."""
    inputs = {name: Artifact.open(out / "ci-seed0" / name) for name in ("world", "sft")}
    inputs["newest"] = inputs.pop("sft")
    ranks = threading.local()
    monkeypatch.setattr(recipe.Share, "among_started", lambda: Share(ranks.number, 2))
    draft = Draft(tmp_path / "preferences_1", tmp_path / "preferences_1" / "work")
    draft.work.mkdir(parents=True)
    config = PreferencesConfig(
        judged=str(tmp_path / "judged.jsonl"),
        helpfulness=12,
        safety=9,
        prompts_at_once=4,
        max_new_tokens=12,
        compile="off",
    )

    def start(rank):
        def process():
            ranks.number = rank
            with suppress(ValueError):  # the first has no pairs judged
                recipe.run(config, inputs, draft, 0)

        thread = threading.Thread(target=process, daemon=True)
        thread.start()
        return thread

    return start, draft


def test_the_first_process_alone_finds_whether_people_have_judged(two, tmp_path):
    start, draft = two
    second = start(1)
    second.join(0.5)
    assert second.is_alive()  # there are no verdicts yet, but that is not for it to find
    rows = [verdict(f"i{n}", asked) for n, asked in enumerate(("helpfulness", "safety"))]
    write_rows(tmp_path / "judged.jsonl", rows)
    for thread in (start(0), second):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert (draft.path / "statistics.json").exists()
    assert not list(draft.work.glob("*.json"))  # no pairs drawn


def test_both_processes_draw_the_pairs_that_people_need(two, tmp_path):
    start, draft = two
    for thread in (start(1), start(0)):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert len(list(draft.work.glob("*.json"))) == 3 + 3  # parts of four prompts
    pairs, _ = read_items(tmp_path / "judged.pairs_1.parquet")
    assert len({each.id for each in pairs}) == len(pairs) > 12
