"""What happens to files on their way, and what strangers write into them, drawn by hypothesis."""

import subprocess
import sys

import pytest
from hypothesis import strategies as st

HUGE = (
    *(b"\xff" * n for n in (1, 2, 4, 8)),  # the largest number of so many bytes; -1 where signed
    *(b"\xff" * (n - 1) + b"\x7f" for n in (4, 8, 9)),  # the largest signed one; 2^63 in base 128
    *(b"\x00" * (n - 1) + b"\x10" for n in (4, 8)),
    *(b"9" * n for n in (4, 11, 21)),  # where lengths are written in digits
    b"\x00" * 8,
)
"""Numbers to write over a length."""


@st.composite
def damaged(draw, content: bytes, within: int = 1 << 62) -> bytes:
    """A file after one to four accidents: cut short, shuffled, of wrong sizes, of huge lengths.

    They begin `within` its first bytes, where a header stands, or anywhere.
    """
    for _ in range(draw(st.integers(1, 4))):
        if not content:
            break
        place = draw(st.integers(0, min(len(content), within) - 1))
        length = draw(st.integers(1, max(1, len(content) // 3)))
        kind = draw(st.sampled_from(("cut", "shuffle", "overwrite", "huge", "drop", "repeat")))
        before, part, after = content[:place], content[place:][:length], content[place + length :]
        if kind == "cut":
            content = before
        elif kind == "shuffle":
            size = draw(st.integers(1, max(1, len(content) // 2)))
            blocks = [content[i : i + size] for i in range(0, len(content), size)][:64]
            rest = content[size * len(blocks) :]
            content = b"".join([*draw(st.permutations(blocks)), rest])
        elif kind == "drop":
            content = before + after
        elif kind == "repeat":
            content = before + part + part + after
        else:
            new = draw(st.binary(min_size=1, max_size=8) if kind == "overwrite" else _HUGE)
            content = before + new + content[place + len(new) :]
    return content


_HUGE = st.sampled_from(HUGE)

MEASURED = """
import sys
import {modules}

def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

def call(path):
    try:
        {call}
        return "read"
    except ValueError as error:
        return str(error)

call(sys.argv[1])  # a small one first: what is imported and set up once is no cost of the file
for path in sys.argv[2:]:
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # the highest mark so far is forgotten
    before = kilobytes("VmRSS")
    told = call(path)
    print(1024 * (kilobytes("VmHWM") - before), told)
"""


def memory_of(folder, suffix, files, modules: str, call: str) -> dict[str, tuple[int, str]]:
    """Bytes that `call`, which reads the file `path`, takes at most on top of what is there
    before, and its one line of error, or "read", for each of some files but the first, a small one.

    `files` are contents by name, written into `folder`. A process of its own; Linux only. What one
    file leaves for the allocator to use again, the next does not take.
    """
    paths = [folder / f"{name}{suffix}" for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)
    program = MEASURED.format(modules=modules, call=call)
    run = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    rows = [row.partition(" ") for row in run.stdout.splitlines()]
    assert len(rows) == len(paths) - 1, "an error of several lines"
    taken = [(int(most), told) for most, _, told in rows]
    return dict(zip([*files][1:], taken, strict=True))


needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="measures memory as Linux tells it"
)
