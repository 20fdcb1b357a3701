"""`llamalite annotate`: pairs from files, judgements to files, errors in one line."""

import json
import socket

import pytest

from llamalite.cli import main
from llamalite.preferences import pages
from llamalite.preferences.annotate import export, put_up
from llamalite.preferences.protocol import Comparison, Item, Response
from llamalite.preferences.reading import read_comparisons, read_items
from llamalite.preferences.store import PreferenceStore
from llamalite.preferences.writing import write_items

MESSAGES = (
    {"role": "user", "content": "Name a tree."},
    {"role": "assistant", "content": "An oak."},
    {"role": "user", "content": "And <b>another</b>?"},
)
ITEMS = [
    Item(
        f"1/{guideline}/{i}",
        2,
        guideline,
        f"lists/{i}",
        "lists",
        guideline == "safety",
        MESSAGES,
        Response("A fir.", "abc", "SFT", 0.9, 7, i, True),
        Response(f"Beech {i}.", "abd", "V1", 1.1, 8, i, False),
    )
    for guideline in ("helpfulness", "safety")
    for i in range(3)
]


def test_pairs_written_by_a_stage_are_read_as_they_were(tmp_path):
    write_items(tmp_path / "items.parquet", ITEMS)
    assert read_items(tmp_path / "items.parquet") == (ITEMS, [])


def test_the_plainest_rows_are_pairs_and_bad_ones_are_named(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": "Name a tree.", "a": "A fir.", "b": "An oak."},
        {"prompt": "Name a tree.", "a": "A fir.", "b": "A fir. "},
        {"a": "A fir.", "b": "An oak."},
        {"prompt": "Name a tree.", "a": "A fir.", "b": "An oak.", "guideline": "beauty"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n[1]\n{\n")
    store = tmp_path / "store.db"
    line = put_up(store, path)
    assert line.startswith(f"{path}: 1 pairs, 1 of them new; 5 rows set aside in ")
    aside = (tmp_path / "pairs.jsonl.rejected.jsonl").read_text().splitlines()
    found = {row["line"]: row["reason"] for row in map(json.loads, aside)}
    assert found[2] == "the two replies are the same"
    assert "prompt" in found[3]
    assert "beauty" in found[4]
    assert found[5] == "not an object with columns"
    assert found[6].startswith("not JSON")
    with PreferenceStore(store) as opened:
        [item] = opened.items()
    assert (item.id, item.guideline, item.batch) == ("pairs.jsonl:1", "helpfulness", 1)
    assert item.messages == ({"role": "user", "content": "Name a tree."},)
    assert "0 of them new" in put_up(store, path)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_from_file_through_the_store_to_file(tmp_path, capsys, ending):
    write_items(tmp_path / "items.parquet", ITEMS)
    store, out = tmp_path / "store.db", tmp_path / f"out.{ending}"
    put_up(store, tmp_path / "items.parquet")
    with PreferenceStore(store) as opened:
        item = opened.next_item("ann", "helpfulness")
        assert item is not None
        plain = item.to_plain() | {"choice": "b", "rating": "slightly", "safety_bin": None}
        plain |= {"annotator": "ann", "time": "2023-01-02T09:00:00Z", "left": "b"}
        judged = Comparison.from_plain(plain)
        opened.submit(judged)
    assert main(["annotate", "--store", str(store), "--export", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 1 judgements; 5 still to be made\n"
    assert read_comparisons(out).good == [judged]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pairs", "none.jsonl"], "cannot read pairs from none.jsonl"),
        (["--export", "out.txt"], "end the name in .jsonl or .parquet"),
        (["--store", "none.db", "--export", "out.jsonl"], "there is no store none.db"),
        (["--token", "short"], "token has 5 characters"),
        (["--guideline", "beauty"], "guideline is 'beauty'"),
    ],
)
def test_errors_are_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["annotate", *arguments])
    assert stopped.value.code == 2
    shown = capsys.readouterr().err.strip()
    assert said in shown
    assert "\n" not in shown


def test_a_taken_port_is_named(tmp_path, capsys):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        with pytest.raises(SystemExit):
            main(["annotate", "--store", str(tmp_path / "a.db"), "--port", port])
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_a_page_lacks_is_named_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "A tree?", "a": "A fir.", "b": "An oak."}')
    absent = {"voila", "ipykernel"}
    monkeypatch.setattr(pages, "find_spec", lambda name: None if name in absent else object())
    for arguments in (["annotate"], ["annotate", "--pairs", "pairs.jsonl"]):
        with pytest.raises(SystemExit):
            main(arguments)
        said = capsys.readouterr().err
        assert "needs voila, ipykernel; pip install 'llamalite[annotate]'" in said
    absent.clear()
    for where in ("JUPYTER_PATH", "JUPYTER_DATA_DIR"):  # packages, and no kernel anywhere
        monkeypatch.setenv(where, str(tmp_path / "nowhere"))
    monkeypatch.setattr("jupyter_client.kernelspec.NATIVE_KERNEL_NAME", "other")
    monkeypatch.setattr("jupyter_client.kernelspec.jupyter_path", lambda *_: [])
    with pytest.raises(ValueError, match="the Jupyter kernel python3, and there is"):
        pages.check_installed()
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]


def test_export_makes_no_store(tmp_path):
    with pytest.raises(ValueError, match="there is no store"):
        export(tmp_path / "none.db", tmp_path / "out.jsonl")
    assert not list(tmp_path.iterdir())
