"""Files that are no texts: each says why not, and the next document comes as if nothing were."""

import gzip
import io
import json
import subprocess
import sys
from codecs import BOM_UTF8
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.data_care import parquet
from llamalite.data_care.documents import HEAD, head, site_of, unusable
from llamalite.data_care.json_array import elements
from llamalite.data_care.parquet_pages import pages
from llamalite.data_care.reading import bounded_lines, read_file

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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "one"}\n{"text": "two"}\n'),
        ("a.json", '{"text": "one"}\n{"text": "two"}\n'),
        ("array.json", '[{"text": "one"}, {"text": "two"}]'),
        ("tall.json", '{\n  "text": "one"\n}\n{\n  "text": "two"\n}'),
        ("a.txt", "one\ntwo\n"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_is_no_part_of_the_first_document(tmp_path, name, content, packed):
    marked = BOM_UTF8 + content.encode()
    file = tmp_path / (name + ".gz" * packed)
    file.write_bytes(gzip.compress(marked) if packed else marked)
    assert [(d.text, d.fault) for d in read(file)] == [("one", ""), ("two", "")]


def test_a_byte_order_mark_elsewhere_is_text(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"one\n" + BOM_UTF8 + b"two\n")
    assert [d.text for d in read(file)] == ["one", "\ufefftwo"]


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
    assert faults(huge) == ["too long", "too long", ""]
    file.write_bytes(file.read_bytes()[:-20])
    assert faults(file) == ["broken Parquet"]
    pq.write_table(pa.table({"body": ["x"]}), file)
    assert faults(file) == ['no column "text"']


def test_a_row_too_long_takes_no_other_row_with_it(tmp_path):
    file = tmp_path / "rows.parquet"
    texts = [f"good {n}" for n in range(10)]
    texts[4] = "x" * (50 * LIMIT)
    pq.write_table(pa.table({"text": texts}), file)
    assert pq.ParquetFile(file).num_row_groups == 1
    found = read(file)
    assert [d.text for d in found if not d.fault] == texts[:4] + texts[5:]
    assert [(d.fault, d.place) for d in found if d.fault] == [
        ("too long: 50,000 bytes", "rows.parquet:5")
    ]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_the_lengths_of_pages_are_what_the_footer_sums_up(tmp_path, version, dictionary):
    file = tmp_path / "rows.parquet"
    texts = [f"row {n} " * (n % 300) if n % 7 else None for n in range(5000)]
    options = {"data_page_version": version, "use_dictionary": dictionary, "compression": "zstd"}
    options |= {"data_page_size": 20_000, "write_statistics": False}
    pq.write_table(pa.table({"text": texts}), file, **options)
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    with file.open("rb") as stream:
        found = list(pages(stream, column))
    assert sum(page.values for page in found if not page.dictionary) == 5000
    assert [page.dictionary for page in found].count(True) == dictionary
    # the footer counts the headers too, of some dozens of bytes each
    assert 0 < column.total_uncompressed_size - sum(page.size for page in found) < 200 * len(found)


def test_rows_before_a_page_too_large_are_kept_and_each_of_the_others_is_counted(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(parquet, "_SMALLEST_PAGE", 20_000)
    file = tmp_path / "rows.parquet"
    texts = [f"{n}" for n in range(40)]
    texts[25] = "x" * 200_000
    options = {"use_dictionary": False, "data_page_size": 1, "write_batch_size": 10}
    pq.write_table(pa.table({"text": texts}), file, **options)  # ten rows a page
    found = read(file)
    assert [d.text for d in found[:20]] == texts[:20]
    assert {d.fault[:34] for d in found[20:]} == {"too long: in or after a page of 20"}
    assert [d.place for d in found[20:]] == [f"rows.parquet:{n}" for n in range(21, 41)]


BOMB = """
import resource, sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from llamalite.data_care.reading import read_file

file = Path(sys.argv[1])
list(read_file(file.with_name("warm.parquet"), "web", 2_000_000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = [d.fault.split(":")[0] for d in read_file(file, "web", 2_000_000)]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(found.count(""), found.count("too long"), grown * (1 if sys.platform == "darwin" else 1024))
"""


def test_a_page_that_unpacks_beyond_all_bounds_is_left_packed(tmp_path):
    pq.write_table(pa.table({"text": ["warm"]}), tmp_path / "warm.parquet")
    file = tmp_path / "bomb.parquet"
    texts = ["good"] * 30 + [" " * 150_000_000] + ["good"] * 9
    options = {"compression": "zstd", "use_dictionary": False, "write_batch_size": 10}
    options |= {"write_statistics": False}
    pq.write_table(pa.table({"text": texts}), file, data_page_size=1, **options)
    assert file.stat().st_size < 1_000_000
    command = [sys.executable, "-c", BOMB, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    good, long, grown = map(int, done.stdout.split())
    assert (good, long) == (30, 10)
    assert grown < 64 * 2**20


@given(st.binary(max_size=200), st.integers(0, 200))
def test_headers_of_pages_that_are_none_are_an_error(content, packed):
    column = SimpleNamespace(
        data_page_offset=4, dictionary_page_offset=None, total_compressed_size=packed
    )
    try:
        list(pages(io.BytesIO(b"PAR1" + content), column))
    except ValueError as error:
        assert "page" in str(error)  # noqa: PT017


def test_a_json_file_may_be_an_array(tmp_path):
    rows = [
        {"text": 'one ] , } " \\ [', "n": [1, {"x": "]"}]},
        {"text": "two"},
        {"text": "x" * (2 * LIMIT)},
        [],
        {"body": 1},
        {"text": "four"},
    ]
    for indent in (None, 2):
        file = tmp_path / "rows.json"
        file.write_text("\n  " + json.dumps(rows, indent=indent))
        found = read(file)
        assert [d.text for d in found if not d.fault] == [rows[0]["text"], "two", "four"]
        assert [d.fault.split(":")[0] for d in found] == [
            *("", "", "too long", "no object", "no text", "")
        ]
        assert found[-1].place == "rows.json:6"
    file.write_text(json.dumps(rows[:2])[:-8])  # cut inside the second
    assert [d.fault.split(":")[0] for d in read(file)] == ["", "not JSON"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    assert faults(file) == ["", ""]
    (tmp_path / "rows.json.gz").write_bytes(gzip.compress(json.dumps(rows[:2]).encode()))
    assert faults(tmp_path / "rows.json.gz") == ["", ""]


def test_a_json_file_may_hold_objects_over_several_lines(tmp_path):
    file = tmp_path / "tall.json"
    rows = [{"text": 'one } \n{ " \\', "n": [1, {"x": "]"}]}, {"url": "https://a.example"}]
    rows += [{"text": "x" * (2 * LIMIT)}, {"text": "last"}]
    file.write_text("\n" + json.dumps(rows[0], indent=4))
    assert [(d.text, d.fault, d.place) for d in read(file)] == [
        (rows[0]["text"], "", "tall.json:1")
    ]
    file.write_text("\n".join(json.dumps(row, indent=2) for row in rows))
    assert faults(file) == ["", "no text", "too long", ""]
    assert [d.place for d in read(file)] == [f"tall.json:{n}" for n in (1, 2, 3, 4)]
    # cut in the second, which takes the rest with it; and what stands between two
    file.write_text(json.dumps(rows[0], indent=2) + "\n{\n")
    assert faults(file) == ["", "not JSON"]
    file.write_text('{\n "text": "one"\n}}\nstray {\n "text": "two"\n}\n\n')
    assert faults(file) == ["", "not JSON", "not JSON", ""]
    # an object a line stays one, whatever the first line is
    file.write_text('{\n{"text": "one"}\n{"text": "two"}\n')
    assert faults(file) == ["not JSON", "", ""]


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.lists(st.integers())),
        max_size=5,
    ),
    st.sampled_from([None, 0, 3]),
    st.integers(1, 7),
)
def test_objects_one_after_another_are_those_that_json_reads(rows, indent, piece):
    parts = [json.dumps(row, indent=indent).encode() for row in rows]

    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(piece)

    found = list(elements(Slow(b"\n".join(parts)), 10**6, bare=True))
    assert [(part, size) for _, part, size in found] == [(part, len(part)) for part in parts]


@given(
    st.lists(
        st.recursive(
            st.none() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=6,
    ),
    st.booleans(),
    st.integers(1, 7),
)
def test_elements_of_arrays_are_those_that_json_reads(rows, ascii_only, piece):
    content = json.dumps(rows, ensure_ascii=ascii_only).encode()

    class Slow(io.BytesIO):
        """Gives a few bytes at a time, so that every sign is once the last of a piece."""

        def read(self, size=-1):
            return super().read(piece)

    found = list(elements(Slow(content), 10**6))
    assert [json.loads(part) for _, part, _ in found] == rows
    assert [number for number, _, _ in found] == list(range(1, len(rows) + 1))
    for (_, part, size), (_, whole, _) in zip(elements(Slow(content), 3), found, strict=True):
        assert size == len(whole)
        assert whole.startswith(part)


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
