"""Files that are no texts: each says why not, and the next document comes as if nothing were."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.data_care.documents import HEAD, head, unusable
from llamalite.data_care.reading import bounded_lines, read_file, site_of

LIMIT = 1000


def read(path):
    return list(read_file(path, "web", LIMIT))


def faults(path):
    return [document.fault.split(":")[0] for document in read(path)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b'{"text": "good"}', ""),
        (b'{"text": "caf\xc3\xa9"}', ""),
        (b'{"text": "caf\xe9"}', "not UTF-8"),
        (b'{"text": "a\\u0000b"}', "null bytes"),
        (b"\0\0\0", "not JSON"),
        (b'{"text": "\\ud800 alone"}', "half a character"),
        (b'{"text": "   "}', "blank"),
        (b'{"text": 3}', "no text"),
        (b'{"title": "x"}', "no text"),
        (b"[1, 2]", "no object"),
        (b'{"text": "cut', "not JSON"),
        (b'{"text": "' + b"x" * LIMIT + b'"}', "too long"),
        (b" " * (5 * LIMIT), "too long"),
    ],
)
def test_each_bad_line_says_why_and_the_next_one_is_read(tmp_path, line, fault):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(line + b'\n\n{"text": "the next", "url": "https://a.example/b"}\n')
    first, last = read(file)
    assert first.fault.split(":")[0] == fault
    assert first.place == "rows.jsonl:1"
    assert len(first.text) <= LIMIT
    if fault:
        assert len(first.text) <= HEAD
        assert first.characters == len(line) + 1
    assert (last.text, last.site, last.place) == ("the next", "a.example", "rows.jsonl:3")


def test_rows_nested_ten_thousand_deep(tmp_path):
    file = tmp_path / "deep.jsonl"
    deep = 200_000
    file.write_bytes(b'{"text": ' + b"[" * deep + b"]" * deep + b"}\n" + b'{"text": "after"}\n')
    first, after = read_file(file, "web", 10**6)
    assert first.fault in ("nested too deep", "no text")  # by the parser, or by what it made of it
    assert after.text == "after"


def test_empty_files_text_files_and_packed_ones(tmp_path):
    (tmp_path / "empty.txt").touch()
    assert faults(tmp_path / "empty.txt") == ["empty file"]
    (tmp_path / "some.txt").write_bytes(b"one\r\n\n\xff\xfe\ntwo")
    assert [d.text for d in read(tmp_path / "some.txt") if not d.fault] == ["one", "two"]
    assert faults(tmp_path / "some.txt") == ["", "not UTF-8", ""]
    packed = gzip.compress(b'{"text": "packed"}\n')
    (tmp_path / "whole.jsonl.gz").write_bytes(packed)
    assert [d.text for d in read(tmp_path / "whole.jsonl.gz")] == ["packed"]
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[:-9])
    (tmp_path / "no.jsonl.gz").write_bytes(b"plainly not")
    assert faults(tmp_path / "cut.jsonl.gz")[-1] == "broken gzip"
    assert faults(tmp_path / "no.jsonl.gz") == ["broken gzip"]


def test_parquet_files_good_and_bad(tmp_path):
    file = tmp_path / "rows.parquet"
    raw = pa.array([b"good", b"caf\xe9", None, b"a\0b", b"x" * (LIMIT + 1)], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())  # unchecked, as on disk
    pq.write_table(pa.table({"url": ["https://s.example"] * 5, "text": texts}), file)
    assert faults(file) == ["", "not UTF-8", "no text", "null bytes", "too long"]
    assert read(file)[0].site == "s.example"
    assert [document.place for document in read(file)][-1] == "rows.parquet:5"

    huge = tmp_path / "huge.parquet"
    pq.write_table(pa.table({"text": [" " * (4 * LIMIT)] * 2 + ["fine"]}), huge, row_group_size=2)
    assert faults(huge) == ["too long", ""]  # the first group is never unpacked
    file.write_bytes(file.read_bytes()[:-20])
    assert faults(file) == ["broken Parquet"]
    pq.write_table(pa.table({"body": ["x"]}), file)
    assert faults(file) == ['no column "text"']


def test_parquet_columns_within_columns_and_dictionaries(tmp_path):
    file = tmp_path / "rows.parquet"
    meta = pa.array([{"text": "of meta", "url": "https://m.example"}] * 2)
    pq.write_table(pa.table({"meta": meta}), file)
    assert faults(file) == ['no column "text"']
    texts = pa.array(["good", None]).dictionary_encode()
    pq.write_table(pa.table({"text": texts, "meta": meta}), file)
    assert faults(file) == ["", "no text"]
    assert (read(file)[0].text, read(file)[0].site) == ("good", "")
    pq.write_table(pa.table({"text": meta}), file)
    assert faults(file) == ["no text"] * 2


def test_a_file_of_another_kind_is_the_users_error(tmp_path):
    (tmp_path / "page.html").write_text("<p>")
    with pytest.raises(ValueError, match=r"page\.html cannot be read; give"):
        read(tmp_path / "page.html")


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=8))
def test_lines_are_those_of_a_plain_split(lines):
    whole = b"\n".join(lines)
    expected = [line + b"\n" for line in lines]
    if expected:
        expected[-1] = expected[-1][:-1]
    expected = [line for line in expected if line]
    found = list(bounded_lines(io.BytesIO(whole), 10))
    assert [size for _, _, size in found] == [len(line) for line in expected]
    for (_, line, _), true in zip(found, expected, strict=True):
        assert true.startswith(line)
        assert line == true or len(true) > 10


@given(st.text(alphabet=st.characters(), max_size=300) | st.just("\ud800\0\x1b[2J"))
def test_heads_can_be_written_and_shown(text):
    shown = head(text)
    assert len(shown) <= HEAD
    json.dumps(shown, ensure_ascii=False).encode()
    assert all(char.isprintable() or char == "\n" for char in shown)
    if not unusable(text):
        text.encode()


def test_sites_come_from_a_column_or_an_address():
    assert site_of("faces.example", "https://other.example") == "faces.example"
    assert site_of(None, "https://user@Sub.Example:80/path?q") == "sub.example"
    assert site_of(None, "http://[broken") == site_of(7, None) == site_of("", "no address") == ""
