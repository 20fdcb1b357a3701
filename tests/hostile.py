"""A corpus in which every kind of bad line stands between good documents."""

import gzip
import json
from codecs import BOM_UTF8
from random import Random

WORDS = [
    first + last
    for first in ("ba", "ko", "lin", "mer", "tu", "sa", "vo", "gri", "che", "wy")
    for last in ("dan", "ler", "mo", "tis", "nu", "pel", "ra", "son", "fex", "jid")
]
BAD = {
    b'{"text": "cut': "not JSON",
    b'{"text": "\\ud800 alone"}': "half a character",
    b'{"text": "caf\xe9"}': "not UTF-8",
    b'{"text": "a\\u0000b"}': "null bytes",
    b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}": "no text",
    b'{"text": "' + b"long " * 2_100_000 + b'"}': "too long",
    b'{"text": " "}': "blank",
    b"[1, 2]": "no object",
    b'{"body": "x"}': "no text",
}
"""Line -> why it is set aside; deep nesting is refused by the parser or by what it makes."""


def good(number):
    """A line of its own for each number."""
    return f"<{number}> " + " ".join(Random(number).choices(WORDS, k=30))


def write(folder, documents=60):
    """Good documents in files with the bad lines between them, and files that are none.

    One begins with a byte order mark, one is packed, and the last good document is written over
    several lines, a bad one after it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"text": good(number)} for number in range(documents)]
    lines = [json.dumps(row).encode() for row in rows]
    half = documents // 2
    mixed = [*lines[:5], *BAD, *lines[5:half]]
    (folder / "a.jsonl").write_bytes(BOM_UTF8 + b"\n".join(mixed) + b"\n")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines[half:-1]) + b"\n"))
    (folder / "c.parquet").write_bytes(b"PAR1 and no more")
    (folder / "d.txt").touch()
    tall = [json.dumps(row, indent=2) for row in (rows[-1], {"title": "x", "body": "y"})]
    (folder / "e.json").write_text("\n".join(tall))
    return folder


REJECTED = len(BAD) + 3
"""Documents of `write` that are set aside: those lines, two files that are none, and the last."""


def check(file, source=None):
    """The file of rejected documents names every bad place and why, and nothing else."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = {row["place"]: row["reason"].split(":")[0] for row in rows}
    expected = {f"a.jsonl:{6 + n}": why for n, why in enumerate(BAD.values())}
    expected |= {"c.parquet:0": "broken Parquet", "d.txt": "empty file", "e.json:2": "no text"}
    found = {at: "no text" if why == "nested too deep" else why for at, why in found.items()}
    assert found == expected
    assert len(rows) == REJECTED
    assert all(len(row["head"]) <= 200 for row in rows)
    assert source is None or {row["source"] for row in rows} == {source}
