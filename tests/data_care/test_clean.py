"""The command as a person calls it: files in, tables and files out, one line about mistakes."""

import gzip
import inspect
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest

from llamalite.cli import main
from llamalite.data_care import recipe, store
from llamalite.data_care.recipe import CleanConfig, clean_into, open_corpus
from llamalite.pretraining.corpus import tokenised_blocks
from llamalite.text.tokenizer import Tokenizer

CARD = "The phone number of Ann is {n}234. Mail ann{n}@post.example or write to {n} Mill Lane. "
FRENCH = "Il était une fois un roi qui avait trois fils, et le plus jeune partit pour la ville. "


def prose(n):
    words = (
        "the mayor and her dog went",
        "to a small town",
        "that nobody had seen",
        "before winter",
    )
    return " ".join(Random(n).choices(" ".join(words).split(), k=80)) + "."


@pytest.fixture
def crawl(tmp_path):
    """40 good pages of two kinds of sites, and for every stage some that it must take out."""
    folder = tmp_path / "crawl"
    folder.mkdir()
    rows = [{"text": prose(n), "url": f"https://news{n % 2}.example/{n}"} for n in range(40)]
    rows += [{"text": CARD.format(n=n) * 3, "site": "faces.example"} for n in range(5)]
    rows += [{"text": FRENCH * 2}, {"text": "Click here."}]
    rows += [{"text": prose(3).upper()}, {"text": prose(4) + " The end."}]
    lines = [json.dumps(row) for row in rows]
    (folder / "a.jsonl").write_text("\n".join(lines[:25]) + "\nno json\n")
    with gzip.open(folder / "b.jsonl.gz", "wt") as stream:
        stream.write("\n".join(lines[25:]) + "\n")
    (folder / "c.txt").touch()
    return folder


REMOVED = {
    "readable": 2,
    "personal data": 5,
    "language": 1,
    "quality": 1,
    "exact copies": 1,
    "near copies": 1,
}


def call(*options):
    return main(["clean", *map(str, options)])


def kept(folder, source):
    files = sorted((folder / "corpus" / source).glob("*.parquet"))
    return [text for file in files for text in pq.read_table(file)["text"].to_pylist()]


def test_what_is_planted_goes_and_only_it(crawl, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("--corpus.web", crawl, "--out", out, "--tokens", 10_000) == 0
    told = json.loads((out / "clean.json").read_text())
    for row in told["stages"]:
        gone = row["before"]["documents"] - row["after"]["documents"]
        assert gone == REMOVED[row["stage"]], row
    assert told["documents"] == {"before": 51, "after": 40}
    assert sorted(kept(out, "web")) == sorted(prose(n) for n in range(40))
    assert list(told["rich_sites"]) == ["faces.example"]
    assert told["characters"]["after"] == sum(len(prose(n)) for n in range(40))
    [epochs] = told["epochs"]
    assert epochs["epochs"] == pytest.approx(10_000 / (told["characters"]["after"] / 2.4), rel=1e-3)
    aside = [json.loads(line) for line in (out / "rejected" / "00000.jsonl").open()]
    assert len(aside) == 11
    by_stage = {row["stage"]: row for row in aside}
    assert by_stage["near copies"]["reason"].startswith("near copy: a.jsonl:5 (0.")
    assert by_stage["exact copies"]["reason"] == "copy: a.jsonl:4"
    assert by_stage["language"]["head"].startswith("Il était une fois")
    assert (out / "clean.svg").read_text().startswith("<svg")
    assert not list(out.glob("*.sqlite"))
    printed = capsys.readouterr().out
    assert "faces.example" in printed
    assert "tokens estimated by 2.4 characters a token; --tokenizer counts them" in printed
    assert f'--pretrain.corpus \'{{"web": "{out}/corpus/web"}}\'' in printed.replace("\n", "")


def test_pretraining_reads_the_shards(crawl, tmp_path):
    result = clean_into(tmp_path, CleanConfig({"web": str(crawl)}, out=str(tmp_path)))
    tokenizer = Tokenizer.train([prose(n) for n in range(40)], vocab_size=300)
    blocks = tokenised_blocks(result["corpus"], tokenizer, 64, tmp_path / "blocks")["web"]
    read = sum(len(row["tokens"]) for row in blocks)
    assert read == sum(len(tokenizer.encode(prose(n), bos=True, eos=True)) for n in range(40))


def test_with_a_tokenizer_the_tokens_are_counted(crawl, tmp_path, capsys, monkeypatch):
    """As many as each page has by itself, and two for its bos and eos."""
    tokenizer = Tokenizer.train([prose(n) for n in range(40)], vocab_size=300)
    tokenizer.save(tmp_path / "tokenizer.model")
    monkeypatch.setattr(store, "_ROUND", 3000)  # several shards
    talk = "world:lessons"
    options = ["--corpus.web", crawl, "--corpus.talk", talk, "--documents", 5, "--tokens", 10_000]
    options += ["--tokenizer", tmp_path / "tokenizer.model", "--out", tmp_path / "out"]
    assert call(*options) == 0
    told = json.loads((tmp_path / "out" / "clean.json").read_text())
    rows = {row["source"]: row for row in told["epochs"]}
    whole = 0
    for source in ("web", "talk"):
        texts = kept(tmp_path / "out", source)
        tokens = sum(len(tokenizer.encode(each)) + 2 for each in texts)
        assert rows[source]["size"] == tokens
        whole += tokens
    assert rows["web"]["tokens"] / rows["web"]["size"] == pytest.approx(10_000 / whole, rel=1e-3)
    assert told["characters_per_token"] == told["characters"]["after"] / whole
    assert told["characters_per_token"] != pytest.approx(2.4, abs=0.2), "or it tells nothing"
    assert "tokens counted: " in capsys.readouterr().out


def test_the_rule_of_thumb_is_what_was_measured():
    """The estimate without a tokenizer lies between the two texts at 1,024 pieces."""
    file = Path(__file__).parents[2] / "data" / "results" / "english" / "vocabulary.json"
    studies = json.loads(file.read_text())["studies"]
    at = {name: study["sizes"][1] for name, study in studies.items()}
    assert {each["pieces"] for each in at.values()} == {1024}
    rates = sorted(at[name]["bytes_per_token"] for name in ("plays", "chats"))
    assert rates[0] < CleanConfig().characters_per_token < rates[1]
    help_text = inspect.getsource(CleanConfig)
    real = [studies[name]["real"]["bytes_per_token"] for name in ("plays", "chats")]
    assert all(f"{rate:.2f}" in help_text for rate in (*rates, *real))


def test_a_cleaning_that_is_cut_short_goes_on_to_the_same_files(crawl, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_ROUND", 3000)
    config = CleanConfig({"web": str(crawl), "talk": "world:conversations"}, documents=9)
    clean_into(tmp_path / "whole", config)
    judged = 0

    def cut(*arguments):
        nonlocal judged
        judged += 1
        if judged % 23 == 0:
            raise KeyboardInterrupt
        return judge(*arguments)

    judge = recipe.judge
    monkeypatch.setattr(recipe, "judge", cut)
    stops = 0
    while True:
        try:
            clean_into(tmp_path / "cut", config)
            break
        except KeyboardInterrupt:
            stops += 1
            with pytest.raises(ValueError, match="unfinished cleaning with other settings"):
                clean_into(tmp_path / "cut", replace(config, limit=5))
    assert stops >= 2
    files = sorted(file.relative_to(tmp_path / "whole") for file in (tmp_path / "whole").rglob("*"))
    assert files == sorted(
        file.relative_to(tmp_path / "cut") for file in (tmp_path / "cut").rglob("*")
    )
    assert len([file for file in files if file.suffix == ".parquet"]) > 4
    for file in files:
        if file.suffix:
            assert (tmp_path / "cut" / file).read_bytes() == (
                tmp_path / "whole" / file
            ).read_bytes()


def test_parts_are_apart_and_together_the_whole(crawl):
    config = CleanConfig({"web": str(crawl), "talk": "world:lessons"}, documents=20)

    def places(**changed):
        return [(row["source"], row["place"]) for row in open_corpus(replace(config, **changed))]

    whole = places()
    parts = [places(rank=rank, ranks=3) for rank in range(3)]
    assert sorted(chain(*parts)) == sorted(whole)
    assert all(parts)
    # three files of one source are given out whole
    config = CleanConfig({"web": str(crawl)})
    files = [{place.split(":")[0] for _, place in places(rank=rank, ranks=3)} for rank in range(3)]
    assert sorted(map(sorted, files)) == [["a.jsonl"], ["b.jsonl.gz"], ["c.txt"]]


def test_sources_are_mixed_by_weight_and_the_place_is_kept():
    config = CleanConfig(
        {"talk": "world:conversations", "sums": "world:lessons", "none": "world:toxic"},
        mixture={"talk": 3, "sums": 1},
        documents=1000,
    )
    stream = open_corpus(config)
    rows = iter(stream)
    first = [next(rows)["source"] for _ in range(400)]
    assert first.count("talk") == pytest.approx(300, abs=35)  # four standard deviations
    assert "none" not in first
    state = json.loads(json.dumps(stream.state_dict()))
    rest = [next(rows)["place"] for _ in range(50)]
    again = open_corpus(config)
    again.load_state_dict(state)
    assert [row["place"] for row, _ in zip(again, range(50), strict=False)] == rest


def test_a_dataset_of_the_hub_is_streamed(crawl, tmp_path):
    """A folder in the hub's own form, which `datasets` opens like one of the hub."""
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "train.jsonl").write_text((crawl / "a.jsonl").read_text().replace("no json\n", ""))
    result = clean_into(tmp_path / "out", CleanConfig({"web": f"hub:{folder}"}))
    assert result["documents"] == {"before": 25, "after": 25}
    (folder / "train.jsonl").write_text('{"body": "x"}\n')
    with pytest.raises(ValueError, match='no column "text", only body'):
        clean_into(tmp_path / "other", CleanConfig({"web": f"hub:{folder}"}))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--corpus.web", "/nowhere/*.jsonl"], "no file fits '/nowhere/*.jsonl'"),
        (["--corpus.web", "world:atlas"], "unknown source 'atlas'"),
        (["--corpus.web", "packaged:songs"], "no packaged text is called 'songs'"),
        (["--corpus.web", "world:pages", "--mixture.wiki", "2"], "wiki, which is no source"),
        (["--rank", "2", "--ranks", "2"], "rank is 2 of 2"),
        (["--tokenizer", "/nowhere/tokenizer.model"], "/nowhere/tokenizer.model"),
        (["--rules.duplicates.threshold", "1.5"], "threshold is 1.5"),
        (["--limit", "-1"], "limit is -1"),
        (["--mixture.pages", "-1"], "mixture weight of pages is -1"),
        (["--corpus", '{"../up": "world:pages"}'], "'../up' cannot name a folder"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(options, told, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        call(*options, "--out", tmp_path / "out")
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_nothing_left_says_where_to_look(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("hi\n")
    with pytest.raises(SystemExit):
        call("--corpus.web", tmp_path / "a.txt", "--out", tmp_path / "out")
    assert "nothing of the corpus is left" in capsys.readouterr().err
    [row] = (tmp_path / "out" / "rejected" / "00000.jsonl").read_text().splitlines()
    assert json.loads(row)["reason"] == "few words: 1"
    with pytest.raises(SystemExit):  # and again, over what was rejected
        call("--corpus.web", tmp_path / "a.txt", "--out", tmp_path / "out")
    assert "nothing of the corpus is left" in capsys.readouterr().err


def test_what_is_read_is_never_deleted(crawl, tmp_path):
    out = tmp_path / "out"
    config = CleanConfig({"web": str(crawl)}, out=str(out))
    whole = clean_into(out, config)
    again = replace(config, corpus=whole["corpus"])
    with pytest.raises(ValueError, match="parquet would be deleted, it lies in"):
        clean_into(out, again)
    assert len(kept(out, "web")) == 40
    assert clean_into(tmp_path / "other", again)["documents"]["before"] == 40
    assert clean_into(out, replace(config, limit=9))["documents"]["before"] == 9


@pytest.mark.parametrize("own", ["corpus/web/a.txt", "rejected/a.txt"])
def test_a_folder_of_ones_own_is_left_alone(own, crawl, tmp_path):
    out = tmp_path / "out"
    (out / own).parent.mkdir(parents=True)
    (out / own).write_text("mine\n")
    with pytest.raises(ValueError, match="is of no finished cleaning; name another folder"):
        clean_into(out, CleanConfig({"web": str(crawl)}))
    assert (out / own).read_text() == "mine\n"
    assert not list(out.glob("*.sqlite"))


def test_a_start_that_is_cut_short_can_be_repeated(crawl, tmp_path, monkeypatch):
    config = CleanConfig({"web": str(crawl)})
    clean_into(tmp_path, config)

    def cut(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store.sqlite3, "connect", cut)
        clean_into(tmp_path, config)
    assert not (tmp_path / "clean.json").exists()
    assert clean_into(tmp_path, config)["documents"]["after"] == 40


def test_a_source_of_which_nothing_is_left_is_named(crawl, tmp_path, capsys):
    (tmp_path / "bad.txt").write_text("hi\n")
    words = ["--corpus.web", crawl, "--corpus.bad", tmp_path / "bad.txt", "--out", tmp_path / "out"]
    assert call(*words, "--mixture.web", 1, "--mixture.bad", 3) == 0
    out = capsys.readouterr().out.replace("\n", "")
    assert f"nothing of bad is left; its weight of 3 goes to the others: {tmp_path}/out" in out
    assert call(*words) == 0
    assert "nothing of bad is left: " in capsys.readouterr().out.replace("\n", "")


def test_a_source_of_which_nothing_is_left_may_be_in_the_mixture(crawl, tmp_path):
    (tmp_path / "bad.txt").write_text("hi\n")
    corpus = {"web": str(crawl), "bad": str(tmp_path / "bad.txt")}
    result = clean_into(tmp_path / "out", CleanConfig(corpus, mixture={"web": 1, "bad": 1}))
    rows = {row["source"]: row for row in result["epochs"]}
    assert (rows["bad"]["size"], rows["bad"]["share"]) == (0, 0)
    assert rows["web"]["share"] == 1


HOSTILE = """
import gzip, json, resource, sys
from pathlib import Path
from llamalite.data_care.personal import PersonalConfig
from llamalite.data_care.pipeline import Rules
from llamalite.data_care.recipe import CleanConfig, clean_into

folder = Path(sys.argv[1])
good = "The mayor opened the bridge on Monday, and people came from every village to it."
(folder / "warm").mkdir()
(folder / "warm" / "a.jsonl").write_text(json.dumps({"text": good}) + "\\n")
clean_into(folder / "warm_out", CleanConfig({"web": str(folder / "warm")}))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
hostile = folder / "hostile"
hostile.mkdir()
with (hostile / "long.jsonl").open("wb") as stream:
    stream.write(b'{"text": "')
    for _ in range(100):
        stream.write(b"word " * 200_000)
    stream.write(b'"}\\n' + json.dumps({"text": "After. " + good}).encode() + b"\\n")
spaces = gzip.compress(b" " * 10_000_000, 1)
with (hostile / "spaces.txt.gz").open("wb") as stream:
    for _ in range(100):
        stream.write(spaces)  # members of one gzip file: a billion spaces
(hostile / "deep.jsonl").write_bytes(b"[" * 1_000_000)
(hostile / "nulls.txt").write_bytes(b"\\0" * 1_000_000)
(hostile / "bytes.txt").write_bytes(bytes(range(128, 256)) * 1000)
(hostile / "empty.jsonl").touch()
once = Rules(personal=PersonalConfig(survey=1))  # or the sites are sought in all of it, first
result = clean_into(folder / "out", CleanConfig({"web": str(hostile)}, rules=once))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({"grown": grown * unit, **result}))
"""


def test_a_hostile_corpus_is_read_in_bounded_memory(tmp_path):
    """1.1 GB of it, in a process of its own, beyond what a harmless corpus takes."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["documents"] == {"before": 7, "after": 1}
    assert told["characters"]["before"] > 1_100_000_000
    aside = {}
    for line in (tmp_path / "out" / "rejected" / "00000.jsonl").open():
        row = json.loads(line)
        assert len(row["head"]) <= 200
        aside[row["place"].split(":")[0]] = row["reason"]
    assert aside == {
        "long.jsonl": "too long: 100,000,013 bytes",
        "spaces.txt.gz": "too long: 1,000,000,000 bytes",
        "deep.jsonl": "nested too deep",
        "nulls.txt": "null bytes",
        "bytes.txt": "not UTF-8: byte 0",
        "empty.jsonl": "empty file",
    }
    assert told["grown"] < 64 * 2**20, "a tenth of the corpus would not fit"


def test_the_command_that_is_printed_trains_on_what_is_left(crawl, tmp_path, capsys):
    folder = tmp_path / "it's cleaned"  # a shell reads such a name otherwise
    few = tmp_path / "few.txt"
    few.write_text(prose(50))
    assert call("--corpus.web", crawl, "--corpus.few", few, "--out", folder) == 0
    [line] = [each for each in capsys.readouterr().out.splitlines() if "to train on it" in each]
    program, *arguments = shlex.split(line.removeprefix("to train on it: "))
    assert program == "llamalite"
    brief = "--tokenizer.vocab_size 300 --pretrain.model.vocab_size 300 --pretrain.model.n_layers 1"
    brief += " --pretrain.batch_size 2 --pretrain.sequence_length 32 --pretrain.tokens 4096"
    assert main([*arguments, *brief.split()]) == 0
    [made] = folder.glob("run/*/pretrain")
    read = json.loads((made / "manifest.json").read_text())["metrics"]["mixture"]
    # 40 pages of about the same length, and one
    assert {row["source"]: round(row["share"] * 41) for row in read} == {"web": 40, "few": 1}
    told = json.loads((made.parent / "tokenizer" / "manifest.json").read_text())
    assert set(told["config"]["corpus"]) == {"web", "few"}
